"""Building a snapshot from a stream of rows: what the base has is kept, the rest goes into new segments."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from regalia.core.digest import Digest
from regalia_registry.domain.snapshots.listing import Listing, Segment
from regalia_registry.domain.snapshots.rows import Row, row_digest
from regalia_registry.domain.snapshots.schema import Schema
from regalia_registry.segments.base import Base
from regalia_registry.segments.parquet import SegmentWriter, StoredSegment
from regalia_registry.segments.spool import RootSpool

Store = Callable[[StoredSegment], None]


@dataclass(frozen=True, slots=True)
class Built:
    """A finished snapshot: its root, its segments, and the layer `tombstones`, empty where no row is dead."""

    root: Digest
    listing: Listing
    tombstones: bytes
    kept: int
    stored: int


class Build:
    """Takes batches of rows in any order; `store` is called with each segment that is complete."""

    def __init__(self, folder: Path, schema: Schema, base: Base | None, store: Store) -> None:
        """Write into `folder`, which is empty."""
        self._schema = schema
        self._base = base
        self._store = store
        self._spool = RootSpool(folder / "root")
        self._writer = SegmentWriter(folder, schema.vectors)
        self._new: list[Segment] = []
        self._kept = 0

    def add(self, rows: Sequence[Row]) -> None:
        """Take a batch."""
        hashes = [sha256(row.key).digest() for row in rows]
        digests = [row_digest(row) for row in rows]
        unchanged = [False] * len(rows) if self._base is None else self._base.take(hashes, digests)
        for row, key_hash, digest, is_kept in zip(rows, hashes, digests, unchanged, strict=True):
            self._spool.add(key_hash, digest)
            if is_kept:
                self._kept += 1
            else:
                self._keep(self._writer.add(row, digest))

    def finish(self) -> Built:
        """Complete the last segment and hash the whole.

        Raises:
            DocumentError: A key stood twice in the stream.
        """
        self._keep(self._writer.finish())
        root = self._spool.root(self._schema.digest)
        old, tombstones = self._of_base()
        listing = Listing((*old, *self._new))
        return Built(root, listing, tombstones, self._kept, self._spool.count - self._kept)

    def _keep(self, made: StoredSegment | None) -> None:
        if made is not None:
            self._store(made)
            self._new.append(Segment(made.keys.digest, made.rows.digest, made.count, made.count))

    def _of_base(self) -> tuple[list[Segment], bytes]:
        """Give the base's segments that still have rows, and their bitmaps one after another."""
        if self._base is None:
            return [], b""
        found, bitmaps = [], bytearray()
        for one, dead, live in zip(self._base.segments, self._base.tombstones(), self._base.live(), strict=True):
            if live == 0:
                continue
            place = None if dead is None else (len(bitmaps), len(dead))
            bitmaps += dead or b""
            found.append(Segment(one.segment.keys, one.segment.rows, one.segment.count, live, place))
        return found, bytes(bitmaps)
