"""What a collection is made of: a closed grammar, from which a collection is rebuilt and never executed verbatim."""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Self, TypeVar

from regalia.core.digest import Digest
from regalia.core.errors import DocumentError
from regalia.core.fields import Fields
from regalia.core.kinds.snapshot import VectorSpace
from regalia.core.strict_json import JsonObject, parse_object, write

MAX_SCHEMA = 1024 * 1024
MAX_VECTORS = 64
MAX_PROPERTIES = 1600  # PostgreSQL's own limit of columns
MAX_DIMS = 65_535  # Weaviate's limit, beyond that of every other engine
_MAX_NAME = 255
_NO_TEXT = re.compile("[\0\ud800-\udfff]")  # half of a surrogate pair, and what our JSON has not

Choice = TypeVar("Choice", bound=StrEnum)


class Family(StrEnum):
    """Which engine's values the properties are; a root binds it."""

    POSTGRESQL = "postgresql"
    WEAVIATE = "weaviate"
    FILES = "files"


class KeyKind(StrEnum):
    """What keys are."""

    UUID = "uuid"
    INTEGER = "integer"
    TEXT = "text"


@dataclass(frozen=True, slots=True)
class Property:
    """One property; `type` is the engine's own name, or one of ours in the family `files`."""

    name: str
    type: str


@dataclass(frozen=True, slots=True)
class Schema:
    """A collection's schema; `engine` holds what only this family rebuilds, in its adapter's grammar."""

    family: Family
    key: Property
    key_kind: KeyKind
    vectors: tuple[VectorSpace, ...]
    properties: tuple[Property, ...]
    engine: JsonObject

    def __post_init__(self) -> None:
        """Refuse what two readers could order in two ways, and what could be written and not be read again."""
        for one in (self.key, *self.properties):
            _check_text(one.name)
            _check_text(one.type)
        for space in self.vectors:
            _check_text(space.name)
            _check_text(space.metric)
            if not 0 < space.dims <= MAX_DIMS:
                raise DocumentError(
                    f'the vector "{space.name}" has {space.dims} dimensions, the cap is {MAX_DIMS}',
                    hint="snapshot a view of it with fewer",
                )
        for names in ([space.name for space in self.vectors], [one.name for one in self.properties]):
            if sorted(set(names)) != names:
                raise DocumentError("a schema's vectors and properties are sorted by name, each once")
        if len(self.vectors) > MAX_VECTORS or len(self.properties) > MAX_PROPERTIES:
            raise DocumentError(
                f"a collection has at most {MAX_VECTORS} vectors and {MAX_PROPERTIES} properties",
                hint="snapshot a view of it with fewer",
            )

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Read a schema; the inverse of `written`.

        Raises:
            DocumentError: It is none.
        """
        what = "the collection's schema"
        fields = Fields(parse_object(body, what=what, max_bytes=MAX_SCHEMA), what)
        key = fields.child("key")
        return cls(
            family=_one_of(Family, fields.text("family"), what),
            key=Property(key.text("name", max_characters=_MAX_NAME), key.text("type", max_characters=_MAX_NAME)),
            key_kind=_one_of(KeyKind, key.text("kind"), what),
            vectors=tuple(
                VectorSpace(space.text("name"), space.integer("dims", minimum=1), space.text("metric"))
                for space in fields.children("vectors", maximum=MAX_VECTORS)
            ),
            properties=tuple(
                Property(one.text("name", max_characters=_MAX_NAME), one.text("type", max_characters=_MAX_NAME))
                for one in fields.children("properties", maximum=MAX_PROPERTIES)
            ),
            engine=fields.child("engine").raw,
        )

    def written(self) -> bytes:
        """Write the schema."""
        return write(
            {
                "family": str(self.family),
                "key": {"name": self.key.name, "type": self.key.type, "kind": str(self.key_kind)},
                "vectors": [space.written() for space in self.vectors],
                "properties": [{"name": one.name, "type": one.type} for one in self.properties],
                "engine": self.engine,
            }
        )

    @property
    def digest(self) -> Digest:
        """The schema's identity, which every root binds."""
        return Digest.of(self.written())


def _check_text(text: str) -> None:
    if len(text) > _MAX_NAME:
        raise DocumentError(
            f"the name or type {text[:40]!r}… has {len(text)} characters, the cap is {_MAX_NAME}",
            hint="rename it where it is, or snapshot a view of it",
        )
    if _NO_TEXT.search(text):
        raise DocumentError(
            f"the name or type {text!r} is no Unicode text without U+0000", hint="rename it where it is"
        )


def _one_of(kind: type[Choice], text: str, what: str) -> Choice:
    if text not in set(kind):
        raise DocumentError(f"{what} names {text[:40]!r}, expected one of {', '.join(kind)}")
    return kind(text)
