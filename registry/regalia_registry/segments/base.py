"""The snapshot before: which keys it had with which content, so that only what changed is stored again.

Some 50 bytes a row in memory: where a row's key is found is a binary search, not a dictionary.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from regalia.core.errors import DocumentError
from regalia_registry.domain.snapshots.listing import Segment
from regalia_registry.segments.parquet import read_keys

_HASH = 32


@dataclass(frozen=True, slots=True)
class BaseSegment:
    """A segment of the base with its keys at hand; `dead` is its bitmap, empty where all rows live."""

    segment: Segment
    keys: Path
    dead: bytes = b""


class Base:
    """Which rows of the base are unchanged in the stream that is compared with it."""

    def __init__(self, segments: Sequence[BaseSegment]) -> None:
        """Read the keys of all segments.

        Raises:
            DocumentError: A segment's files do not hold what its entry says.
        """
        self.segments = tuple(segments)
        self._starts = np.cumsum([0, *(one.segment.count for one in segments)])
        hashes, digests = _read(segments)
        self._alive = _alive(segments)
        self._prefixes = np.frombuffer(hashes, ">u8").reshape(-1, _HASH // 8)[:, 0].astype(np.uint64)
        self._order = np.argsort(self._prefixes, kind="stable").astype(np.uint32)
        self._prefixes = self._prefixes[self._order]
        self._hashes, self._digests = memoryview(hashes), memoryview(digests)
        self._seen = np.zeros(len(self._order), dtype=bool)

    def take(self, key_hashes: Sequence[bytes], digests: Sequence[bytes]) -> list[bool]:
        """Say for each row of a batch whether the base has it unchanged; those rows count as seen."""
        prefixes = np.frombuffer(b"".join(one[:8] for one in key_hashes), ">u8").astype(np.uint64)
        places = np.searchsorted(self._prefixes, prefixes)
        return [
            self._take(int(place), key_hash, digest)
            for place, key_hash, digest in zip(places, key_hashes, digests, strict=True)
        ]

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

    def _take(self, place: int, key_hash: bytes, digest: bytes) -> bool:
        """Look at the rows whose hashes begin alike: nearly always one, more where a killed run stored a key again."""
        prefix = int.from_bytes(key_hash[:8], "big")
        while place < len(self._order) and int(self._prefixes[place]) == prefix:
            row = int(self._order[place])
            start = row * _HASH
            is_same = self._hashes[start : start + _HASH] == key_hash and self._digests[start : start + _HASH] == digest
            if is_same and self._alive[row] and not self._seen[row]:
                self._seen[row] = True
                return True
            place += 1
        return False


def _read(segments: Iterable[BaseSegment]) -> tuple[bytes, bytes]:
    hashes, digests = bytearray(), bytearray()
    for one in segments:
        before = len(hashes)
        for keys, found in read_keys(one.keys):
            hashes += b"".join(sha256(key).digest() for key in keys)
            digests += b"".join(found)
        if len(hashes) - before != one.segment.count * _HASH:
            raise DocumentError(f'the segment "{one.segment.keys_title}" has another number of rows than is listed')
    return bytes(hashes), bytes(digests)


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
