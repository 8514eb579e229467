"""The project file `regalia.yaml`: the application, its registry, and which file goes into which slot."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from regalia import strict_yaml
from regalia.core.errors import InvalidNameError, NotFoundError, SourceError
from regalia.core.names import ApplicationName, Kind, Slot
from regalia.core.strict_json import JsonObject, JsonValue
from regalia.core.values import field, frozen
from regalia.places import PROJECT_FILE, find_upwards

MODEL_LIST = "models"
_KEYS = ("application", "registry", "push")
_OPTIONS = ("file", "schema", "template_format", "variables", "git", "images")
_SNAPSHOT_OPTIONS = ("target", "collection", "embedder")
_PROMPT_SUFFIXES = (".yaml", ".yml", ".txt", ".md", ".jinja", ".jinja2", ".j2")


@frozen
class Entry:
    """A line of `push:`: a slot (or `models`, for a list of them), its file, and options; a code pin has no file."""

    slot: str
    file: str | None
    options: Mapping[str, JsonValue] = field(default_factory=dict, hash=False)

    @property
    def kind(self) -> Kind:
        """What the entry makes."""
        return Kind.of_folder(self.slot.partition("/")[0])

    @property
    def name(self) -> str:
        """The slot's part after the slash; empty for a list."""
        return self.slot.partition("/")[2]


@frozen
class Project:
    """A parsed `regalia.yaml` and the folder it lies in."""

    folder: Path
    application: ApplicationName
    registry: str | None
    entries: tuple[Entry, ...]

    def entries_for(self, paths: Sequence[Path]) -> tuple[Entry, ...]:
        """Find the entries of these files, or of all; a file without an entry goes by its folder.

        Raises:
            NotFoundError: A file is not there.
            SourceError: Nothing says which slot a file is for.
        """
        if not paths:
            return self.entries
        return tuple(dict.fromkeys(entry for path in paths for entry in self._entries_of(path)))

    def _entries_of(self, path: Path) -> list[Entry]:
        absolute = path.absolute()
        if not absolute.exists():
            raise NotFoundError(f'there is no file "{path}"')
        found = [entry for entry in self.entries if entry.file and _is_same(self.folder / entry.file, absolute)]
        if absolute.is_dir():
            found = [
                entry
                for entry in self.entries
                if entry.file and (self.folder / entry.file).resolve().is_relative_to(absolute.resolve())
            ]
        if found:
            return found
        try:
            file = absolute.resolve().relative_to(self.folder.resolve()).as_posix()
        except ValueError as error:
            raise SourceError(f'"{path}" is outside of the project "{self.folder}"') from error
        return [Entry(_slot_of(absolute, file), file)]


def _is_same(named: Path, there: Path) -> bool:
    """Say whether a file that somebody named is one that is there; it may be missing."""
    return named.exists() and named.samefile(there)


def files_of(entries: Iterable[Entry]) -> list[Entry]:
    """Keep the entries that are read from files; a snapshot is taken by the registry's worker."""
    return [entry for entry in entries if entry.kind is not Kind.SNAPSHOT]


def find(start: Path) -> Project:
    """Find and read the project that a folder is in.

    Raises:
        NotFoundError: There is none.
        SourceError: It breaks a rule.
    """
    path = find_upwards(start, PROJECT_FILE)
    if path is None:
        raise NotFoundError(
            f"there is no {PROJECT_FILE} here or above", hint="go to your application's folder, or: reg init"
        )
    return load(path)


def load(path: Path) -> Project:
    """Read a project file."""
    try:
        body = path.read_bytes()
    except OSError as error:
        raise SourceError(f'"{path}" can\'t be read: {error.strerror}') from error
    tree, document = strict_yaml.parse_object(body, what=path.name)
    unknown = [key for key in tree if key not in _KEYS]
    if unknown:
        raise _wrong(path, document, (unknown[0],), f"there is no key {unknown[0][:80]!r}", f"keys: {', '.join(_KEYS)}")
    application, registry, push = (tree.get(key) for key in _KEYS)
    if not isinstance(application, str):
        raise _wrong(path, document, ("application",), "it names no application", "application: acme/support-agent")
    if not isinstance(registry, str | None):
        raise _wrong(path, document, ("registry",), "the registry is no URL", "registry: http://127.0.0.1:7117")
    if not isinstance(push, dict | None):
        raise _wrong(path, document, ("push",), "push is no mapping", "prompts/greeting: prompts/greeting.yaml")
    entries = tuple(_entry(path, document, slot, value) for slot, value in (push or {}).items())
    return Project(path.parent, ApplicationName.parse(application), registry, entries)


