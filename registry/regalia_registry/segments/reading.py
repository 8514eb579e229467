"""Reading a snapshot back: its live rows, and whether they are what its root says."""

from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from regalia.core.digest import Digest
from regalia.core.errors import DigestError, DocumentError
from regalia_registry.domain.snapshots.listing import Listing, Segment
from regalia_registry.domain.snapshots.rows import Row, Rows, row_digests
from regalia_registry.domain.snapshots.schema import Schema
from regalia_registry.segments.parquet import count_rows, read_rows
from regalia_registry.segments.spool import RootSpool

Fetch = Callable[[Segment], Path]


def dead_rows(segment: Segment, tombstones: bytes) -> bytes:
    """Cut a segment's bitmap out of the layer.

    Raises:
        DocumentError: The layer is shorter than the list says, or its bits are not as many as the list counts.
    """
    if segment.tombstones is None:
        return b""
    offset, size_bytes = segment.tombstones
    bitmap = tombstones[offset : offset + size_bytes]
    if len(bitmap) != (segment.count + 7) // 8:
        raise DocumentError(f'the tombstones of "{segment.keys_title}" are cut')
    live = int(lives(bitmap, segment.count).sum())
    if live != segment.live:
        raise DocumentError(f'the tombstones of "{segment.keys_title}" leave {live} rows alive')
    return bitmap


def lives(bitmap: bytes, count: int) -> NDArray[np.bool_]:
    """Mark the rows of a segment that live; its bitmap is empty where all do."""
    if not bitmap:
        return np.ones(count, dtype=bool)
    return ~np.unpackbits(np.frombuffer(bitmap, np.uint8), count=count).astype(bool)


def live_rows(schema: Schema, listing: Listing, tombstones: bytes, fetch: Fetch) -> Iterator[Rows]:
    """Read the rows of all segments that live, in batches; `fetch` gives the file of a segment's rows.

    Raises:
        DocumentError: A file is no segment, or holds another number of rows than is listed.
    """
    for segment in listing.segments:
        yield from _live_of(segment, dead_rows(segment, tombstones), fetch(segment), schema)


def _live_of(segment: Segment, bitmap: bytes, path: Path, schema: Schema) -> Iterator[Rows]:
    require_count(path, segment.count)
    marked = lives(bitmap, segment.count)
    seen = 0
    for rows in read_rows(path, schema):
        here = np.flatnonzero(marked[seen : seen + len(rows)]).tolist()
        seen += len(rows)
        yield rows if len(here) == len(rows) else rows.picked(here)
    if seen != segment.count:
        raise DocumentError(f'the segment "{segment.rows_title}" has {seen} rows, listed are {segment.count}')


def require_count(path: Path, count: int) -> None:
    """Check a file's own number of rows, before anything is made as large as the list says.

    Raises:
        DocumentError: It is no segment, or has another number.
    """
    require_rows(count_rows(path), count, of=path.name)


def require_rows(found: int, count: int, *, of: str) -> None:
    """Check a number of rows.

    Raises:
        DocumentError: It is another than is listed.
    """
    if found != count:
        raise DocumentError(f'the segment file "{of}" has {found} rows, listed are {count}')


def verify_root(folder: Path, schema: Schema, expected: Digest, batches: Iterator[Sequence[Row]]) -> int:
    """Hash all rows anew; gives how many there are.

    Raises:
        DigestError: They are not what the root says.
    """
    spool = RootSpool(folder / "root")
    for batch in batches:
        rows = Rows.of(batch)
        spool.add([sha256(key).digest() for key in rows.keys], row_digests(rows))
    require_root(spool, schema, expected)
    return spool.count


def require_root(spool: RootSpool, schema: Schema, expected: Digest) -> None:
    """Check the root of all rows that were spooled.

    Raises:
        DigestError: They are not what the root says.
        DocumentError: A key stands twice.
    """
    found = spool.root(schema.digest)
    if found != expected:
        raise DigestError(
            f"the rows hash to {found.short}, the snapshot says {expected.short}",
            hint="the snapshot is not what was taken: take it again, or restore the blobs from a backup",
        )
