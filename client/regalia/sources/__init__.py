"""Authors' files to artifacts: what they are, what is wrong with them, and their bytes kept. Needs `[cli]`."""

from collections.abc import Iterable
from pathlib import Path

from regalia.core.errors import InvalidError, SourceError
from regalia.core.manifest import MAX_BLOB
from regalia.core.values import frozen
from regalia.project import Entry
from regalia.sources import code_pin, config_file, model_list, prompt_text, prompt_yaml, secret_scan
from regalia.sources.code_pin import find_git_source
from regalia.sources.drafts import Draft, Finding, Format, Options, Read, Source

FORMATS: tuple[Format, ...] = (
    prompt_yaml.FORMAT,
    prompt_text.FORMAT,
    model_list.FORMAT,
    config_file.FORMAT,
    code_pin.FORMAT,
)

_MAX_FILE = 64 * 1024 * 1024

__all__ = ["FORMATS", "Draft", "Finding", "Inspection", "Options", "find_git_source", "inspect"]


@frozen
class Inspection:
    """All drafts and findings of some entries."""

    drafts: tuple[Draft, ...]
    findings: tuple[Finding, ...]

    @property
    def errors(self) -> tuple[Finding, ...]:
        """What stops a push."""
        return tuple(finding for finding in self.findings if finding.is_error)

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """What does not."""
        return tuple(finding for finding in self.findings if not finding.is_error)

    def require(self) -> None:
        """Refuse to go on with errors.

        Raises:
            SourceError: There is one; all of them are in its message.
        """
        errors = self.errors
        if errors:
            told = [f"{finding.place}: {finding.message}" for finding in errors]
            raise SourceError("\n".join(told), hint=next((error.hint for error in errors if error.hint), "reg lint"))


def inspect(entries: Iterable[Entry], *, folder: Path, options: Options) -> Inspection:
    """Read entries of a project; nothing is sent, and no file is followed outside of it."""
    drafts: list[Draft] = []
    findings: list[Finding] = []
    for entry in entries:
        read = _inspect(entry, folder, options)
        drafts += read.drafts
        findings += read.findings
    return Inspection(tuple(drafts), (*findings, *_twice(drafts)))


def _inspect(entry: Entry, folder: Path, options: Options) -> Read:
    source = Source(entry, folder, b"", options)
    try:
        source = Source(entry, folder, _body(entry, folder), options)
        read = _format_of(source).read(source)
    except InvalidError as error:
        return Read((), (source.finding("file", error.message, hint=error.hint),))
    return Read(read.drafts, (*read.findings, *secret_scan.findings(source)))


def _format_of(source: Source) -> Format:
    kind = source.entry.kind
    known = [found for found in FORMATS if found.kind is kind]
    for found in known:
        if source.suffix in found.suffixes:
            return found
    suffixes = sorted({suffix for found in known for suffix in found.suffixes if suffix})
    raise SourceError(
        f'"{source.what}" is no format of a {kind} that this version reads',
        hint=f"a {kind} is {', '.join(suffixes) or 'written in regalia.yaml'}",
    )


def _body(entry: Entry, folder: Path) -> bytes:
    if entry.file is None:
        return b""
    path = folder / entry.file
    try:
        size_bytes = path.stat().st_size
        if size_bytes > min(_MAX_FILE, MAX_BLOB):
            raise SourceError(f'"{entry.file}" has {size_bytes} bytes, the cap is {_MAX_FILE}')
        return path.read_bytes()
    except OSError as error:
        raise SourceError(
            f'"{entry.file}" can\'t be read: {(error.strerror or str(error)).lower()}',
            hint=f"correct the line of {entry.slot} in regalia.yaml",
        ) from error


def _twice(drafts: Iterable[Draft]) -> list[Finding]:
    origins: dict[str, str] = {}
    found = []
    for draft in drafts:
        slot = str(draft.slot)
        if slot in origins:
            message = f'"{slot}" is made twice, first by {origins[slot]}'
            found.append(
                Finding(is_error=True, place=draft.origin, rule="slot", message=message, hint="one slot, one file")
            )
        origins.setdefault(slot, draft.origin)
    return found
