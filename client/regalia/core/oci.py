"""The two OCI documents: an artifact is an image manifest, a bundle is an image index; both are their exact bytes."""

import re
from collections.abc import Mapping
from typing import Self

from regalia.core.digest import Digest
from regalia.core.errors import DocumentError, InvalidNameError
from regalia.core.fields import Fields
from regalia.core.strict_json import MAX_INTEGER, JsonObject
from regalia.core.values import field, frozen

MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
INDEX_TYPE = "application/vnd.oci.image.index.v1+json"
EMPTY_TYPE = "application/vnd.oci.empty.v1+json"
TITLE = "org.opencontainers.image.title"
VERSION = "org.opencontainers.image.version"
REF_NAME = "org.opencontainers.image.ref.name"
SLOT = "dev.regalia.slot"

EMPTY_BLOB = b"{}"  # OCI image-spec 1.1: the content of an artifact that has none
MAX_ANNOTATION = 4096

_MAX_MEDIA_TYPE = 255
_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}\Z")


@frozen
class Descriptor:
    """What names a blob: its type, digest, size in bytes and annotations."""

    media_type: str
    digest: Digest
    size_bytes: int
    annotations: Mapping[str, str] = field(default_factory=dict, hash=False)
    artifact_type: str | None = None

    @classmethod
    def of(cls, content: bytes, media_type: str, **annotations: str) -> Self:
        """Describe bytes in memory."""
        return cls(media_type, Digest.of(content), len(content), annotations)

    @classmethod
    def parse(cls, fields: Fields) -> Self:
        """Read a descriptor; one that would fetch from elsewhere or carry its bytes is refused."""
        for name in ("urls", "data", "subject"):
            if fields.has(name):
                raise DocumentError(f'{fields.what} has "{name}", which a member or layer of ours never has')
        annotations = fields.child("annotations") if fields.has("annotations") else Fields({}, fields.what)
        return cls(
            media_type=fields.text("mediaType", max_characters=_MAX_MEDIA_TYPE),
            digest=Digest.parse(fields.text("digest")),
            size_bytes=fields.integer("size", maximum=MAX_INTEGER),
            annotations={name: annotations.text(name, max_characters=MAX_ANNOTATION) for name in annotations.raw},
            artifact_type=fields.optional("artifactType", fields.text),
        )

    @property
    def title(self) -> str:
        """The file name of a layer: one path segment that is safe on every system.

        Raises:
            DocumentError: The layer has none, or one that could leave its folder.
        """
        title = self.annotations.get(TITLE, "")
        if not _FILE_NAME.match(title):
            raise DocumentError(f"a layer has the title {title[:80]!r}, expected one plain file name")
        return title

    def written(self) -> JsonObject:
        """Give the descriptor's JSON."""
        written: JsonObject = {
            "mediaType": self.media_type,
            "digest": str(self.digest),
            "size": self.size_bytes,
        }
        if self.artifact_type is not None:
            written["artifactType"] = self.artifact_type
        if self.annotations:
            written["annotations"] = dict(self.annotations)
        return written


def check_document_type(fields: Fields, *, media_type: str) -> None:
    """Refuse a document that is not exactly one of the two kinds; CVE-2021-41190: some readers saw both in one."""
    if fields.integer("schemaVersion") != 2:
        raise DocumentError(f'"schemaVersion" in {fields.what} is not 2')
    fields.exactly("mediaType", media_type)
    foreign = {"manifests"} if media_type == MANIFEST_TYPE else {"config", "layers"}
    for name in sorted(foreign | {"subject"}):
        if fields.has(name):
            raise DocumentError(f'{fields.what} has "{name}": it would read as another document too')


def check_file_name(text: str) -> str:
    """Give the text back if it can be a layer's title."""
    if not _FILE_NAME.match(text):
        raise InvalidNameError(
            f"{text[:80]!r} is no plain file name", hint="letters, digits, dots, dashes: prompt.yaml"
        )
    return text
