"""Reading single columns of a segment's files, for those who need no whole rows."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from regalia.core.errors import DocumentError
from regalia_registry.domain.snapshots.listing import Segment
from regalia_registry.segments.reading import dead_rows, lives, require_count, require_rows

Mask = NDArray[np.bool_]

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
            DocumentError: They are not there, or damaged.
        """
        with _translated(self.path.name):
            return self.file.read_row_group(self.number, columns=list(columns)).select(list(columns))


def row_groups(path: Path, marked: Mask) -> Iterator[RowGroup]:
    """Give those row groups of a file that hold a marked row.

    Raises:
        DocumentError: It is no Parquet file, or has another number of rows.
    """
    require_count(path, len(marked))
    with _translated(path.name):
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
        with _translated(path.name):
            rows = found.cast(_KEYS).filter(pa.array(group.marked))
        yield rows["key"].to_pylist(), rows["digest"].to_pylist()


def read_marked_digests(body: bytes, segment: Segment, marked: Mask) -> Iterator[dict[bytes, bytes]]:
    """Read the digests of the marked rows by their keys, from a file of keys that is held in memory, in large parts.

    Raises:
        DocumentError: It is no file of keys, has another number of rows, or has a key twice in one part.
    """
    with _translated(segment.keys_title), pq.ParquetFile(pa.BufferReader(body)) as file:
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


@contextmanager
def _translated(name: str) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError, KeyError, ValueError) as error:
        raise DocumentError(f'the segment file "{name}" can\'t be read: {error}') from error
