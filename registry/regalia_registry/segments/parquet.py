"""Segments as Parquet that any tool opens: keys with row digests in one file, whole rows in the other."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from itertools import chain
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from regalia.core.digest import Digest
from regalia.core.errors import DocumentError
from regalia.core.kinds.snapshot import VectorSpace
from regalia_registry.domain.snapshots.rows import (
    INTEGER_KEY,
    MAX_KEY,
    MAX_PROPERTIES_BYTES,
    TEXT_KEY,
    UUID_KEY,
    Rows,
    decode_key,
)
from regalia_registry.domain.snapshots.schema import KeyKind, Schema

_PAGE_BYTES = 1024 * 1024
_BATCH_BYTES = 12 * 1024 * 1024
_PIECE_ROWS = 32
_DIGEST_BYTES = 32
_FLOAT_BYTES = 4
_VECTOR = "vector:"
_KEY = pa.field("key", pa.binary(), nullable=False)
_DIGEST = pa.field("digest", pa.binary(_DIGEST_BYTES), nullable=False)
_KEYS_OF = {
    KeyKind.UUID: (UUID_KEY[0], range(17, 18)),
    KeyKind.INTEGER: (INTEGER_KEY[0], range(9, 10)),
    KeyKind.TEXT: (TEXT_KEY[0], range(1, MAX_KEY + 2)),
}
_OPENING, _CLOSING = b"{}"
_NO_ENDS = np.zeros(1, np.int32)
_KEYS = pa.schema([_KEY, _DIGEST])


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A finished file, and the digest of its bytes."""

    path: Path
    digest: Digest
    size_bytes: int

    @classmethod
    def of(cls, path: Path) -> "StoredFile":
        """Hash a file once."""
        state, size_bytes = sha256(), 0
        with path.open("rb") as file:
            while chunk := file.read(_PAGE_BYTES):
                state.update(chunk)
                size_bytes += len(chunk)
        return cls(path, Digest(state.hexdigest()), size_bytes)


@dataclass(frozen=True, slots=True)
class StoredSegment:
    """A finished segment."""

    keys: StoredFile
    rows: StoredFile
    count: int


def row_group(parts: Sequence[Rows], spaces: Sequence[VectorSpace]) -> pa.Table:
    """Make a row group, which holds nothing of the rows that it was made of.

    Raises:
        DocumentError: A vector has another size than its space.
    """
    keys = pa.array([key for rows in parts for key in rows.keys], pa.binary())
    vectors = [_vectors(parts, space) for space in spaces]
    properties = pa.array([text for rows in parts for text in rows.properties], pa.binary()).cast(pa.string())
    return pa.table([keys, *vectors, properties], schema=_rows_schema(spaces))


class SegmentFiles:
    """The two files of one segment, while they are written."""

    def __init__(self, folder: Path, stem: str, spaces: Sequence[VectorSpace]) -> None:
        """Open both."""
        self._paths = folder / f"{stem}.keys.parquet", folder / f"{stem}.rows.parquet"
        split = [f"{_VECTOR}{space.name}.list.element" for space in spaces]
        self._keys = _writer(self._paths[0], _KEYS, [])
        self._rows = _writer(self._paths[1], _rows_schema(spaces), split)
        self._count = 0

    def write(self, group: pa.Table, digests: Sequence[Sequence[bytes]]) -> None:
        """Write a row group, and the digests of its rows."""
        hashes = pa.array(list(chain.from_iterable(digests)), _DIGEST.type)
        self._keys.write_table(pa.table([group["key"], hashes], schema=_KEYS))
        self._rows.write_table(group)
        self._count += len(group)

    def finish(self) -> StoredSegment:
        """Complete both, and hash them."""
        self._keys.close()
        self._rows.close()
        return StoredSegment(StoredFile.of(self._paths[0]), StoredFile.of(self._paths[1]), self._count)

    def close(self) -> None:
        """Let go of both, whether or not they are whole."""
        for file in (self._keys, self._rows):
            with suppress(OSError, pa.ArrowException):  # a file that is cut short is nobody's
                file.close()


def count_rows(path: Path) -> int:
    """Read how many rows a segment's file has.

    Raises:
        DocumentError: It is no such file.
    """
    with _translated(path), pq.ParquetFile(path) as file:
        groups = range(file.num_row_groups)
        return sum(int(file.metadata.row_group(number).num_rows) for number in groups)


def read_digests(path: Path) -> Iterator[bytes]:
    """Read a segment's row digests, one after another, a row group at a time.

    Raises:
        DocumentError: It is no such file.
    """
    for table in _tables(path, pa.schema([_DIGEST])):
        column = table["digest"].combine_chunks()
        _, body = column.buffers()
        yield body[column.offset * _DIGEST_BYTES :][: len(column) * _DIGEST_BYTES].to_pybytes() if len(column) else b""


def read_rows(path: Path, schema: Schema) -> Iterator[Rows]:
    """Read a segment's rows, some megabytes at a time; of the properties it is only looked whether they are braced.

    Raises:
        DocumentError: It is no such file, or a row has a key of another kind, a vector that is none, or no properties.
    """
    for table in _batches(path, _rows_schema(schema.vectors)):
        properties = table["properties"].cast(pa.binary())
        keys = table["key"].to_pylist()
        if (row := _wrong_key(table["key"], schema.key_kind)) is not None:
            raise DocumentError(f'the segment file "{path.name}" has a key that is no {schema.key_kind}: {keys[row]!r}')
        if (row := _unbraced(properties)) is not None:
            raise DocumentError(f'the segment file "{path.name}" has no properties for the row {decode_key(keys[row])}')
        vectors = [(space, _contents(table[f"{_VECTOR}{space.name}"], space)) for space in schema.vectors]
        yield Rows(keys, tuple((space.name, contents) for space, contents in vectors), properties.to_pylist())