def recognise(folder: Path) -> tuple[Entry, ...]:
    """Find what a project has, for a first `push:`: `prompts/*` and `model_registry.yaml`."""
    found = []
    for path in sorted((folder / "prompts").glob("*")):
        name = path.stem.lower()
        if path.is_file() and path.suffix in _PROMPT_SUFFIXES and _is_slot(f"prompts/{name}"):
            found.append(Entry(f"prompts/{name}", path.relative_to(folder).as_posix()))
    if (folder / "model_registry.yaml").is_file():
        found.append(Entry(MODEL_LIST, "model_registry.yaml"))
    return tuple(found)


def write(application: ApplicationName, registry: str | None, entries: Sequence[Entry]) -> str:
    """Give the text of a project file; every path was found, and so is plain."""
    lines = [f"application: {application}"]
    if registry is not None:
        lines.append(f'registry: "{registry}"')
    if entries:
        lines += ["push:", *(f'  {entry.slot}: "{entry.file}"' for entry in entries)]
    return "\n".join(lines) + "\n"


def _entry(path: Path, document: strict_yaml.Document, slot: str, value: JsonValue) -> Entry:
    where = ("push", slot)
    if slot != MODEL_LIST:
        _check_slot(path, document, slot)
    if isinstance(value, str) and not slot.startswith("snapshots/"):
        return Entry(slot, _inside(path, document, slot, value))
    if not isinstance(value, dict):
        raise _wrong(path, document, where, "the value is no path", f"{slot}: FILE, or {slot}: {{file: FILE}}")
    is_snapshot = slot.startswith("snapshots/")
    known = _SNAPSHOT_OPTIONS if is_snapshot else _OPTIONS
    unknown = [key for key in value if key not in known]
    if unknown:
        raise _wrong(
            path, document, (*where, unknown[0]), f"there is no option {unknown[0][:80]!r}", f"options: {known}"
        )
    if is_snapshot:
        if not all(isinstance(value.get(key, ""), str) for key in known) or not value.get("collection"):
            raise _wrong(path, document, where, "it names no collection", f"{slot}: {{target: local, collection: kb}}")
        return Entry(slot, None, value)
    options: JsonObject = {key: option for key, option in value.items() if key != "file"}
    file = value.get("file")
    if isinstance(file, str):
        return Entry(slot, _inside(path, document, slot, file), options)
    if file is None and ("git" in value or "images" in value):
        return Entry(slot, None, options)
    raise _wrong(path, document, where, "it names no file", f"{slot}: {{file: FILE}}")


def _check_slot(path: Path, document: strict_yaml.Document, slot: str) -> None:
    try:
        Slot.parse(slot)
    except InvalidNameError as error:
        raise _wrong(path, document, ("push", slot), error.message, error.hint) from error


def _inside(path: Path, document: strict_yaml.Document, slot: str, file: str) -> str:
    """Refuse a path that leaves the project, by itself or through a link."""
    folder = path.parent.resolve()
    target = (folder / file).resolve()
    if not target.is_relative_to(folder):
        raise _wrong(path, document, ("push", slot), f"{file[:120]!r} leaves the project", "push what is in it")
    return file


def _is_slot(text: str) -> bool:
    try:
        Slot.parse(text)
    except InvalidNameError:
        return False
    return True


def _slot_of(path: Path, file: str) -> str:
    if path.name == "model_registry.yaml":
        return MODEL_LIST
    slot = f"{path.parent.name}/{path.stem.lower()}"
    if _is_slot(slot):
        return slot
    raise SourceError(
        f'nothing says which slot "{file}" is for', hint=f"add it to push: in {PROJECT_FILE}:  prompts/NAME: {file}"
    )


def _wrong(path: Path, document: strict_yaml.Document, where: tuple[str, ...], problem: str, hint: str) -> SourceError:
    return SourceError(f"{path.name}, {document.place(*where)}: {problem}", hint=hint)
