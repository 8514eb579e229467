"""The snapshot before: which rows it had, so that only what changed is stored again.

A row is known by its digest, which covers its key. It takes 41 bytes in memory: a digest is found by a binary search,
not in a dictionary.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from regalia.core.errors import DocumentError
from regalia_registry.domain.snapshots.listing import Segment
from regalia_registry.segments.parquet import read_digests
from regalia_registry.segments.reading import lives, require_count

_WORDS = 4  # of 8 bytes: a digest
_ROW = np.uint64(2**32 - 1)  # the half of an entry that says which row it is; the other is of the row's digest


@dataclass(frozen=True, slots=True)
class BaseSegment:
    """A segment of the base with its keys at hand; `dead` is its bitmap, empty where all rows live."""

    segment: Segment
    keys: Path
    dead: bytes = b""


class Base:
    """Which rows of the base are unchanged in the stream that is compared with it."""

    def __init__(self, segments: Sequence[BaseSegment]) -> None:
        """Read the digests of all segments.

        Raises:
            DocumentError: A segment's files do not hold what its entry says.
        """
        self.segments = tuple(segments)
        for one in self.segments:
            require_count(one.keys, one.segment.count)
        self._starts = np.cumsum([0, *(one.segment.count for one in segments)]).tolist()
        self._digests = np.empty((self._starts[-1], _WORDS), np.uint64)
        self._lives = np.ones(self._starts[-1], dtype=bool)
        for one, start in zip(segments, self._starts, strict=False):
            rows = slice(start, start + one.segment.count)
            _fill(self._digests[rows], one)
            self._lives[rows] = lives(one.dead, one.segment.count)
        self._entries = self._digests[:, 0] & ~_ROW
        self._entries |= np.arange(self._starts[-1], dtype=np.uint64)
        if not self._lives.all():
            self._entries = self._entries[self._lives]
        self._entries.sort()
        self._seen = np.zeros(self._starts[-1], dtype=bool)
        self._next = 0

    def take(self, digests: Sequence[bytes]) -> NDArray[np.bool_]:
        """Say for each row of a batch whether the base has it; those rows count as seen."""
        wanted = np.frombuffer(b"".join(digests), np.uint64).reshape(-1, _WORDS)
        found = self._following(wanted)
        if not found.all():
            self._search(wanted, found)
        return found

    def _following(self, wanted: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """Look where the batch before ended: what did not change comes in the order in which it was stored."""
        here = slice(self._next, self._next + len(wanted))
        there = self._digests[here]
        found = np.zeros(len(wanted), dtype=bool)
        found[: len(there)] = (there == wanted[: len(there)]).all(axis=1) & self._lives[here]
        self._seen[here] |= found[: len(there)]
        self._next += len(there)
        return found

    def _search(self, wanted: NDArray[np.uint64], found: NDArray[np.bool_]) -> None:
        """Look for the rows of a batch that are not found, wherever they are, and mark those that are."""
        left = np.flatnonzero(~found)
        beginnings = wanted[:, 0] & ~_ROW
        places = np.zeros(len(wanted), np.intp)
        places[left] = np.searchsorted(self._entries, beginnings[left])
        while len(left := left[places[left] < len(self._entries)]):  # once, but where digests begin alike
            entries = self._entries[places[left]]
            begins_alike = (entries & ~_ROW) == beginnings[left]
            left, rows = left[begins_alike], entries[begins_alike] & _ROW
            is_equal = (self._digests[rows] == wanted[left]).all(axis=1)
            self._seen[rows[is_equal]] = True
            found[left[is_equal]] = True
            if is_equal.any():
                self._next = int(rows[is_equal][-1]) + 1
            left = left[~is_equal]
            places[left] += 1

    def tombstones(self) -> list[bytes | None]:
        """Give each segment's bitmap after the stream: None where every row lives, one bit a row that is dead."""
        found: list[bytes | None] = []
        for number in range(len(self.segments)):
            dead = ~self._seen[self._starts[number] : self._starts[number + 1]]
            found.append(np.packbits(dead).tobytes() if dead.any() else None)
        return found

    def live(self) -> list[int]:
        """Count the rows of each segment that live after the stream."""
        return [
            int(self._seen[self._starts[number] : self._starts[number + 1]].sum())
            for number in range(len(self.segments))
        ]


def _fill(space: NDArray[np.uint64], one: BaseSegment) -> None:
    filled = 0
    for digests in read_digests(one.keys):
        found = np.frombuffer(digests, np.uint64).reshape(-1, _WORDS)
        if filled + len(found) > len(space):
            raise _other_count(one)
        space[filled : filled + len(found)] = found
        filled += len(found)
    if filled != len(space):
        raise _other_count(one)


def _other_count(one: BaseSegment) -> DocumentError:
    return DocumentError(f'the segment "{one.segment.keys_title}" has another number of rows than its footer says')
