"""What reading an author's file gives: drafts of artifacts, and findings about them."""

from collections.abc import Callable, Mapping
from pathlib import Path

from regalia.core.kinds import Config
from regalia.core.manifest import Artifact
from regalia.core.names import Kind, Slot
from regalia.core.values import field, frozen
from regalia.project import Entry

NO_VERSION = "0.0.0"
TEXT = "text/plain"
JSON = "application/json"


@frozen
class Draft:
    """An artifact before it has its version, where the file carries none; `contents`: title → (media type, bytes)."""

    slot: Slot
    config: Config
    contents: Mapping[str, tuple[str, bytes]] = field(hash=False)
    origin: str
    has_version: bool

    def artifact(self) -> Artifact:
        """Build the artifact as it stands."""
        return Artifact.build(self.config, self.contents)


@frozen
class Finding:
    """What is wrong or odd in a file; `place` is the file, and the line where one is known."""

    is_error: bool
    place: str
    rule: str
    message: str
    hint: str = ""


@frozen
class Options:
    """What the caller allows."""

    allow_floating: bool = False
    allow_dirty: bool = False


@frozen
class Source:
    """One entry with its bytes (empty for a code pin), the project's folder, and what is allowed."""

    entry: Entry
    folder: Path
    body: bytes
    options: Options

    @property
    def what(self) -> str:
        """How errors call the file."""
        return self.entry.file or self.entry.slot

    @property
    def slot(self) -> Slot:
        """The entry's slot."""
        return Slot.parse(self.entry.slot)

    @property
    def suffix(self) -> str:
        """The file's suffix, lower case, with its dot."""
        return Path(self.entry.file or "").suffix.lower()

    def finding(self, rule: str, message: str, *, hint: str = "", place: str = "", is_error: bool = True) -> Finding:
        """Make a finding about this file."""
        return Finding(is_error, f"{self.what}:{place}" if place else self.what, rule, message, hint)


@frozen
class Read:
    """What one file gave."""

    drafts: tuple[Draft, ...]
    findings: tuple[Finding, ...] = ()


@frozen
class Format:
    """A format of authors' files: the kind it makes, the suffixes it has, and how it is read.

    `read` raises `InvalidError` for what makes the whole file unusable.
    """

    kind: Kind
    suffixes: frozenset[str]
    read: Callable[[Source], Read]