def _wrong_key(column: pa.ChunkedArray, kind: KeyKind) -> int | None:
    """Find a key that begins with another byte than its kind's, or has another size."""
    first, _, sizes = _edges(column)
    byte, allowed = _KEYS_OF[kind]
    wrong = (first != byte) | (sizes < allowed.start) | (sizes >= allowed.stop)
    return int(wrong.argmax()) if wrong.any() else None


def _unbraced(column: pa.ChunkedArray) -> int | None:
    """Find a text that can't be a JSON object."""
    first, last, sizes = _edges(column)
    wrong = (first != _OPENING) | (last != _CLOSING) | (sizes > MAX_PROPERTIES_BYTES)
    return int(wrong.argmax()) if wrong.any() else None


def _edges(column: pa.ChunkedArray) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.int32]]:
    """Give the first and last byte of each content, 0 where it is empty, and its size; without looking at any row."""
    whole = column.combine_chunks()
    _, offsets, body = whole.buffers()
    ends = np.frombuffer(offsets, np.int32)[whole.offset : whole.offset + len(whole) + 1] if len(whole) else _NO_ENDS
    sizes = np.diff(ends)
    is_here = sizes > 0
    found = np.frombuffer(body or b"\0", np.uint8)
    first, last = (found[np.where(is_here, place, 0)] * is_here for place in (ends[:-1], ends[1:] - 1))
    return first, last, sizes


def _rows_schema(spaces: Sequence[VectorSpace]) -> pa.Schema:
    vectors = [pa.field(f"{_VECTOR}{space.name}", pa.list_(pa.float32())) for space in spaces]
    return pa.schema([_KEY, *vectors, pa.field("properties", pa.string(), nullable=False)])


def _writer(path: Path, schema: pa.Schema, split: Sequence[str]) -> pq.ParquetWriter:
    return pq.ParquetWriter(
        path,
        schema,
        compression="zstd",
        compression_level=1,
        use_dictionary=False,
        use_byte_stream_split=list(split) or False,
        write_statistics=False,
        data_page_size=_PAGE_BYTES,
        store_schema=False,
    )


def _vectors(parts: Sequence[Rows], space: VectorSpace) -> pa.Array:
    """Make a list column of one vector; a row that lacks it is null.

    Raises:
        DocumentError: A vector has another size than the space.
    """
    found = [content for rows in parts for content in dict(rows.vectors).get(space.name) or [None] * len(rows)]
    is_absent = np.fromiter((content is None for content in found), bool, len(found))
    if {len(content) for content in found if content is not None} - {space.dims * _FLOAT_BYTES}:
        raise DocumentError(f'a vector "{space.name}" of a row has another size than {space.dims} dimensions')
    ends = np.concatenate([[0], np.cumsum(~is_absent * space.dims)]).astype(np.int32)
    flat = np.frombuffer(b"".join(content for content in found if content is not None), "<f4")
    return pa.ListArray.from_arrays(pa.array(ends), pa.array(flat), mask=pa.array(is_absent))


def _contents(column: pa.ChunkedArray, space: VectorSpace) -> list[bytes | None]:
    """Give each row's vector as its bytes."""
    found: list[bytes | None] = []
    for chunk in column.chunks:
        numbers = np.ascontiguousarray(chunk.values.to_numpy(zero_copy_only=False), "<f4")
        if not np.isfinite(numbers).all():
            raise DocumentError(f'a segment holds a vector "{space.name}" with NaN or infinity')
        body = numbers.tobytes()
        ends = chunk.offsets.to_numpy() * _FLOAT_BYTES
        is_here = chunk.is_valid().to_numpy(zero_copy_only=False)
        if (np.diff(ends)[is_here] != space.dims * _FLOAT_BYTES).any():
            raise DocumentError(f'a segment holds a vector "{space.name}" of another size than {space.dims}')
        places = zip(ends[:-1].tolist(), ends[1:].tolist(), is_here.tolist(), strict=True)
        found += [body[start:end] if here else None for start, end, here in places]
    return found


def _tables(path: Path, schema: pa.Schema) -> Iterator[pa.Table]:
    with _translated(path), pq.ParquetFile(path) as file:
        for number in range(file.num_row_groups):
            yield file.read_row_group(number, columns=schema.names).cast(schema)


def _batches(path: Path, schema: pa.Schema) -> Iterator[pa.Table]:
    """Read some megabytes at a time, whatever the row groups are: few bytes can be as many texts of megabytes."""
    with _translated(path), pq.ParquetFile(path) as file:
        waiting, size_bytes = list[pa.Table](), 0
        for piece in file.iter_batches(_PIECE_ROWS, columns=schema.names, use_threads=False):
            waiting.append(pa.Table.from_batches([piece]).cast(schema))
            size_bytes += waiting[-1].nbytes
            if size_bytes >= _BATCH_BYTES:
                yield pa.concat_tables(waiting).combine_chunks()
                waiting, size_bytes = [], 0
        if waiting:
            yield pa.concat_tables(waiting).combine_chunks()


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError, KeyError, ValueError) as error:
        raise DocumentError(f'the segment file "{path.name}" can\'t be read: {error}') from error
