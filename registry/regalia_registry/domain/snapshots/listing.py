"""Which segments a snapshot is made of: the layer `segments.json`, and which of their rows are dead."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from regalia.core.digest import Digest
from regalia.core.errors import DocumentError
from regalia.core.fields import Fields
from regalia.core.strict_json import JsonObject, parse_object, write

MAX_LISTING = 8 * 1024 * 1024
MAX_SEGMENTS = 4096

_MIN_LIVE_SHARE = 0.6
_MAX_SMALL = 32
_SMALL_SHARE = 0.25  # of the largest segment's rows, or of so many where all have few
_FEW_ROWS = 10_000
_DIGEST_BYTES = 32  # what every row takes in its file of keys, however well that is packed
_SMALL_BYTES = 16 * 1024 * 1024
_EDITION = 1


@dataclass(frozen=True, slots=True)
class Segment:
    """An immutable pair of files; `tombstones` is where its bitmap stands in the layer `tombstones`: offset, bytes."""

    keys: Digest
    rows: Digest
    count: int
    live: int
    tombstones: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        """Refuse counts that can't be."""
        if not 0 < self.live <= self.count or (self.tombstones is None) != (self.live == self.count):
            raise DocumentError("a segment's counts and tombstones do not agree")

    @property
    def keys_title(self) -> str:
        """The file name of its keys."""
        return f"{self.keys.hex[:16]}.keys.parquet"

    @property
    def rows_title(self) -> str:
        """The file name of its rows."""
        return f"{self.rows.hex[:16]}.rows.parquet"


@dataclass(frozen=True, slots=True)
class Listing:
    """A snapshot's segments, in the order of their making."""

    segments: tuple[Segment, ...]

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Read a listing; the inverse of `written`.

        Raises:
            DocumentError: It is none.
        """
        what = "the segment list"
        fields = Fields(parse_object(body, what=what, max_bytes=MAX_LISTING), what)
        if fields.integer("v") != _EDITION:
            raise DocumentError(f"{what} is of a later edition", hint="upgrade regalia")
        return cls(tuple(map(_parse_segment, fields.children("segments", maximum=MAX_SEGMENTS))))

    def written(self) -> bytes:
        """Write the layer."""
        return write({"v": _EDITION, "segments": [_written(segment) for segment in self.segments]})

    def require_layers(self, sizes: Mapping[Digest, int], *, what: str) -> None:
        """Check that every file is a layer of the version, and large enough for its rows.

        A namespace proves only of its manifest's layers that it has them; what a list names beside them is not its own.

        Args:
            sizes: The bytes of each layer.
            what: What the list is of, for the message.

        Raises:
            DocumentError: A file is no layer, or too small.
        """
        for segment in self.segments:
            if not {segment.keys, segment.rows} <= sizes.keys():
                raise DocumentError(f"{what} lists a segment that is none of its layers", hint="take it again")
            if segment.count * _DIGEST_BYTES > sizes[segment.keys]:
                raise DocumentError(
                    f'{what} lists {segment.count} rows in "{segment.keys_title}", which has no room for them',
                    hint="take it again",
                )

    @property
    def count(self) -> int:
        """How many rows are live."""
        return sum(segment.live for segment in self.segments)

    def worn(self, sizes: Mapping[Digest, int]) -> tuple[Segment, ...]:
        """Name the segments that compaction writes anew: those with many dead rows, and small ones once they are many.

        Args:
            sizes: The stored bytes of each file.
        """
        most = max([_FEW_ROWS, *(one.count for one in self.segments)])
        small = {
            one for one in self.segments if one.count < _SMALL_SHARE * most and sizes.get(one.rows, 0) < _SMALL_BYTES
        }
        if len(small) <= _MAX_SMALL:
            small = set()
        return tuple(one for one in self.segments if one in small or one.live < _MIN_LIVE_SHARE * one.count)


def _parse_segment(fields: Fields) -> Segment:
    tombstones = fields.child("tombstones") if fields.has("tombstones") else None
    return Segment(
        keys=Digest.parse(fields.text("keys")),
        rows=Digest.parse(fields.text("rows")),
        count=fields.integer("count", minimum=1),
        live=fields.integer("live", minimum=1),
        tombstones=None if tombstones is None else (tombstones.integer("offset"), tombstones.integer("bytes")),
    )


def _written(segment: Segment) -> JsonObject:
    written: JsonObject = {
        "keys": str(segment.keys),
        "rows": str(segment.rows),
        "count": segment.count,
        "live": segment.live,
    }
    if segment.tombstones is not None:
        offset, size_bytes = segment.tombstones
        written["tombstones"] = {"offset": offset, "bytes": size_bytes}
    return written
