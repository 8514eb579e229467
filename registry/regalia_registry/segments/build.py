"""Building a snapshot from a stream of rows: what the base has is kept, the rest goes into new segments."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from regalia.core.digest import Digest
from regalia.core.errors import TooLargeError
from regalia_registry.domain.snapshots.listing import MAX_SEGMENTS, Listing, Segment
from regalia_registry.domain.snapshots.rows import Row, Rows, row_digests
from regalia_registry.domain.snapshots.schema import Schema
from regalia_registry.segments.base import Base
from regalia_registry.segments.spool import RootSpool
from regalia_registry.segments.writing import Look, SegmentWriter, Store


@dataclass(frozen=True, slots=True)
class Built:
    """A finished snapshot: its root, its segments, and the layer `tombstones`, empty where no row is dead."""

    root: Digest
    listing: Listing
    tombstones: bytes
    kept: int
    stored: int


class Build:
    """Takes batches of rows in any order.

    Other threads call `store` with each segment that is complete, and `look` with the rows of each row group. Leaving
    its block ends them, whether or not the build is finished.
    """

    def __init__(self, folder: Path, schema: Schema, base: Base | None, store: Store, look: Look | None = None) -> None:
        """Write into `folder`, which is empty."""
        self._schema = schema
        self._base = base
        self._spool = RootSpool(folder / "root")
        self._writer = SegmentWriter(folder, schema.vectors, store, look)
        self._kept = 0

    def __enter__(self) -> Self:
        """Build."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop writing; what was stored stays."""
        self._writer.close()

    def add(self, rows: Sequence[Row]) -> None:
        """Take a batch."""
        batch = Rows.of(rows)
        digests = row_digests(batch)
        self._spool.add([sha256(key).digest() for key in batch.keys], digests)
        if self._base is not None:
            fresh = np.flatnonzero(~self._base.take(digests)).tolist()
            if len(fresh) < len(batch):
                self._kept += len(batch) - len(fresh)
                batch, digests = batch.picked(fresh), [digests[place] for place in fresh]
        self._writer.add(batch, digests)

    def finish(self) -> Built:
        """Complete the last segment and hash the whole.

        Raises:
            DocumentError: A key stood twice in the stream.
            TooLargeError: It is cut into more segments than a listing holds.
        """
        made = self._writer.finish()
        root = self._spool.root(self._schema.digest)
        old, tombstones = self._of_base()
        new = [Segment(one.keys.digest, one.rows.digest, one.count, one.count) for one in made]
        if len(old) + len(new) > MAX_SEGMENTS:
            raise TooLargeError(
                f"the snapshot has {len(old) + len(new)} segments, the cap is {MAX_SEGMENTS}",
                hint="compact the version before: reg snapshot compact",
            )
        return Built(root, Listing((*old, *new)), tombstones, self._kept, self._spool.count - self._kept)

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
