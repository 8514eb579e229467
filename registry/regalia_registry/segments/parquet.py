"""Segments as Parquet that any tool opens: keys with row digests in one file, whole rows in the other."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from regalia.core.digest import Digest
from regalia.core.errors import DocumentError
from regalia.core.kinds.snapshot import VectorSpace
from regalia_registry.domain.snapshots.rows import Row

SEGMENT_BYTES = 64 * 1024 * 1024

_GROUP_BYTES = 12 * 1024 * 1024
_PAGE_BYTES = 1024 * 1024
_DIGEST_BYTES = 32
_FLOAT_BYTES = 4
_VECTOR = "vector:"
_KEY = pa.field("key", pa.binary(), nullable=False)
_KEYS = pa.schema([_KEY, pa.field("digest", pa.binary(_DIGEST_BYTES), nullable=False)])


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


@dataclass(slots=True)
class _Group:
    """Rows of one row group, on their way to the file."""

    rows: list[Row] = field(default_factory=list)
    digests: list[bytes] = field(default_factory=list)
    size_bytes: int = 0


class SegmentWriter:
    """Cuts rows into segments of about 64 MiB of raw bytes; finished ones can be stored while others are written."""

    def __init__(self, folder: Path, spaces: Sequence[VectorSpace]) -> None:
        """Write nothing yet."""
        self._folder = folder
        self._spaces = tuple(spaces)
        self._schema = _rows_schema(spaces)
        self._group = _Group()
        self._open: tuple[pq.ParquetWriter, pq.ParquetWriter] | None = None
        self._number = self._count = self._size_bytes = 0

    def add(self, row: Row, digest: bytes) -> StoredSegment | None:
        """Take a row; gives the segment that it completes."""
        group = self._group
        group.rows.append(row)
        group.digests.append(digest)
        group.size_bytes += len(row.key) + len(row.properties) + sum(len(content) for _, content in row.vectors)
        if group.size_bytes < _GROUP_BYTES:
            return None
        self._flush()
        return self.finish() if self._size_bytes >= SEGMENT_BYTES else None

    def finish(self) -> StoredSegment | None:
        """Complete the segment that is open; None where no row came since the last."""
        self._flush()
        if self._open is None:
            return None
        for writer in self._open:
            writer.close()
        keys, rows = self._paths()
        made = StoredSegment(StoredFile.of(keys), StoredFile.of(rows), self._count)
        self._open, self._count, self._size_bytes = None, 0, 0
        self._number += 1
        return made

    def _flush(self) -> None:
        group, self._group = self._group, _Group()
        if not group.rows:
            return
        keys, rows = self._open or self._started()
        key_column = pa.array([row.key for row in group.rows], pa.binary())
        keys.write_table(pa.table([key_column, pa.array(group.digests, pa.binary(_DIGEST_BYTES))], schema=_KEYS))
        vectors = [_vectors(group.rows, space) for space in self._spaces]
        properties = pa.array([row.properties for row in group.rows], pa.binary()).cast(pa.string())
        rows.write_table(pa.table([key_column, *vectors, properties], schema=self._schema))
        self._count += len(group.rows)
        self._size_bytes += group.size_bytes

    def _started(self) -> tuple[pq.ParquetWriter, pq.ParquetWriter]:
        keys, rows = self._paths()
        split = [f"{_VECTOR}{space.name}.list.element" for space in self._spaces]
        self._open = _writer(keys, _KEYS, []), _writer(rows, self._schema, split)
        return self._open

    def _paths(self) -> tuple[Path, Path]:
        return self._folder / f"{self._number:06}.keys.parquet", self._folder / f"{self._number:06}.rows.parquet"


def read_keys(path: Path) -> Iterator[tuple[list[bytes], list[bytes]]]:
    """Read a segment's keys and row digests, a row group at a time.

    Raises:
        DocumentError: It is no such file.
    """
    for table in _tables(path, _KEYS):
        yield table["key"].to_pylist(), table["digest"].to_pylist()


def read_rows(path: Path, spaces: Sequence[VectorSpace]) -> Iterator[list[Row]]:
    """Read a segment's rows, a row group at a time.

    Raises:
        DocumentError: It is no such file.
    """
    for table in _tables(path, _rows_schema(spaces)):
        keys = table["key"].to_pylist()
        properties = table["properties"].cast(pa.binary()).to_pylist()
        columns = [(space.name, _contents(table[f"{_VECTOR}{space.name}"], space)) for space in spaces]
        yield [
            Row(
                key,
                tuple((name, content) for name, contents in columns if (content := contents[place]) is not None),
                properties[place],
            )
            for place, key in enumerate(keys)
        ]


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


def _vectors(rows: Sequence[Row], space: VectorSpace) -> pa.Array:
    """Make a list column of one vector; a row that lacks it is null."""
    found = [next((content for name, content in row.vectors if name == space.name), None) for row in rows]
    ends = np.cumsum([0, *(0 if content is None else space.dims for content in found)], dtype=np.int32)
    flat = np.frombuffer(b"".join(content for content in found if content is not None), "<f4")
    absent = pa.array([content is None for content in found])
    return pa.ListArray.from_arrays(pa.array(ends), pa.array(flat), mask=absent)


def _contents(column: pa.ChunkedArray, space: VectorSpace) -> list[bytes | None]:
    """Give each row's vector as its bytes."""
    found: list[bytes | None] = []
    for chunk in column.chunks:
        flat = memoryview(np.ascontiguousarray(chunk.values.to_numpy(), "<f4").tobytes())
        ends = (chunk.offsets.to_numpy() * _FLOAT_BYTES).tolist()
        for place, here in enumerate(chunk.is_valid().to_pylist()):
            content = bytes(flat[ends[place] : ends[place + 1]])
            if here and len(content) != space.dims * _FLOAT_BYTES:
                raise DocumentError(f'a segment holds a vector "{space.name}" of another size than {space.dims}')
            found.append(content if here else None)
    return found


def _tables(path: Path, schema: pa.Schema) -> Iterator[pa.Table]:
    try:
        with pq.ParquetFile(path) as file:
            for number in range(file.num_row_groups):
                yield file.read_row_group(number, columns=schema.names).cast(schema)
    except (pa.ArrowException, OSError, KeyError, ValueError) as error:
        raise DocumentError(f'the segment file "{path.name}" can\'t be read: {error}') from error
