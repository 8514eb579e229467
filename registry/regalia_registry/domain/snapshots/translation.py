"""A collection in another family: keys and vectors stay byte for byte, properties are respelled by both schemas' types.

What is proved of such a load is the root of the translated rows under the schema that the engine holds them by.
"""

import json
from base64 import b64encode
from collections.abc import Callable, Collection
from dataclasses import dataclass

from regalia.core.errors import DocumentError
from regalia_registry.domain.snapshots.properties import TYPES
from regalia_registry.domain.snapshots.rows import Row, decode_key, decode_properties, encode_properties
from regalia_registry.domain.snapshots.schema import Family, KeyKind, Property, Schema

Translate = Callable[[Row], Row]
_Convert = Callable[[object], object]

KEY_NAMES = ("id", "key")

_KEY_TYPES = {KeyKind.UUID: "uuid", KeyKind.INTEGER: "int", KeyKind.TEXT: "text"}
_FROM_POSTGRESQL = {
    "smallint": "int",
    "integer": "int",
    "bigint": "int",
    "boolean": "boolean",
    "uuid": "uuid",
    "bytea": "bytes",
}


@dataclass(frozen=True, slots=True)
class Hosted:
    """As what an engine holds a collection; `fidelity` names what is not the same there.

    `box` is the one text property that holds all of a row's properties as their canonical JSON, where there is one:
    whatever they are, none is lost or respelled.
    """

    schema: Schema
    fidelity: tuple[str, ...] = ()
    box: str | None = None


def translator(source: Schema, hosted: Hosted) -> Translate:
    """Find how rows of one schema are written under another.

    Raises:
        DocumentError: The two have other keys, vectors or properties, or a type that can't become the other's.
    """
    target = hosted.schema
    if target == source:
        return lambda row: row
    if (target.key_kind, _shapes(target)) != (source.key_kind, _shapes(source)):
        raise DocumentError("a collection is held with other keys or vectors than it has")
    if hosted.box is not None:
        return _boxing(hosted.box)
    types = {one.name: one.type for one in target.properties}
    if types.keys() != {one.name for one in source.properties}:
        raise DocumentError("a collection is held with other properties than it has")
    return _respelling({one.name: _conversion(source.family, one.type, types[one.name]) for one in source.properties})


def as_files(schema: Schema) -> Hosted:
    """Give a collection of any family as one of the family `files`: typed as far as no value changes by it."""
    if schema.family is Family.FILES:
        return Hosted(schema)
    properties = tuple(Property(one.name, _files_type(schema.family, one.type)) for one in schema.properties)
    fidelity = [
        f"{one.name}: {one.type} as {made.type}"
        for one, made in zip(schema.properties, properties, strict=True)
        if one.type != made.type
    ]
    if schema.engine:
        fidelity.append(f"what only {schema.family} rebuilds is left out: indexes, defaults, rules")
    taken = {one.name for one in schema.properties}
    key = Property(_key_name(schema.key.name, taken), _KEY_TYPES[schema.key_kind])
    if key.name != schema.key.name:
        fidelity.append(f"{schema.key.name}: the key, as {key.name}")
    made_schema = Schema(Family.FILES, key, schema.key_kind, schema.vectors, properties, {})
    return Hosted(made_schema, tuple(fidelity))


def _key_name(name: str, taken: Collection[str]) -> str:
    """Name the key as files without a head need it named, where that is free."""
    return next((one for one in (name, *KEY_NAMES) if one in KEY_NAMES and one not in taken), name)


def _files_type(family: Family, name: str) -> str:
    if family is Family.POSTGRESQL:
        return _FROM_POSTGRESQL.get(name, "text")  # reals too: text keeps NaN, infinity and every digit
    inner, array = (name.removesuffix("[]"), "[]") if name.endswith("[]") else (name, "")
    inner = "bytes" if inner == "blob" else inner
    return f"{inner}{array}" if inner in TYPES else "json"


def _shapes(schema: Schema) -> list[tuple[str, int]]:
    return [(space.name, space.dims) for space in schema.vectors]


def _boxing(name: str) -> Translate:
    return lambda row: row._replace(properties=encode_properties({name: row.properties.decode("utf-8")}))


def _respelling(conversions: dict[str, _Convert]) -> Translate:
    def translated(row: Row) -> Row:
        found = decode_properties(row.key, row.properties)
        try:
            written = {name: conversions[name](value) for name, value in found.items()}
        except (KeyError, ValueError, TypeError, RecursionError) as error:
            raise DocumentError(f"the row {decode_key(row.key)!r} is not of its schema: {error}") from error
        return row._replace(properties=encode_properties(written))

    return translated


def _conversion(family: Family, source: str, target: str) -> _Convert:
    if family is not Family.POSTGRESQL:
        wanted = target == "text" and source != "text"
        return _as_text if wanted else _same
    found = _OF_TEXT.get(target)
    if found is None:
        raise DocumentError(f'a "{source}" of PostgreSQL can\'t be held as "{target}"')
    return found


def _same(value: object) -> object:
    return value


def _as_text(value: object) -> object:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))


_OF_TEXT: dict[str, _Convert] = {
    "text": _same,
    "uuid": _same,
    "int": lambda text: int(str(text)),
    "boolean": lambda text: str(text) == "true",
    "blob": lambda text: _OF_TEXT["bytes"](text),
    "bytes": lambda text: b64encode(bytes.fromhex(str(text).removeprefix("\\x"))).decode("ascii"),
}
