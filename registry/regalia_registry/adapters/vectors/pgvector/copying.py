"""Rows in PostgreSQL's binary COPY: keys and vectors as bytes, every other column as its own text."""

import json
import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Any
from uuid import UUID

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg.errors import error_from_result
from psycopg.pq import ExecStatus
from psycopg.pq.abc import PGconn

from regalia.core.errors import DocumentError
from regalia.core.kinds.snapshot import VectorSpace
from regalia_registry.domain.snapshots.rows import (
    INTEGER_KEY,
    UUID_KEY,
    Row,
    Rows,
    decode_key,
    decode_properties,
    encode_key,
)
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

_SPACE, _QUOTE_MARK, _BACKSLASH = b' "\\'

Field = bytes | None
Block = memoryview | bytes


def read_blocks(connection: PGconn, copy: psycopg.Copy) -> Iterator[Block]:
    """Read a binary COPY to its end: what has come is taken from libpq, and the driver waits for more.

    To have the driver fetch each row costs a third more.

    Raises:
        psycopg.Error: The server ended it, or is gone.
    """
    block: Block = SIGNATURE
    while len(block) > len(TRAILER):
        size_bytes, block = connection.get_copy_data(1)
        if size_bytes < 0:  # an error stands where a row should, or the table is empty
            _require_done(connection)
            return
        if size_bytes == 0:
            block = bytes(copy.read())
        yield block
    while copy.read():
        pass


def _require_done(connection: PGconn) -> None:
    for result in list(iter(connection.get_result, None)):
        if result.status != ExecStatus.COMMAND_OK:
            raise error_from_result(result)


def read_rows(blocks: Iterable[Block], schema: Schema) -> Iterator[Rows]:
    """Read what `COPY (SELECT key, vectors…, properties::text…) TO STDOUT (FORMAT BINARY)` sends.

    An integer key is a bigint. Batches are cut by rows and by bytes, so that wide rows fit into memory too.

    Raises:
        DocumentError: A row that a snapshot can't hold.
    """
    waiting: list[Block] = []
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
        vectors, properties = dict(row.vectors), decode_properties(row.key, row.properties)
        parts = [count, _sized(key_to(row.key))]
        parts += [_vector(vectors.get(space.name), space) for space in schema.vectors]
        parts += [_text(properties.get(one.name)) for one in schema.properties]
        yield b"".join(parts)
    yield TRAILER


def _tuples(blocks: Iterable[Block]) -> Iterator[Block]:
    """Give each tuple; the stream is read to its end, or its connection stays busy."""
    # PostgreSQL's protocol, COPY operations: CopyData messages are "always one per row"; the header begins the first
    blocks = iter(blocks)
    first = next(blocks, b"")[_HEADER_BYTES:]
    if len(first) > len(TRAILER):
        yield first
    for block in blocks:
        if len(block) > len(TRAILER):
            yield block


@dataclass(frozen=True, slots=True)
class _Column:
    """Where one field of each tuple of a batch stands; its length is negative where it is null."""

    whole: bytes
    starts: NDArray[np.int64]
    lengths: NDArray[np.int64]

    def cut(self) -> list[Field]:
        """Give each field."""
        whole = self.whole
        cuts = zip(self.starts.tolist(), (self.starts + self.lengths).tolist(), strict=True)
        if self.lengths.min() >= 0:
            return [whole[start:stop] for start, stop in cuts]
        is_there = (self.lengths >= 0).tolist()
        return [whole[cut[0] : cut[1]] if here else None for cut, here in zip(cuts, is_there, strict=True)]

    def copied(self, size_bytes: int, *, head_bytes: int = 0) -> NDArray[np.uint8]:
        """Copy so many bytes of each field that is there, behind its first, into the rows of one array."""
        begins = np.ndarray(
            (max(0, len(self.whole) - size_bytes + 1), size_bytes), np.uint8, self.whole, strides=(1, 1)
        )
        starts = self.starts if self.lengths.min() >= 0 else self.starts[self.lengths >= 0]
        return begins[starts + head_bytes]


def _rows(messages: Sequence[Block], schema: Schema) -> Rows:
    key, *columns = _columns(messages, 1 + len(schema.vectors) + len(schema.properties))
    try:
        keys = _KEY_READERS[schema.key_kind](key)
        vectors = zip(schema.vectors, columns, strict=False)
        return Rows(
            keys,
            tuple((space.name, _floats(column, space, keys)) for space, column in vectors),
            _properties([one.name for one in schema.properties], columns[len(schema.vectors) :], len(keys)),
        )
    except UnicodeDecodeError as error:
        raise DocumentError(
            "a text of the collection is no UTF-8", hint="recode the database: its encoding is SQL_ASCII"
        ) from error


def _columns(messages: Sequence[Block], count: int) -> list[_Column]:
    """Find the fields of a batch of tuples, one field of all tuples at a time."""
    whole = b"".join(messages)
    at_each_byte = np.ndarray((max(len(whole) - _LENGTH.size, 0) + 1,), ">i4", whole.ljust(4), strides=(1,))
    ends = np.cumsum(np.fromiter(map(len, messages), np.int64, len(messages)))
    places = np.concatenate([[0], ends[:-1]]) + _FIELDS.size
    columns: list[_Column] = []
    for _ in range(count):
        if int(places[-1]) >= len(at_each_byte):
            raise _misshapen()
        lengths = at_each_byte[places].astype(np.int64)
        starts = places + _LENGTH.size
        columns.append(_Column(whole, starts, lengths))
        places = starts + np.maximum(lengths, 0)
    if (places != ends).any():
        raise _misshapen()
    return columns


