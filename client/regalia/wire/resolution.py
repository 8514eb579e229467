"""The resolve answer: everything to verify and start a bundle, in one body."""

import base64
import binascii
from collections.abc import Mapping
from typing import Self

from regalia.core.digest import Digest
from regalia.core.errors import DocumentError
from regalia.core.fields import Fields
from regalia.core.strict_json import JsonObject, parse_object, write
from regalia.core.values import field, frozen

MAX_ANSWER = 4 * 1024 * 1024
MAX_INLINE = 1024 * 1024
MAX_INLINE_LAYER = 64 * 1024
MAX_ROOTS = 8


@frozen
class Resolution:
    """A resolve answer's documents as exact bytes; nothing in it is verified.

    `pointer` and `freshness` are absent where a bundle was asked for by version or digest, `freshness` also where it is
    pinned in a channel; `index` is absent where the client said that it has the bundle.
    """

    release: bytes
    roots: tuple[bytes, ...] = ()
    pointer: bytes | None = None
    freshness: bytes | None = None
    index: bytes | None = None
    blobs: Mapping[Digest, bytes] = field(default_factory=dict, hash=False)

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Read an answer; the inverse of `written`.

        Raises:
            DocumentError: It is no resolve answer.
            TooLargeError: It is over a cap.
        """
        what = "the resolve answer"
        fields = Fields(parse_object(body, what=what, max_bytes=MAX_ANSWER), what)
        blobs = fields.child("blobs") if fields.has("blobs") else Fields({}, what)
        return cls(
            release=_document(fields, "release"),
            roots=tuple(decode(root, what="a root") for root in fields.texts("roots", maximum=MAX_ROOTS)),
            pointer=_document(fields, "pointer") if fields.has("pointer") else None,
            freshness=_document(fields, "freshness") if fields.has("freshness") else None,
            index=_document(fields, "index") if fields.has("index") else None,
            blobs={
                Digest.parse(name): decode(blobs.text(name, max_characters=MAX_ANSWER), what=f"the blob {name[:19]}")
                for name in blobs.raw
            },
        )

    def written(self) -> bytes:
        """Write the body."""
        document: JsonObject = {
            "roots": [encode(root) for root in self.roots],
            "release": encode(self.release),
        }
        for name, content in (("pointer", self.pointer), ("freshness", self.freshness), ("index", self.index)):
            if content is not None:
                document[name] = encode(content)
        if self.index is not None:
            document["blobs"] = {str(digest): encode(content) for digest, content in self.blobs.items()}
        return write(document)


def encode(content: bytes) -> str:
    """Spell bytes as base64."""
    return base64.b64encode(content).decode("ascii")


def decode(text: str, *, what: str) -> bytes:
    """Read base64; the inverse of `encode`.

    Raises:
        DocumentError: It is none.
    """
    try:
        return base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error) as error:
        raise DocumentError(f"{what} is not base64") from error


def _document(fields: Fields, name: str) -> bytes:
    return decode(fields.text(name, max_characters=MAX_ANSWER), what=f'"{name}" in {fields.what}')
