"""Verifying a stored snapshot: every row is hashed anew, and compared with the file of keys and with the root."""

from collections.abc import Callable, Iterator
from hashlib import sha256
from itertools import chain, islice
from pathlib import Path

import numpy as np

from regalia.core.digest import Digest
from regalia.core.errors import DigestError, DocumentError
from regalia_registry.domain.snapshots.listing import Listing, Segment
from regalia_registry.domain.snapshots.rows import row_digests
from regalia_registry.domain.snapshots.schema import Schema
from regalia_registry.segments.columns import alive, read_marked_keys
from regalia_registry.segments.parquet import read_rows
from regalia_registry.segments.reading import require_count, require_root
from regalia_registry.segments.spool import RootSpool

Fetch = Callable[[Segment], tuple[Path, Path]]


class Verification:
    """Reads all segments of one snapshot; `fetch` gives a segment's files, of keys and of rows."""

    def __init__(self, folder: Path, schema: Schema, listing: Listing, tombstones: bytes, fetch: Fetch) -> None:
        """Read nothing yet."""
        self._spool = RootSpool(folder / "root")
        self._schema = schema
        self._listing = listing
        self._tombstones = tombstones
        self._fetch = fetch

    def run(self, expected: Digest) -> Iterator[int]:
        """Read batch after batch, each time giving the number of live rows so far.

        Raises:
            DigestError: A file of keys is not of its rows, or the rows are not what the root says.
            DocumentError: A file is no segment.
        """
        for segment in self._listing.segments:
            yield from self._compared(segment, *self._fetch(segment))
        require_root(self._spool, self._schema, expected)

    def _compared(self, segment: Segment, keys: Path, rows: Path) -> Iterator[int]:
        for path in (keys, rows):
            require_count(path, segment.count)
        marked = alive(segment, self._tombstones)
        listed = chain.from_iterable(
            zip(*part, strict=True) for part in read_marked_keys(keys, np.ones(segment.count, dtype=bool))
        )
        seen = 0
        for batch in read_rows(rows, self._schema):
            digests = row_digests(batch)
            if list(islice(listed, len(batch))) != list(zip(batch.keys, digests, strict=True)):
                raise DigestError(
                    f'the file of keys "{segment.keys_title}" is not of the rows of "{segment.rows_title}"',
                    hint="take the snapshot again, under another name",
                )
            here = np.flatnonzero(marked[seen : seen + len(batch)]).tolist()
            seen += len(batch)
            hashed = [(sha256(batch.keys[place]).digest(), digests[place]) for place in here]
            self._spool.add([key for key, _ in hashed], [digest for _, digest in hashed])
            yield self._spool.count
        if seen != segment.count:
            raise DocumentError(f'the segment "{segment.rows_title}" has {seen} rows, listed are {segment.count}')
