"""Comparing two snapshots by keys and row digests; what both share is not read.

A segment that both have with the same tombstones is passed over. Of one that both have, only those rows are read that
live on one side; of the others, those that live. What is left is compared in parts that fit in memory.
"""

import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from regalia.core.errors import DocumentError
from regalia_registry.domain.snapshots.listing import Listing, Segment
from regalia_registry.segments.columns import Mask, alive, read_marked_keys

_PART_ROWS = 200_000
_SPILL_BYTES = 8 * 1024 * 1024
_DIGEST = 32
_LENGTH = struct.Struct(">H")


class Sign(StrEnum):
    """What became of a key."""

    ADDED = "+"
    REMOVED = "-"
    CHANGED = "~"


class RowChange(NamedTuple):
    """One key that differs, as it is encoded."""

    sign: Sign
    key: bytes


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two snapshots; `tombstones` is its layer."""

    listing: Listing
    tombstones: bytes


class _Reading(NamedTuple):
    """Which rows of a segment live on one side only, and on which."""

    segment: Segment
    rows: Mask
    is_new: bool


class Comparison:
    """What differs from one snapshot to another; `folder` is empty, `fetch` gives the file of a segment's keys."""

    def __init__(self, folder: Path, old: Side, new: Side, fetch: Callable[[Segment], Path]) -> None:
        """Decide what is to be read, by the lists and the bitmaps alone.

        Raises:
            DocumentError: A list and its bitmaps do not agree.
        """
        self._folder = folder
        self._fetch = fetch
        self._readings = [one for one in _readings(old, new) if one.rows.any()]
        self.total = sum(int(one.rows.sum()) for one in self._readings)

    def changes(self, tell: Callable[[int], None]) -> Iterator[RowChange]:
        """Give every key that differs, once; `tell` is told how many of the `total` rows were read.

        Raises:
            DocumentError: A file is no segment, or a key stands twice on one side.
        """
        parts = 1 + self.total // _PART_ROWS
        old, new = _Spool(self._folder / "old", parts), _Spool(self._folder / "new", parts)
        done = 0
        for reading in self._readings:
            spool = new if reading.is_new else old
            for keys, digests in read_marked_keys(self._fetch(reading.segment), reading.rows):
                spool.add(keys, digests)
                done += len(keys)
                tell(done)
        for number in range(parts):
            yield from _compared(old.part(number), new.part(number))


class _Spool:
    """One side's rows, in parts by their keys; a part is read back when its turn comes."""

    def __init__(self, folder: Path, parts: int) -> None:
        folder.mkdir()
        self._folder = folder
        self._waiting = [bytearray() for _ in range(parts)]
        self._waiting_bytes = 0

    def add(self, keys: Sequence[bytes], digests: Sequence[bytes]) -> None:
        parts = len(self._waiting)
        for key, digest in zip(keys, digests, strict=True):
            number = 0 if parts == 1 else int.from_bytes(sha256(key).digest()[:4], "big") % parts
            self._waiting[number] += _LENGTH.pack(len(key)) + key + digest
            self._waiting_bytes += _LENGTH.size + len(key) + _DIGEST
        if self._waiting_bytes >= _SPILL_BYTES:
            self._spill()

    def part(self, number: int) -> dict[bytes, bytes]:
        """Give the digest of each key of a part."""
        path = self._path(number)
        body = (path.read_bytes() if path.exists() else b"") + self._waiting[number]
        found, place, count = dict[bytes, bytes](), 0, 0
        while place < len(body):
            start = place + _LENGTH.size
            end = start + _LENGTH.unpack_from(body, place)[0]
            place = end + _DIGEST
            found[bytes(body[start:end])] = bytes(body[end:place])
            count += 1
        if len(found) != count:
            raise DocumentError("a key stands twice in a snapshot", hint="reg snapshot verify")
        return found

    def _spill(self) -> None:
        for number, waiting in enumerate(self._waiting):
            with self._path(number).open("ab") as file:
                file.write(waiting)
            waiting.clear()
        self._waiting_bytes = 0

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:04}"


def _readings(old: Side, new: Side) -> Iterator[_Reading]:
    before = {segment.keys: segment for segment in old.listing.segments}
    for segment in new.listing.segments:
        lives = alive(segment, new.tombstones)
        there = before.pop(segment.keys, None)
        if there is None:
            yield _Reading(segment, lives, is_new=True)
            continue
        if there.count != segment.count:
            raise DocumentError(
                f'the segment "{segment.keys_title}" is listed with {there.count} and {segment.count} rows'
            )
        lived = alive(there, old.tombstones)
        yield _Reading(segment, lived & ~lives, is_new=False)
        yield _Reading(segment, lives & ~lived, is_new=True)
    for segment in before.values():
        yield _Reading(segment, alive(segment, old.tombstones), is_new=False)


def _compared(old: dict[bytes, bytes], new: dict[bytes, bytes]) -> Iterator[RowChange]:
    """Compare two parts of the same keys, by key."""
    for key in sorted({*old, *new}):
        before, after = old.get(key), new.get(key)
        if before is None:
            yield RowChange(Sign.ADDED, key)
        elif after is None:
            yield RowChange(Sign.REMOVED, key)
        elif before != after:
            yield RowChange(Sign.CHANGED, key)
