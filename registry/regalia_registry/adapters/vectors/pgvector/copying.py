"""Rows in PostgreSQL's binary COPY: keys and vectors as bytes, every other column as its own text."""

import json
import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from uuid import UUID

import numpy as np
from typing_extensions import Buffer

from regalia.core.errors import DocumentError
from regalia.core.kinds.snapshot import VectorSpace
from regalia_registry.domain.snapshots.rows import Row, decode_key, encode_key
from regalia_registry.domain.snapshots.schema import KeyKind, Schema

SIGNATURE = b"PGCOPY\n\xff\r\n\0" + struct.pack(">II", 0, 0)
TRAILER = struct.pack(">h", -1)

_HEADER_BYTES = len(SIGNATURE)
_BATCH = 2000
_LENGTH = struct.Struct(">i")
_FIELDS = struct.Struct(">h")
_VECTOR_HEAD = struct.Struct(">HH")
_INTEGERS = {2: struct.Struct(">h"), 4: struct.Struct(">i"), 8: struct.Struct(">q")}
_INT64 = struct.Struct(">q")
_NULL = _LENGTH.pack(-1)
_QUOTE = json.JSONEncoder(ensure_ascii=False).encode  # made once: json.dumps would make one for every value

Field = bytes | memoryview | None


def read_rows(blocks: Iterable[Buffer], schema: Schema) -> Iterator[list[Row]]:
    """Read what `COPY (SELECT key, vectors…, properties::text…) TO STDOUT (FORMAT BINARY)` sends.

    Raises:
        DocumentError: A row that a snapshot can't hold.
    """
    names = [_QUOTE(one.name) for one in schema.properties]
    key_of = _KEY_READERS[schema.key_kind]
    waiting: list[list[Field]] = []
    for fields in _tuples(blocks):
        waiting.append(fields)
        if len(waiting) == _BATCH:
            yield _rows(waiting, schema, names, key_of)
            waiting = []
    if waiting:
        yield _rows(waiting, schema, names, key_of)


def write_rows(rows: Sequence[Row], schema: Schema) -> Iterator[bytes]:
    """Write rows for a COPY into (key as bytes of its type, vectors, properties as text).

    Raises:
        DocumentError: A row that is not of this schema.
    """
    key_to = _KEY_WRITERS[schema.key_kind]
    count = _FIELDS.pack(1 + len(schema.vectors) + len(schema.properties))
    yield SIGNATURE
    for row in rows:
        vectors, properties = dict(row.vectors), json.loads(row.properties)
        parts = [count, _sized(key_to(row.key))]
        parts += [_vector(vectors.get(space.name), space) for space in schema.vectors]
        parts += [_text(properties.get(one.name)) for one in schema.properties]
        yield b"".join(parts)
    yield TRAILER


def _tuples(blocks: Iterable[Buffer]) -> Iterator[list[Field]]:
    """Cut the stream into tuples; a block holds whole ones."""
    is_first = True
    for block in blocks:
        view, place = memoryview(block), 0
        if is_first:
            place, is_first = _HEADER_BYTES, False
        while place < len(view):
            (count,) = _FIELDS.unpack_from(view, place)
            place += 2
            if count < 0:  # the trailer; the stream is read to its end all the same, or its connection stays busy
                break
            fields: list[Field] = []
            for _ in range(count):
                (length,) = _LENGTH.unpack_from(view, place)
                place += 4
                if length < 0:
                    fields.append(None)
                else:
                    fields.append(view[place : place + length])
                    place += length
            yield fields


def _rows(
    found: Sequence[Sequence[Field]], schema: Schema, names: Sequence[str], key_of: Callable[[bytes], bytes]
) -> list[Row]:
    keys = [key_of(bytes(fields[0] or b"")) for fields in found]
    columns = [
        (space.name, _floats([fields[1 + place] for fields in found], space, keys))
        for place, space in enumerate(schema.vectors)
    ]
    start = 1 + len(schema.vectors)
    return [
        Row(
            key,
            tuple((name, content) for name, contents in columns if (content := contents[place]) is not None),
            _properties(names, fields[start:]),
        )
        for place, (key, fields) in enumerate(zip(keys, found, strict=True))
    ]


def _floats(found: Sequence[Field], space: VectorSpace, keys: Sequence[bytes]) -> list[bytes | None]:
    """Turn a batch of vectors into little-endian bytes at once."""
    size_bytes = 4 * space.dims
    for place, content in enumerate(found):
        if content is not None and len(content) != 4 + size_bytes:
            raise DocumentError(
                f'the row {decode_key(keys[place])} has {len(content) // 4 - 1} dimensions in "{space.name}", '
                f"not {space.dims}"
            )
    whole = b"".join(bytes(content[4:]) for content in found if content is not None)
    numbers = np.frombuffer(whole, ">f4")
    if not np.isfinite(numbers).all():
        raise DocumentError(f'the vector "{space.name}" of a row holds NaN or infinity')
    turned, place = memoryview(numbers.astype("<f4").tobytes()), 0
    contents: list[bytes | None] = []
    for content in found:
        if content is None:
            contents.append(None)
            continue
        contents.append(bytes(turned[place : place + size_bytes]))
        place += size_bytes
    return contents


def _properties(names: Sequence[str], fields: Sequence[Field]) -> bytes:
    """Write canonical properties: the names are sorted, every value is a text."""
    parts = [
        f"{name}:{_QUOTE(str(value, 'utf-8'))}" for name, value in zip(names, fields, strict=True) if value is not None
    ]
    return ("{" + ",".join(parts) + "}").encode("utf-8")


def _sized(content: bytes) -> bytes:
    return _LENGTH.pack(len(content)) + content


def _text(value: object) -> bytes:
    if value is None:
        return _NULL
    if not isinstance(value, str):
        raise DocumentError("a property of a PostgreSQL snapshot is a text")
    return _sized(value.encode("utf-8"))


def _vector(content: bytes | None, space: VectorSpace) -> bytes:
    if content is None:
        return _NULL
    if len(content) != 4 * space.dims:
        raise DocumentError(f'a vector "{space.name}" has {len(content) // 4} dimensions, not {space.dims}')
    return _sized(_VECTOR_HEAD.pack(space.dims, 0) + np.frombuffer(content, "<f4").astype(">f4").tobytes())


def _read_integer(raw: bytes) -> bytes:
    return encode_key(_INTEGERS[len(raw)].unpack(raw)[0])


def _write_integer(encoded: bytes) -> bytes:
    value = decode_key(encoded)
    if not isinstance(value, int):
        raise DocumentError("a key is no integer, as its schema says")
    return _INT64.pack(value)


def _write_uuid(encoded: bytes) -> bytes:
    value = decode_key(encoded)
    if not isinstance(value, UUID):
        raise DocumentError("a key is no UUID, as its schema says")
    return value.bytes


def _write_text(encoded: bytes) -> bytes:
    value = decode_key(encoded)
    if not isinstance(value, str):
        raise DocumentError("a key is no text, as its schema says")
    return value.encode("utf-8")


_KEY_READERS: dict[KeyKind, Callable[[bytes], bytes]] = {
    KeyKind.UUID: lambda raw: encode_key(UUID(bytes=raw)),
    KeyKind.INTEGER: _read_integer,
    KeyKind.TEXT: lambda raw: encode_key(str(raw, "utf-8")),
}
_KEY_WRITERS: dict[KeyKind, Callable[[bytes], bytes]] = {
    KeyKind.UUID: _write_uuid,
    KeyKind.INTEGER: _write_integer,
    KeyKind.TEXT: _write_text,
}
