"""Exact search in a snapshot: every live row is compared, a row group at a time; nothing of an engine is needed."""

import heapq
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from regalia.core.errors import DocumentError, UnsupportedError
from regalia.core.kinds.snapshot import VectorSpace
from regalia_registry.domain.snapshots.listing import Listing, Segment
from regalia_registry.domain.snapshots.measures import MEASURES, Vectors
from regalia_registry.segments.columns import RowGroup, alive, row_groups
from regalia_registry.segments.vectors import column_of, vectors_of

Places = NDArray[np.intp]
Fetch = Callable[[Segment], Path]

_FLOAT_BYTES = 4


class Found(NamedTuple):
    """A near row: less distance is nearer, whatever the metric."""

    distance: float
    key: bytes
    properties: bytes


class Search:
    """What is asked of one snapshot: its listing, its tombstones, and the files of a segment's keys and rows."""

    def __init__(self, listing: Listing, tombstones: bytes, *, keys: Fetch, rows: Fetch) -> None:
        """Read nothing yet."""
        self._listing = listing
        self._tombstones = tombstones
        self._keys = keys
        self._rows = rows

    def vector_of(self, key: bytes, space: VectorSpace) -> bytes | None:
        """Find a live row's vector; None where no live row has this key, or where it lacks the vector.

        Raises:
            DocumentError: A file is no segment.
        """
        for segment in self._listing.segments:
            place = self._place_of(key, segment)
            if place is None:
                continue
            wanted = np.zeros(segment.count, dtype=bool)
            wanted[place] = True
            for group in row_groups(self._rows(segment), wanted):
                flat, has = vectors_of(group.read(column_of(space)).slice(place - group.start, 1), space)
                return flat.tobytes() if has[0] else None
        return None

    def nearest(self, question: bytes, space: VectorSpace, *, limit: int, tell: Callable[[int], None]) -> list[Found]:
        """Give the nearest live rows, nearest first and then by key; `tell` is told how many rows were compared.

        Raises:
            DocumentError: A file is no segment, or the question has other dimensions.
            UnsupportedError: The metric is none that can be measured here.
        """
        measure = MEASURES.get(space.metric)
        if measure is None:
            raise UnsupportedError(
                f'"{space.name}" has the metric "{space.metric}", which can\'t be measured in a snapshot',
                hint="load it, and search the collection: reg snapshot load, reg collection search",
            )
        if len(question) != space.dims * _FLOAT_BYTES:
            raise DocumentError(
                f'the question has {len(question) // _FLOAT_BYTES} dimensions, "{space.name}" has {space.dims}',
                hint="ask with the embedder that made the vectors",
            )
        asked = np.frombuffer(question, "<f4").astype(np.float64)
        best, done = list[Found](), 0
        for segment in self._listing.segments:
            for group in row_groups(self._rows(segment), alive(segment, self._tombstones)):
                flat, has = vectors_of(group.read(column_of(space)), space)
                lives = group.marked[has]
                distances = measure(flat[lives].astype(np.float64), asked)
                best = _merged(best, distances, np.flatnonzero(has)[lives], group, limit)
                done += int(group.marked.sum())
                tell(done)
        return best

    def _place_of(self, key: bytes, segment: Segment) -> int | None:
        for group in row_groups(self._keys(segment), alive(segment, self._tombstones)):
            place = int(pc.index(group.read("key")["key"], pa.scalar(key, pa.binary())).as_py())
            if place >= 0:
                return group.start + place if group.marked[place] else None
        return None


def _merged(best: list[Found], distances: Vectors, places: Places, group: RowGroup, limit: int) -> list[Found]:
    """Let the nearest of a row group in; the other columns are read only where there are any."""
    worst = best[-1].distance if len(best) == limit else np.inf
    near = np.flatnonzero(distances <= worst)
    if len(near) > limit:
        near = near[distances[near] <= np.partition(distances[near], limit - 1)[limit - 1]]
    if not len(near):
        return best
    rows = group.read("key", "properties").take(pa.array(places[near]))
    met = map(
        Found, distances[near].tolist(), rows["key"].to_pylist(), rows["properties"].cast(pa.binary()).to_pylist()
    )
    return heapq.nsmallest(limit, [*best, *met])
