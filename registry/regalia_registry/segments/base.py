"""The snapshot before: which rows it had, so that only what changed is stored again.

A row is known by its digest, which covers its key. Some 50 bytes a row in memory: where a digest is found is a binary
search, not a dictionary.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from regalia.core.errors import DocumentError
from regalia_registry.domain.snapshots.listing import Segment
from regalia_registry.segments.parquet import read_digests

_WORDS = 4  # of 8 bytes: a digest


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
        self._starts = np.cumsum([0, *(one.segment.count for one in segments)]).tolist()
        self._digests = np.empty((self._starts[-1], _WORDS), np.uint64)
        for one, start in zip(segments, self._starts, strict=False):
            _fill(self._digests[start : start + one.segment.count], one)
        self._order = np.flatnonzero(_alive(segments)).astype(np.uint32)
        first_words = self._digests[self._order, 0]
        by_first = np.argsort(first_words)
        self._order, self._first_words = self._order[by_first], first_words[by_first]
        self._seen = np.zeros(self._starts[-1], dtype=bool)

    def take(self, digests: Sequence[bytes]) -> NDArray[np.bool_]:
        """Say for each row of a batch whether the base has it; those rows count as seen.

        Where two rows of the base begin with the same eight bytes, one of them may be stored again: never a wrong one
        is kept.
        """
        if not len(self._order):
            return np.zeros(len(digests), dtype=bool)
        wanted = np.frombuffer(b"".join(digests), np.uint64).reshape(-1, _WORDS)
        places = np.searchsorted(self._first_words, wanted[:, 0])
        rows = self._order[np.minimum(places, len(self._order) - 1)]
        found: NDArray[np.bool_] = (self._digests[rows] == wanted).all(axis=1)
        self._seen[rows[found]] = True
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
    return DocumentError(f'the segment "{one.segment.keys_title}" has another number of rows than is listed')


def _alive(segments: Sequence[BaseSegment]) -> NDArray[np.bool_]:
    """Unpack the bitmaps of all segments."""
    parts = [np.zeros(0, dtype=bool)]
    for one in segments:
        count = one.segment.count
        if not one.dead:
            parts.append(np.ones(count, dtype=bool))
            continue
        bits = np.unpackbits(np.frombuffer(one.dead, np.uint8), count=count).astype(bool)
        parts.append(~bits)
    return np.concatenate(parts)
