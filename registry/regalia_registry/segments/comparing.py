"""Comparing two snapshots by keys and row digests; what both share is not read.

A segment that both have with the same tombstones is passed over. Of one that both have, only those rows are read that
live on one side; of the others, those that live. What is left is compared in parts that fit in memory.
"""

import struct
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from operator import ne
from pathlib import Path
from typing import NamedTuple

from regalia.core.errors import DocumentError
from regalia_registry.domain.snapshots.listing import Listing, Segment
from regalia_registry.segments.columns import Mask, alive, read_marked_digests, twice

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
    """What differs from one snapshot to another, for one asking.

    `folder` is empty; `fetch` is called by a thread, and gives the bytes of a segment's file of keys.
    """

    def __init__(self, folder: Path, old: Side, new: Side, fetch: Callable[[Segment], bytes]) -> None:
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
        for before, after in self._parts(tell):
            yield from _compared(before, after)

    def counts(self, tell: Callable[[int], None]) -> dict[Sign, int]:
        """Count the keys that differ, which takes a fraction of giving them.

        Raises:
            DocumentError: As `changes`.
        """
        counts = dict.fromkeys(Sign, 0)
        for before, after in self._parts(tell):
            shared = before.keys() & after.keys()
            counts[Sign.ADDED] += len(after) - len(shared)
            counts[Sign.REMOVED] += len(before) - len(shared)
            counts[Sign.CHANGED] += sum(map(ne, map(before.__getitem__, shared), map(after.__getitem__, shared)))
        return counts

    def _parts(self, tell: Callable[[int], None]) -> Iterator[tuple[dict[bytes, bytes], dict[bytes, bytes]]]:
        """Read what is to be read, and give both sides of each part."""
        parts = 1 + self.total // _PART_ROWS
        old, new = _Spool(self._folder / "old", parts), _Spool(self._folder / "new", parts)
        done = 0
        for reading, body in self._fetched():
            spool = new if reading.is_new else old
            for rows in read_marked_digests(body, reading.segment, reading.rows):
                spool.add(rows)
                done += len(rows)
                tell(done)
        for number in range(parts):
            yield old.part(number), new.part(number)

    def _fetched(self) -> Iterator[tuple[_Reading, bytes]]:
        """Fetch the next file while one is read."""
        with ThreadPoolExecutor(1, "keys") as thread:
            coming: Future[bytes] | None = None
            for reading, following in zip(self._readings, [*self._readings[1:], None], strict=False):
                body = (coming or thread.submit(self._fetch, reading.segment)).result()
                coming = None if following is None else thread.submit(self._fetch, following.segment)
                yield reading, body


class _Spool:
    """One side's rows, in parts by their keys; a part is read back when its turn comes. One part alone is held."""

    def __init__(self, folder: Path, parts: int) -> None:
        folder.mkdir()
        self._folder = folder
        self._only: dict[bytes, bytes] | None = {} if parts == 1 else None
        self._count = 0
        self._waiting = [bytearray() for _ in range(parts)]
        self._waiting_bytes = 0

    def add(self, rows: Mapping[bytes, bytes]) -> None:
        self._count += len(rows)
        if self._only is not None:
            self._only.update(rows)
            return
        parts = len(self._waiting)
        for key, digest in rows.items():
            number = int.from_bytes(sha256(key).digest()[:4], "big") % parts
            self._waiting[number] += _LENGTH.pack(len(key)) + key + digest
            self._waiting_bytes += _LENGTH.size + len(key) + _DIGEST
        if self._waiting_bytes >= _SPILL_BYTES:
            self._spill()

    def part(self, number: int) -> dict[bytes, bytes]:
        """Give the digest of each key of a part."""
        found, count = self._read(number) if self._only is None else (self._only, self._count)
        if len(found) != count:
            raise twice()
        return found

    def _read(self, number: int) -> tuple[dict[bytes, bytes], int]:
        path = self._path(number)
        body = (path.read_bytes() if path.exists() else b"") + self._waiting[number]
        found, place, count = dict[bytes, bytes](), 0, 0
        while place < len(body):
            start = place + _LENGTH.size
            end = start + _LENGTH.unpack_from(body, place)[0]
            place = end + _DIGEST
            found[bytes(body[start:end])] = bytes(body[end:place])
            count += 1
        return found, count

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