def _misshapen() -> DocumentError:
    return DocumentError("the database sends rows of another shape than its collection has", hint="try again")


def _floats(column: _Column, space: VectorSpace, keys: Sequence[bytes]) -> Sequence[Field]:
    """Turn a batch of vectors into little-endian bytes at once."""
    size_bytes = _FLOAT_BYTES * space.dims
    is_there = column.lengths >= 0
    is_bad = is_there & (column.lengths != _VECTOR_HEAD.size + size_bytes)
    if is_bad.any():
        bad = int(np.argmax(is_bad))
        dims = int(column.lengths[bad]) // _FLOAT_BYTES - 1
        raise DocumentError(
            f'the row {decode_key(keys[bad])} has {dims} dimensions in "{space.name}", not {space.dims}'
        )
    numbers = column.copied(size_bytes, head_bytes=_VECTOR_HEAD.size).view(">f4").astype("<f4")
    is_finite = np.isfinite(numbers)
    if not is_finite.all():
        bad = int(np.flatnonzero(is_there)[int(np.argmin(is_finite)) // space.dims])
        raise DocumentError(f'the vector "{space.name}" of the row {decode_key(keys[bad])} holds NaN or infinity')
    contents = _listed(numbers)
    if len(contents) == len(is_there):
        return contents
    cuts = iter(contents)
    return [next(cuts) if here else None for here in is_there.tolist()]


def _listed(table: NDArray[Any]) -> list[bytes]:
    """Give the bytes of each of its rows."""
    found: list[bytes] = table.view(f"V{table.strides[0]}").ravel().tolist()
    return found


def _properties(names: Sequence[str], columns: Sequence[_Column], count: int) -> list[bytes]:
    """Write canonical properties: the names are sorted, every value is a text."""
    quoted = [_QUOTE(name).encode("utf-8") for name in names]
    texts = [_escaped(column) for column in columns]
    if texts and not any(None in column for column in texts):
        heads = [b"{" + quoted[0] + b':"', *(b'",' + name + b':"' for name in quoted[1:])]
        parts = [part for head, column in zip(heads, texts, strict=True) for part in (repeat(head), column)]
        return list(map(b"".join, zip(*parts, repeat(b'"}'))))  # a head is repeated for ever
    written = [
        [None if text is None else name + b':"' + text + b'"' for text in column]
        for name, column in zip(quoted, texts, strict=True)
    ]
    rows = zip(*written, strict=True) if written else [()] * count
    return [b"{" + b",".join(filter(None, row)) + b"}" for row in rows]


def _escaped(column: _Column) -> list[Field]:
    """Give each text as it stands between a JSON string's quotes; most need nothing, and are looked at together."""
    texts = column.cut()
    # The server sends no NUL in a text: with one between, two broken texts never make one that is none.
    joined = b"\0".join([text or b"" for text in texts])
    str(joined, "utf-8")
    for place in _specials(joined, np.maximum(column.lengths, 0)):
        texts[place] = _QUOTE(str(texts[place] or b"", "utf-8"))[1:-1].encode("utf-8")
    return texts


def _specials(joined: bytes, lengths: NDArray[np.int64]) -> list[int]:
    """Name the texts that hold what JSON escapes: quotes, backslashes, control characters."""
    found = np.frombuffer(joined, np.uint8)
    is_special = (found < _SPACE) | (found == _QUOTE_MARK) | (found == _BACKSLASH)
    ends = np.cumsum(lengths + 1)
    is_special[ends[:-1] - 1] = False
    if not is_special.any():
        return []
    found_in: list[int] = np.unique(np.searchsorted(ends, np.flatnonzero(is_special), side="right")).tolist()
    return found_in


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


def _fixed_keys(kind: bytes, size_bytes: int) -> Callable[[_Column], list[bytes]]:
    """Give what reads keys of one size."""

    def read(column: _Column) -> list[bytes]:
        if (column.lengths != size_bytes).any():
            raise _misshapen()
        keys = np.full((len(column.lengths), len(kind) + size_bytes), kind[0], np.uint8)
        keys[:, len(kind) :] = column.copied(size_bytes)
        return _listed(keys)

    return read


_KEY_READERS: dict[KeyKind, Callable[[_Column], list[bytes]]] = {
    KeyKind.UUID: _fixed_keys(UUID_KEY, 16),
    KeyKind.INTEGER: _fixed_keys(INTEGER_KEY, _INT64.size),
    KeyKind.TEXT: lambda column: [encode_key(str(raw or b"", "utf-8")) for raw in column.cut()],
}
_KEY_WRITERS: dict[KeyKind, Callable[[bytes], bytes]] = {
    KeyKind.UUID: _write_uuid,
    KeyKind.INTEGER: _write_integer,
    KeyKind.TEXT: _write_text,
}
