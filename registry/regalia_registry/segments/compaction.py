"""Compaction: the live rows of worn segments in new ones, the other segments as they are, and the same root."""

from collections.abc import Iterable
from contextlib import closing
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

from regalia.core.digest import Digest
from regalia.core.errors import DigestError
from regalia_registry.domain.snapshots.listing import Listing, Segment
from regalia_registry.domain.snapshots.rows import Rows, row_digests
from regalia_registry.domain.snapshots.schema import Schema
from regalia_registry.segments.build import Built
from regalia_registry.segments.columns import alive, read_marked_keys
from regalia_registry.segments.reading import dead_rows
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

    def keep(self, segment: Segment, tombstones: bytes, keys: Path) -> None:
        """Take a segment over as it is; `tombstones` is the layer of the version before.

        Raises:
            DocumentError: Its keys are not as many as it lists.
        """
        for found, digests in read_marked_keys(keys, alive(segment, tombstones)):
            self._spool.add([sha256(key).digest() for key in found], digests)
        bitmap = dead_rows(segment, tombstones)
        place = (len(self._bitmaps), len(bitmap)) if bitmap else None
        self._bitmaps += bitmap
        self._kept.append(replace(segment, tombstones=place))

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
