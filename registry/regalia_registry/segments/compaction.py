"""Compaction: the live rows of worn segments in new ones, the other segments as they are, and the same root."""

from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np

from regalia.core.digest import Digest
from regalia.core.errors import DigestError, DocumentError
from regalia_registry.domain.snapshots.listing import Listing, Segment
from regalia_registry.domain.snapshots.rows import Rows, row_digests
from regalia_registry.domain.snapshots.schema import Schema
from regalia_registry.segments.base import BaseSegment
from regalia_registry.segments.build import Built
from regalia_registry.segments.parquet import read_keys
from regalia_registry.segments.spool import RootSpool
from regalia_registry.segments.writing import SegmentWriter, Store


class Compaction:
    """Puts a snapshot together anew; `store` is called with each new segment, by one other thread."""

    def __init__(self, folder: Path, schema: Schema, store: Store) -> None:
        """Write into `folder`, which is empty."""
        self._folder = folder
        self._schema = schema
        self._store = store
        self._spool = RootSpool(folder / "root")
        self._kept: list[Segment] = []
        self._bitmaps = bytearray()

    def keep(self, one: BaseSegment) -> None:
        """Take a segment over as it is.

        Raises:
            DocumentError: Its keys are not as many as it lists.
        """
        for keys, digests in _live_keys(one):
            self._spool.add([sha256(key).digest() for key in keys], digests)
        place = (len(self._bitmaps), len(one.dead)) if one.dead else None
        self._bitmaps += one.dead
        self._kept.append(replace(one.segment, tombstones=place))

    def rewrite(self, batches: Iterable[Rows], *, expected: Digest) -> Built:
        """Store the rows of all other segments anew, and prove the whole.

        Raises:
            DigestError: The rows are not what the root says.
        """
        kept = self._spool.count
        with closing(SegmentWriter(self._folder, self._schema.vectors, self._store)) as writer:
            for rows in batches:
                digests = row_digests(rows)
                self._spool.add([sha256(key).digest() for key in rows.keys], digests)
                writer.add(rows, digests)
            made = writer.finish()
        root = self._spool.root(self._schema.digest)
        if root != expected:
            raise DigestError(
                f"the compacted rows hash to {root.short}, the snapshot says {expected.short}",
                hint="the snapshot is not what was taken: reg snapshot verify names what is damaged",
            )
        new = [Segment(one.keys.digest, one.rows.digest, one.count, one.count) for one in made]
        listing = Listing((*self._kept, *new))
        return Built(root, listing, bytes(self._bitmaps), kept, self._spool.count - kept)


def _live_keys(one: BaseSegment) -> Iterator[tuple[list[bytes], list[bytes]]]:
    dead = np.unpackbits(np.frombuffer(one.dead, np.uint8), count=one.segment.count) if one.dead else None
    seen = 0
    for keys, digests in read_keys(one.keys):
        here = range(len(keys)) if dead is None else np.flatnonzero(dead[seen : seen + len(keys)] == 0).tolist()
        seen += len(keys)
        yield [keys[place] for place in here], [digests[place] for place in here]
    if seen != one.segment.count:
        raise DocumentError(f'the segment "{one.segment.keys_title}" has another number of rows than is listed')
