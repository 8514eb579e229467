"""Rows in PostgreSQL's binary COPY: keys and vectors as bytes, every other column as its own text."""

import json
import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from typing_extensions import Buffer

from regalia.core.errors import DocumentError
from regalia.core.kinds.snapshot import VectorSpace
from regalia_registry.domain.snapshots.rows import INTEGER_KEY, UUID_KEY, Row, Rows, decode_key, encode_key
from regalia_registry.domain.snapshots.schema import KeyKind, Schema

SIGNATURE = b"PGCOPY\n\xff\r\n\0" + struct.pack(">II", 0, 0)
TRAILER = struct.pack(">h", -1)

_HEADER_BYTES = len(SIGNATURE)
_BATCH = 2000
_BATCH_BYTES = 256 * 1024  # about what a socket holds: the server goes on while a batch is hashed
_LENGTH = struct.Struct(">i")
_FIELDS = struct.Struct(">h")
_VECTOR_HEAD = struct.Struct(">HH")
_FLOAT_BYTES = 4
_INT64 = struct.Struct(">q")
_NULL = _LENGTH.pack(-1)
_QUOTE = json.JSONEncoder(ensure_ascii=False).encode  # made once: json.dumps would make one for every value

Field = bytes | None


def read_rows(blocks: Iterable[Buffer], schema: Schema) -> Iterator[Rows]:
    """Read what `COPY (SELECT key, vectors…, properties::text…) TO STDOUT (FORMAT BINARY)` sends.

    An integer key is a bigint. Batches are cut by rows and by bytes, so that wide rows fit into memory too.

    Raises:
        DocumentError: A row that a snapshot can't hold.
    """
    waiting: list[bytes] = []
    waiting_bytes = 0
    for message in _tuples(blocks):
        waiting.append(message)
        waiting_bytes += len(message)
        if len(waiting) == _BATCH or waiting_bytes >= _BATCH_BYTES:
            yield _rows(waiting, schema)
            waiting, waiting_bytes = [], 0
    if waiting:
        yield _rows(waiting, schema)


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


def _tuples(blocks: Iterable[Buffer]) -> Iterator[bytes]:
    """Give each tuple; the stream is read to its end, or its connection stays busy."""
    # PostgreSQL's protocol, 54.2.6: the server sends one CopyData message a row, and its header stands before the first
    is_first = True
    for block in blocks:
        message = bytes(block)
        if is_first:
            message, is_first = message[_HEADER_BYTES:], False
        if message and message != TRAILER:
            yield message


def _rows(messages: Sequence[bytes], schema: Schema) -> Rows:
    key, *fields = _fields(messages, 1 + len(schema.vectors) + len(schema.properties))
    try:
        keys = _KEY_READERS[schema.key_kind]([content or b"" for content in key])
        vectors, texts = fields[: len(schema.vectors)], fields[len(schema.vectors) :]
        columns = tuple(
            (space.name, _floats(found, space, keys)) for space, found in zip(schema.vectors, vectors, strict=True)
        )
        return Rows(keys, columns, _properties([one.name for one in schema.properties], texts, len(keys)))
    except UnicodeDecodeError as error:
        raise DocumentError(
            "a text of the collection is no UTF-8", hint="recode the database: its encoding is SQL_ASCII"
        ) from error


def _fields(messages: Sequence[bytes], count: int) -> list[list[Field]]:
    """Cut a batch of tuples into columns, one field of all tuples at a time."""
    whole = b"".join(messages)
    octets = np.frombuffer(whole, np.uint8)
    ends = np.cumsum(np.fromiter(map(len, messages), np.int64, len(messages)))
    places = np.concatenate([[0], ends[:-1]]) + _FIELDS.size
    columns: list[list[Field]] = []
    for _ in range(count):
        lengths = _int32s(octets, places)
        places = places + _LENGTH.size
        stops = places + np.maximum(lengths, 0)
        cuts = zip(places.tolist(), stops.tolist(), strict=True)
        if lengths.min() < 0:
            is_there = (lengths >= 0).tolist()
            columns.append([whole[cut[0] : cut[1]] if here else None for cut, here in zip(cuts, is_there, strict=True)])
        else:
            columns.append([whole[start:stop] for start, stop in cuts])
        places = stops
    if (places != ends).any():
        raise DocumentError("the database sends rows of another shape than its collection has", hint="try again")
    return columns


def _int32s(octets: NDArray[np.uint8], places: NDArray[np.int64]) -> NDArray[np.int64]:
    """Read big-endian numbers at these places."""
    if int(places[-1]) + _LENGTH.size > len(octets):
        raise DocumentError("the database sends rows of another shape than its collection has", hint="try again")
    found = octets[places[:, None] + np.arange(_LENGTH.size)]
    return np.ascontiguousarray(found).view(">i4").ravel().astype(np.int64)


def _floats(found: Sequence[Field], space: VectorSpace, keys: Sequence[bytes]) -> list[bytes | None]:
    """Turn a batch of vectors into little-endian bytes at once."""
    size_bytes = _FLOAT_BYTES * space.dims
    contents = [content[_VECTOR_HEAD.size :] for content in found if content is not None]
    if {len(content) for content in contents} - {size_bytes}:
        raise _wrong_size(found, space, keys)
    numbers = np.frombuffer(b"".join(contents), ">f4").astype("<f4")
    if not np.isfinite(numbers).all():
        places = [place for place, content in enumerate(found) if content is not None]
        bad = places[int(np.argmin(np.isfinite(numbers))) // space.dims]
        raise DocumentError(f'the vector "{space.name}" of the row {decode_key(keys[bad])} holds NaN or infinity')
    turned = numbers.tobytes()
    cuts = iter([turned[start : start + size_bytes] for start in range(0, len(turned), size_bytes)])
    return list(cuts) if len(contents) == len(found) else [None if one is None else next(cuts) for one in found]


def _wrong_size(found: Sequence[Field], space: VectorSpace, keys: Sequence[bytes]) -> DocumentError:
    counts = [space.dims if content is None else len(content) // _FLOAT_BYTES - 1 for content in found]
    bad = next(place for place, count in enumerate(counts) if count != space.dims)
    return DocumentError(
        f'the row {decode_key(keys[bad])} has {counts[bad]} dimensions in "{space.name}", not {space.dims}'
    )


def _properties(names: Sequence[str], columns: Sequence[Sequence[Field]], count: int) -> list[bytes]:
    """Write canonical properties: the names are sorted, every value is a text."""
    written = [
        [None if value is None else f"{name}:{_QUOTE(str(value, 'utf-8'))}" for value in column]
        for name, column in zip(map(_QUOTE, names), columns, strict=True)
    ]
    rows = zip(*written, strict=True) if written else [()] * count
    return [("{" + ",".join(filter(None, texts)) + "}").encode("utf-8") for texts in rows]


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


_KEY_READERS: dict[KeyKind, Callable[[Sequence[bytes]], list[bytes]]] = {
    KeyKind.UUID: lambda column: [UUID_KEY + raw for raw in column],
    KeyKind.INTEGER: lambda column: [INTEGER_KEY + raw for raw in column],
    KeyKind.TEXT: lambda column: [encode_key(str(raw, "utf-8")) for raw in column],
}
_KEY_WRITERS: dict[KeyKind, Callable[[bytes], bytes]] = {
    KeyKind.UUID: _write_uuid,
    KeyKind.INTEGER: _write_integer,
    KeyKind.TEXT: _write_text,
}
