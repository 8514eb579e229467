"""What is asked of snapshots and collections: how two differ, which rows are nearest, and to let one go."""

import base64
import binascii
import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from regalia.core.errors import DocumentError, InvalidError
from regalia.core.fields import Fields
from regalia.core.names import check_segment, check_version
from regalia.core.strict_json import JsonObject
from regalia_registry.domain.snapshots.rows import MAX_KEY, encode_key
from regalia_registry.domain.snapshots.schema import MAX_DIMS, KeyKind
from regalia_registry.domain.texts import check_text

MAX_HITS = 200


@dataclass(frozen=True, slots=True)
class Which:
    """A stored version of a snapshot in the operation's namespace."""

    name: str
    version: str

    def __post_init__(self) -> None:
        """Refuse what names none."""
        check_segment(self.name, what="snapshot")
        check_version(self.version)

    @classmethod
    def parse(cls, fields: Fields) -> "Which":
        """Read what `written` wrote."""
        return cls(fields.text("name"), fields.text("version"))

    def written(self) -> JsonObject:
        """Give its JSON."""
        return {"name": self.name, "version": self.version}


@dataclass(frozen=True, slots=True)
class DiffWish:
    """Which two versions are compared; `rows` asks for the keys that differ, and not only how many there are."""

    old: Which
    new: Which
    rows: bool

    @property
    def name(self) -> str:
        """What it is about."""
        return self.new.name

    @classmethod
    def parse(cls, request: JsonObject) -> "DiffWish":
        """Read what `written` wrote."""
        fields = Fields(request, "the operation")
        return cls(Which.parse(fields.child("old")), Which.parse(fields.child("new")), fields.boolean("rows"))

    def written(self) -> JsonObject:
        """Give it as the journal keeps it."""
        return {"old": self.old.written(), "new": self.new.written(), "rows": self.rows}


@dataclass(frozen=True, slots=True)
class Near:
    """Near what rows are looked for: a vector as little-endian float32, or the row of a key, which is left out itself.

    `space` names the vector that is compared; empty is the only one.
    """

    vector: bytes | None
    like: str | None
    space: str
    limit: int

    def __post_init__(self) -> None:
        """Refuse what can't be answered."""
        if (self.vector is None) == (self.like is None):
            raise InvalidError("a question is a vector, or the key of a row", hint="--vector FILE or --like KEY")
        if not 1 <= self.limit <= MAX_HITS:
            raise InvalidError(f"the limit is {self.limit}, expected 1 to {MAX_HITS}", hint=f"--limit {MAX_HITS}")
        check_text(f"{self.like or ''}{self.space}", what="a question")

    @classmethod
    def parse(cls, fields: Fields) -> "Near":
        """Read what `written` wrote."""
        encoded = fields.optional("vector", lambda name: fields.text(name, max_characters=8 * MAX_DIMS))
        like = fields.optional("like", lambda name: fields.text(name, max_characters=MAX_KEY))
        return cls(None if encoded is None else _decoded(encoded), like, fields.text("space"), fields.integer("limit"))

    def written(self) -> JsonObject:
        """Give its JSON."""
        written: JsonObject = {"space": self.space, "limit": self.limit}
        if self.vector is not None:
            written["vector"] = base64.b64encode(self.vector).decode("ascii")
        if self.like is not None:
            written["like"] = self.like
        return written


@dataclass(frozen=True, slots=True)
class QueryWish:
    """What is looked for in a stored version."""

    which: Which
    near: Near

    @property
    def name(self) -> str:
        """What it is about."""
        return self.which.name

    @classmethod
    def parse(cls, request: JsonObject) -> "QueryWish":
        """Read what `written` wrote."""
        fields = Fields(request, "the operation")
        return cls(Which.parse(fields), Near.parse(fields.child("near")))

    def written(self) -> JsonObject:
        """Give it as the journal keeps it."""
        return {**self.which.written(), "near": self.near.written()}


@dataclass(frozen=True, slots=True)
class SearchWish:
    """What is looked for in a collection, through its engine's own index."""

    target: str
    collection: str
    near: Near

    def __post_init__(self) -> None:
        """Refuse what no engine calls a collection."""
        check_text(self.collection, what="a collection's name")

    @property
    def name(self) -> str:
        """What it is about."""
        return self.target

    @classmethod
    def parse(cls, request: JsonObject) -> "SearchWish":
        """Read what `written` wrote."""
        fields = Fields(request, "the operation")
        return cls(fields.text("target"), fields.text("collection"), Near.parse(fields.child("near")))

    def written(self) -> JsonObject:
        """Give it as the journal keeps it."""
        return {"target": self.target, "collection": self.collection, "near": self.near.written()}


@dataclass(frozen=True, slots=True)
class RetireWish:
    """Which collection that we made is to be dropped."""

    target: str
    collection: str

    def __post_init__(self) -> None:
        """Refuse what no engine calls a collection."""
        check_text(self.collection, what="a collection's name")

    @property
    def name(self) -> str:
        """What it is about."""
        return self.target

    @classmethod
    def parse(cls, request: JsonObject) -> "RetireWish":
        """Read what `written` wrote."""
        fields = Fields(request, "the operation")
        return cls(fields.text("target"), fields.text("collection"))

    def written(self) -> JsonObject:
        """Give it as the journal keeps it."""
        return {"target": self.target, "collection": self.collection}


def encode_vector(numbers: Sequence[float]) -> bytes:
    """Write a vector as engines store it.

    Raises:
        DocumentError: It has no number, too many, or one that a float32 can't hold.
    """
    if not 1 <= len(numbers) <= MAX_DIMS:
        raise DocumentError(f"the vector has {len(numbers)} numbers, expected 1 to {MAX_DIMS}")
    try:
        packed = struct.pack(f"<{len(numbers)}f", *numbers)
    except OverflowError as error:
        raise DocumentError("the vector holds a number that a float32 can't hold") from error
    if not all(map(math.isfinite, numbers)):
        raise DocumentError("the vector holds a number that is not finite")
    return packed


def read_key(text: str, kind: KeyKind) -> bytes:
    """Encode a key as a person writes it.

    Raises:
        DocumentError: It is none of this kind.
    """
    try:
        match kind:
            case KeyKind.UUID:
                return encode_key(UUID(text))
            case KeyKind.INTEGER:
                return encode_key(int(text))
            case KeyKind.TEXT:
                return encode_key(text)
    except ValueError as error:
        raise DocumentError(f"{text[:60]!r} is no key of this collection: its keys are {kind}") from error


def _decoded(encoded: str) -> bytes:
    try:
        return base64.b64decode(encoded, validate=True)
    except binascii.Error as error:
        raise DocumentError("the operation's vector is no base64") from error
