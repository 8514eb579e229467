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
        for one, start in zip(segments, self._starts, strict=False):
            _fill(self._digests[start : start + one.segment.count], one)
        self._entries = self._digests[:, 0] & ~_ROW
        self._entries |= np.arange(self._starts[-1], dtype=np.uint64)
        if any(one.dead for one in segments):
            self._entries = self._entries[np.concatenate([lives(one.dead, one.segment.count) for one in segments])]
        self._entries.sort()
        self._seen = np.zeros(self._starts[-1], dtype=bool)

    def take(self, digests: Sequence[bytes]) -> NDArray[np.bool_]:
        """Say for each row of a batch whether the base has it; those rows count as seen."""
        wanted = np.frombuffer(b"".join(digests), np.uint64).reshape(-1, _WORDS)
        beginnings = wanted[:, 0] & ~_ROW
        places = np.searchsorted(self._entries, beginnings)
        found = np.zeros(len(wanted), dtype=bool)
        left = np.arange(len(wanted))
        while len(left := left[places[left] < len(self._entries)]):  # once, but where digests begin alike
            entries = self._entries[places[left]]
            begins_alike = (entries & ~_ROW) == beginnings[left]
            left, rows = left[begins_alike], entries[begins_alike] & _ROW
            is_equal = (self._digests[rows] == wanted[left]).all(axis=1)
            self._seen[rows[is_equal]] = True
            found[left[is_equal]] = True
            left = left[~is_equal]
            places[left] += 1
        return found

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
