"""What is asked where a snapshot is to be one file, or a file a snapshot."""

from dataclasses import dataclass
from enum import StrEnum

from regalia.core.digest import Digest
from regalia.core.fields import Fields
from regalia.core.kinds.snapshot import Embedding
from regalia.core.names import check_segment, check_version
from regalia.core.strict_json import JsonObject


class FileForm(StrEnum):
    """How rows stand in a file; its name ends so."""

    PARQUET = "parquet"
    JSONL = "jsonl"


@dataclass(frozen=True, slots=True)
class ExportWish:
    """Which version is to be one file, and in which form; with `since`, only what changed from that version on.

    `since` is the name and version of a snapshot, of this name or another.
    """

    name: str
    version: str
    form: FileForm
    since: tuple[str, str] | None = None

    @property
    def file_name(self) -> str:
        """What the file is called while it is made."""
        return f"{self.name}.{self.form}"

    @classmethod
    def parse(cls, request: JsonObject) -> "ExportWish":
        """Read what `written` wrote."""
        fields = Fields(request, "the operation")
        name, version = check_segment(fields.text("name"), what="snapshot"), check_version(fields.text("version"))
        since = fields.child("since") if fields.has("since") else None
        before = None if since is None else _version_of(since)
        return cls(name, version, FileForm(fields.text("form")), before)

    def written(self) -> JsonObject:
        """Give it as the journal keeps it."""
        written: JsonObject = {"name": self.name, "version": self.version, "form": str(self.form)}
        if self.since is not None:
            written["since"] = {"name": self.since[0], "version": self.since[1]}
        return written


def _version_of(fields: Fields) -> tuple[str, str]:
    return check_segment(fields.text("name"), what="snapshot"), check_version(fields.text("version"))


@dataclass(frozen=True, slots=True)
class ImportWish:
    """Which blob is a file of rows, in which form, and what the snapshot of it is to be called."""

    name: str
    file: Digest
    form: FileForm
    embedding: Embedding | None = None

    @property
    def file_name(self) -> str:
        """What the file is called while it is read."""
        return f"{self.name}.{self.form}"

    @classmethod
    def parse(cls, request: JsonObject) -> "ImportWish":
        """Read what `written` wrote."""
        fields = Fields(request, "the operation")
        name, file = check_segment(fields.text("name"), what="snapshot"), Digest.parse(fields.text("file"))
        embedding = Embedding.parse(fields.child("embedding")) if fields.has("embedding") else None
        return cls(name, file, FileForm(fields.text("form")), embedding)

    def written(self) -> JsonObject:
        """Give it as the journal keeps it."""
        written: JsonObject = {"name": self.name, "file": str(self.file), "form": str(self.form)}
        if self.embedding is not None:
            written["embedding"] = self.embedding.written()
        return written
