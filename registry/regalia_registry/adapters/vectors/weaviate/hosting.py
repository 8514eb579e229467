"""Classes that we make: for collections of other families, and what we write into a class's description."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from regalia.core.errors import DocumentError, RegaliaError, UnsupportedError
from regalia.core.fields import Fields
from regalia.core.kinds.snapshot import VectorSpace
from regalia.core.strict_json import JsonObject, parse_object, write
from regalia_registry.adapters.vectors.weaviate.grammar import (
    KEY_PROPERTY,
    TYPES,
    ClassBody,
    Nested,
    Space,
    key_property,
    parse_engine,
)
from regalia_registry.domain.snapshots.origin import Origin
from regalia_registry.domain.snapshots.schema import MAX_DIMS, Family, KeyKind, Property, Schema
from regalia_registry.domain.snapshots.translation import Hosted

_MARK = "regalia: "
_BOX = "properties"
_MAX_TOLD = 4 * 1024 * 1024
_PROPERTY = re.compile(r"[_a-z][_0-9A-Za-z]{0,230}\Z")  # Weaviate lowers a property's first letter
_RESERVED = {"id", "vector", "_id", "_additional", KEY_PROPERTY}
_VECTOR = re.compile(r"[_A-Za-z][_0-9A-Za-z]{0,230}\Z")
_DISTANCES = {"cosine": "cosine", "l2": "l2-squared", "dot": "dot", "l1": "manhattan", "hamming": "hamming"}
_FROM_FILES = {"bytes": "blob", "bytes[]": "text[]", "json": "text", "json[]": "text"}
_FROM_POSTGRESQL = {"smallint": "int", "integer": "int", "boolean": "boolean", "uuid": "uuid", "bytea": "blob"}


@dataclass(frozen=True, slots=True)
class Told:
    """What the description of a class of ours says: whose it is, and what its rows and Weaviate can't say.

    An empty class does not know its vectors' dimensions, and a server adds settings of its own to those asked for.
    `before` is what the description of a class that was adopted said.
    """

    mark: str
    engine: JsonObject
    dims: Mapping[str, int]
    origin: Origin | None = None
    before: str = ""

    @classmethod
    def parse(cls, description: str) -> "Told | None":
        """Read a description; None where the class is not ours."""
        first, _, rest = description.partition("\n")
        if not first.startswith(_MARK):
            return None
        mark = first.removeprefix(_MARK)
        try:
            fields = Fields(parse_object(rest.encode("utf-8"), what="a class's description", max_bytes=_MAX_TOLD), "it")
            dims = fields.child("dims")
            return cls(
                mark,
                fields.child("engine").raw,
                {name: dims.integer(name, minimum=1, maximum=MAX_DIMS) for name in dims.raw},
                Origin.parse(fields.child("origin")) if fields.has("origin") else None,
            )
        except (RegaliaError, UnicodeEncodeError):  # somebody changed it: its first line still says whose it is
            return cls(mark, {}, {})

    def describes(self, found: ClassBody) -> bool:
        """Say whether a server's class is what was asked for, and what the server added of its own."""
        try:
            asked = parse_engine(self.engine)
        except DocumentError:
            return False
        is_whole = [one.name for one in asked.properties] == [one.name for one in found.properties]
        is_whole &= [one.name for one in asked.spaces] == [one.name for one in found.spaces]
        return is_whole and _holds(found.written(), self.engine)

    def written(self) -> str:
        """Give the description."""
        body: JsonObject = {"engine": self.engine, "dims": dict(self.dims)}
        if self.origin is not None:
            body["origin"] = self.origin.written()
        if self.before:
            body["before"] = self.before
        return f"{_MARK}{self.mark}\n{write(body).decode('utf-8')}"


def _holds(found: Any, recorded: Any) -> bool:
    if isinstance(recorded, dict):
        return isinstance(found, dict) and all(
            name in found and _holds(found[name], value) for name, value in recorded.items()
        )
    if isinstance(recorded, list):
        return isinstance(found, list) and len(found) == len(recorded) and all(map(_holds, found, recorded))
    return bool(found == recorded)


def hosted(schema: Schema) -> Hosted:
    """Say as which class a collection is held.

    Raises:
        UnsupportedError: A vector's size or name is none that a class has.
    """
    if schema.family is Family.WEAVIATE:
        return Hosted(schema)
    _require_vectors(schema)
    is_boxed = not all(_PROPERTY.match(one.name) and one.name not in _RESERVED for one in schema.properties)
    properties = (
        (Property(_BOX, "text"),)
        if is_boxed
        else tuple(Property(one.name, _type(schema.family, one.type)) for one in schema.properties)
    )
    spaces = tuple(
        VectorSpace(space.name, space.dims, space.metric if space.metric in _DISTANCES else "cosine")
        for space in schema.vectors
    )
    key = Property("id", "uuid") if schema.key_kind is KeyKind.UUID else Property(KEY_PROPERTY, "text")
    made = Schema(
        Family.WEAVIATE, key, schema.key_kind, spaces, properties, _body(schema.key_kind, spaces, properties).written()
    )
    return Hosted(made, tuple(_fidelity(schema, made, is_boxed=is_boxed)), box=_BOX if is_boxed else None)


def _body(kind: KeyKind, spaces: tuple[VectorSpace, ...], properties: tuple[Property, ...]) -> ClassBody:
    nested = [Nested(one.name, one.type) for one in properties]
    if kind is not KeyKind.UUID:
        nested.append(key_property(kind))
    return ClassBody(
        tuple(sorted(nested, key=lambda one: one.name)),
        tuple(Space(space.name, "hnsw", {"distance": _DISTANCES[space.metric]}) for space in spaces),
        {},
        is_unnamed=False,
    )


def _type(family: Family, name: str) -> str:
    if family is Family.POSTGRESQL:
        return _FROM_POSTGRESQL.get(name, "text")  # a bigint too: Weaviate keeps integers to 2^53 alone
    found = _FROM_FILES.get(name, name)
    return found if found in TYPES else "text"


def _fidelity(schema: Schema, made: Schema, *, is_boxed: bool) -> list[str]:
    told = []
    if schema.key_kind is not KeyKind.UUID:
        told.append(f"the key {schema.key.name} in the property {KEY_PROPERTY}, ids are made from it")
    told += [
        f"{space.name}: {space.metric} as {other.metric}"
        for space, other in zip(schema.vectors, made.vectors, strict=True)
        if space.metric != other.metric
    ]
    if is_boxed:
        return [*told, f"all properties as JSON in the one text property {_BOX}: Weaviate can't have their names"]
    told += [
        f"{one.name}: {one.type} as {other.type}"
        for one, other in zip(schema.properties, made.properties, strict=True)
        if one.type != other.type
    ]
    if schema.engine:
        told.append(f"what only {schema.family} rebuilds is left out: indexes, defaults, rules")
    return told or ["an index of Weaviate's own defaults"]


def _require_vectors(schema: Schema) -> None:
    wrong = [
        f"{json.dumps(space.name[:60])} of {space.dims} dimensions"
        for space in schema.vectors
        if not _VECTOR.match(space.name) or space.dims > MAX_DIMS
    ]
    if wrong:
        raise UnsupportedError(
            f"a class can't have the vectors {', '.join(wrong)}",
            hint="export it, and import it with other names: reg snapshot export",
        )
