"""Cutting a stream of rows into segments: threads write, look at and store them while the next rows are read."""

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from regalia.core.kinds.snapshot import VectorSpace
from regalia_registry.domain.snapshots.rows import Rows
from regalia_registry.segments.parquet import SegmentFiles, StoredSegment, row_group

SEGMENT_BYTES = 64 * 1024 * 1024

_GROUP_BYTES = 12 * 1024 * 1024
_MANY_SEGMENTS = 1000  # from here on they are larger, so that a manifest stays within its cap
_LARGER = 4
_MAX_WAITING = 1  # row groups: one is looked at, one is written, one is filled

Store = Callable[[StoredSegment], None]
Look = Callable[[pa.Table], None]
Part = tuple[Rows, Sequence[bytes]]


class SegmentWriter:
    """Cuts rows into row groups of 12 MiB and segments of 64 MiB of raw bytes, wherever the batches begin and end."""

    def __init__(self, folder: Path, spaces: Sequence[VectorSpace], store: Store, look: Look | None = None) -> None:
        """Write nothing yet.

        A thread of its own calls `store` with each segment that is complete, another calls `look` with each row group,
        both in order.
        """
        self._files = _Files(folder, tuple(spaces), store, look)
        self._thread = ThreadPoolExecutor(1, "segments")
        self._waiting: deque[Future[StoredSegment | None]] = deque()
        self._parts: list[Part] = []
        self._group_bytes = self._segment_bytes = 0
        self._made: list[StoredSegment] = []

    def add(self, rows: Rows, digests: Sequence[bytes]) -> None:
        """Take a batch; waits where writing is slower than reading."""
        ends = np.cumsum(_sizes(rows))
        start = passed = 0
        while start < len(rows):
            cut = int(np.searchsorted(ends, _GROUP_BYTES - self._group_bytes + passed)) + 1
            part = slice(start, cut)
            self._parts.append((rows[part], digests[part]))
            start, last = cut, int(ends[min(cut, len(rows)) - 1])
            self._group_bytes += last - passed
            passed = last
            if self._group_bytes >= _GROUP_BYTES:
                self._flush()

    def finish(self) -> Sequence[StoredSegment]:
        """Complete the segment that is open; gives all, in their order, when all are stored."""
        self._flush(is_end=True)
        self._collect(0)
        self._files.await_stored()
        self._files.await_looked()
        return self._made

    def close(self) -> None:
        """End the threads, and let go of the segment that is open; what waits is not written."""
        self._thread.shutdown(cancel_futures=True)
        self._files.close()

    def _flush(self, *, is_end: bool = False) -> None:
        parts, self._parts = self._parts, []
        self._segment_bytes += self._group_bytes
        self._group_bytes = 0
        target = SEGMENT_BYTES * (_LARGER if len(self._made) >= _MANY_SEGMENTS else 1)
        is_full = self._segment_bytes >= target
        self._waiting.append(self._thread.submit(self._files.write, parts, is_last=is_full or is_end))
        if is_full:
            self._segment_bytes = 0
        self._collect(_MAX_WAITING)

    def _collect(self, left: int) -> None:
        while len(self._waiting) > left:
            made = self._waiting.popleft().result()
            if made is not None:
                self._made.append(made)


class _Files:
    """The writing thread's side: the segment that is open, and the one before it, which is being stored."""

    def __init__(self, folder: Path, spaces: tuple[VectorSpace, ...], store: Store, look: Look | None) -> None:
        self._folder = folder
        self._spaces = spaces
        self._store = store
        self._look = look
        self._storing, self._looking = ThreadPoolExecutor(1, "storing"), ThreadPoolExecutor(1, "looking")
        self._stored: Future[None] | None = None
        self._looked: Future[None] | None = None
        self._open: SegmentFiles | None = None
        self._number = 0

    def write(self, parts: list[Part], *, is_last: bool) -> StoredSegment | None:
        """Write a row group; gives the segment that it completes, whose files are on their way into the store.

        `parts` is emptied: rows as Python has them are let go of before they are encoded.
        """
        if parts:
            if self._open is None:
                self._open = SegmentFiles(self._folder, f"{self._number:06}", self._spaces)
            group, digests = row_group([rows for rows, _ in parts], self._spaces), [digests for _, digests in parts]
            parts.clear()
            if self._look is not None:
                self.await_looked()
                self._looked = self._looking.submit(self._look, group)
            self._open.write(group, digests)
        if not is_last or self._open is None:
            return None
        made = self._open.finish()
        self._open = None
        self._number += 1
        self.await_stored()
        self._stored = self._storing.submit(self._store, made)
        return made

    def await_stored(self) -> None:
        """Wait until every segment that is complete is stored."""
        if self._stored is not None:
            self._stored.result()

    def await_looked(self) -> None:
        """Wait until every row group was looked at."""
        if self._looked is not None:
            self._looked.result()

    def close(self) -> None:
        """Let go of a segment that is not whole, and end the other threads."""
        for pool in (self._storing, self._looking):
            pool.shutdown(cancel_futures=True)
        if self._open is not None:
            self._open.close()
            self._open = None


def _sizes(rows: Rows) -> NDArray[np.int64]:
    """Count the bytes of each row."""
    sizes = np.fromiter(map(len, rows.keys), np.int64, len(rows))
    sizes += np.fromiter(map(len, rows.properties), np.int64, len(rows))
    for _, contents in rows.vectors:
        sizes += np.fromiter((len(content or b"") for content in contents), np.int64, len(rows))
    return sizes
