"""Reading single columns of a segment's files, for those who need no whole rows."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from regalia.core.errors import DocumentError
from regalia_registry.domain.snapshots.listing import Segment
from regalia_registry.domain.snapshots.rows import MAX_KEY
from regalia_registry.segments.reading import dead_rows, lives, require_count, require_rows

Mask = NDArray[np.bool_]

_MAX_GROUP_BYTES = 128 * 1024 * 1024  # ours have 12 MiB, and one row more
_MAX_PIECE_ROWS = 1024
_FLOAT_BYTES = 4
_PART_ROWS = 100_000
_KEYS = pa.schema([("key", pa.binary()), ("digest", pa.binary(32))])


@dataclass(frozen=True, slots=True)
class RowGroup:
    """Some consecutive rows of a file, from the row `start`; `marked` says for each whether it is asked for."""

    file: pq.ParquetFile
    path: Path
    number: int
    start: int
    marked: Mask

    def read(self, *columns: str) -> pa.Table:
        """Read columns of all its rows.

        Raises:
            DocumentError: They are not there, or damaged, or more than a row group of ours ever holds.
        """
        with translated(self.path.name):
            pieces, size_bytes = list[pa.Table](), 0
            for piece in self.file.iter_batches(
                self._piece_rows(columns), row_groups=[self.number], columns=list(columns), use_threads=False
            ):
                pieces.append(_unpacked(pa.Table.from_batches([piece])))
                size_bytes += pieces[-1].nbytes
                self._require_room(size_bytes)
            return pa.concat_tables(pieces).select(list(columns))

    def keys(self) -> pa.ChunkedArray:
        """Read the keys of all its rows.

        Raises:
            DocumentError: They are not there, or none.
        """
        found = self.read("key")
        with translated(self.path.name):
            keys = found["key"].cast(pa.binary())
            if keys.null_count or (pc.max(pc.binary_length(keys)).as_py() or 0) > MAX_KEY + 1:
                raise DocumentError(f'the segment file "{self.path.name}" has a key that is none')
        return keys

    def _piece_rows(self, columns: Collection[str]) -> int:
        """Say how many rows are read at a time: in a file, one long text may stand for thousands."""
        footer = self.file.metadata.row_group(self.number)
        largest = 1
        for column in map(footer.column, range(footer.num_columns)):
            if column.path_in_schema in columns:
                largest = max(largest, column.total_uncompressed_size)
            elif column.path_in_schema.startswith(tuple(f"{name}." for name in columns)):
                self._require_room(column.num_values * _FLOAT_BYTES)  # a list of numbers, which has no long ones
        self._require_room(largest)
        return min(_MAX_PIECE_ROWS, max(1, _MAX_GROUP_BYTES // largest))

    def _require_room(self, size_bytes: int) -> None:
        if size_bytes > _MAX_GROUP_BYTES:
            raise DocumentError(
                f'the segment file "{self.path.name}" has a row group of more than {_MAX_GROUP_BYTES} bytes',
                hint="take the snapshot again, under another name",
            )


def row_groups(path: Path, marked: Mask) -> Iterator[RowGroup]:
    """Give those row groups of a file that hold a marked row.

    Raises:
        DocumentError: It is no Parquet file, or has another number of rows.
    """
    require_count(path, len(marked))
    with translated(path.name):
        file = pq.ParquetFile(path)
    with file:
        start = 0
        for number in range(file.num_row_groups):
            here = marked[start : start + file.metadata.row_group(number).num_rows]
            if here.any():
                yield RowGroup(file, path, number, start, here)
            start += len(here)


def read_marked_keys(path: Path, marked: Mask) -> Iterator[tuple[list[bytes], list[bytes]]]:
    """Read the marked rows' keys and digests, a row group at a time.

    Raises:
        DocumentError: It is no file of keys, or has another number of rows.
    """
    for group in row_groups(path, marked):
        found = group.read(*_KEYS.names)
        with translated(path.name):
            rows = found.cast(_KEYS).filter(pa.array(group.marked))
        yield rows["key"].to_pylist(), rows["digest"].to_pylist()


def read_marked_digests(body: bytes, segment: Segment, marked: Mask) -> Iterator[dict[bytes, bytes]]:
    """Read the digests of the marked rows by their keys, from a file of keys that is held in memory, in large parts.

    Raises:
        DocumentError: It is no file of keys, has another number of rows, or has a key twice in one part.
    """
    with translated(segment.keys_title), pq.ParquetFile(pa.BufferReader(body)) as file:
        sizes = [int(file.metadata.row_group(number).num_rows) for number in range(file.num_row_groups)]
        require_rows(sum(sizes), segment.count, of=segment.keys_title)
        start = 0
        for groups in _parts(sizes):
            size = sum(sizes[number] for number in groups)
            places = np.flatnonzero(marked[start : start + size])
            start += size
            if len(places):
                table = file.read_row_groups(groups, columns=_KEYS.names).cast(_KEYS)
                require_rows(table.num_rows, size, of=segment.keys_title)
                found = table.take(pa.array(places))
                by_key = dict(zip(found["key"].to_pylist(), found["digest"].to_pylist(), strict=True))
                if len(by_key) != len(places):
                    raise twice()
                yield by_key


def _parts(sizes: Sequence[int]) -> Iterator[list[int]]:
    """Cut row groups into parts that are read at once."""
    part, rows = list[int](), 0
    for number, size in enumerate(sizes):
        part.append(number)
        rows += size
        if rows >= _PART_ROWS:
            yield part
            part, rows = [], 0
    if part:
        yield part


def twice() -> DocumentError:
    """Give the error for a snapshot in which a key stands twice."""
    return DocumentError("a key stands twice in a snapshot", hint="reg snapshot verify")


def alive(segment: Segment, tombstones: bytes) -> Mask:
    """Mark the rows of a segment that live.

    Raises:
        DocumentError: The bitmap does not agree with the list.
    """
    return lives(dead_rows(segment, tombstones), segment.count)


def _unpacked(table: pa.Table) -> pa.Table:
    """Spell every value out where a file says that it is to be read as a dictionary."""
    if not any(pa.types.is_dictionary(field.type) for field in table.schema):
        return table
    plain = [
        field.with_type(field.type.value_type) if pa.types.is_dictionary(field.type) else field
        for field in table.schema
    ]
    return table.cast(pa.schema(plain))


@contextmanager
def translated(name: str) -> Iterator[None]:
    """Turn what goes wrong while a file is read into our error.

    Raises:
        DocumentError: The file is damaged, or not what it should be.
    """
    try:
        yield
    except (pa.ArrowException, OSError, KeyError, ValueError) as error:
        raise DocumentError(f'the segment file "{name}" can\'t be read: {error}') from error
