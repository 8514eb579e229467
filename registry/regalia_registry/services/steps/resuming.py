"""What a snapshot's workers leave to each other: the segments that are stored, so that none is stored twice."""

from regalia.core.digest import Digest
from regalia.core.fields import Fields
from regalia.core.strict_json import JsonObject, JsonValue
from regalia_registry.domain.snapshots.listing import MAX_SEGMENTS, Segment
from regalia_registry.domain.snapshots.schema import Schema
from regalia_registry.segments.parquet import StoredSegment
from regalia_registry.services.context import Bench


class SegmentJournal:
    """The segments that an operation has stored, by this worker or one before it, of a collection of one schema."""

    def __init__(self, journal: JsonObject | None, schema: Schema, bench: Bench) -> None:
        """Read what the worker before has left; of another schema, it is of no use."""
        self._schema = schema
        self._bench = bench
        self.segments: tuple[Segment, ...] = ()
        if journal is not None:
            fields = Fields(journal, "the snapshot's journal")
            if fields.text("schema") == str(schema.digest):
                self.segments = tuple(map(_read, fields.children("segments", maximum=MAX_SEGMENTS)))

    def add(self, made: StoredSegment) -> None:
        """Record a segment whose files are stored."""
        self.segments = (*self.segments, Segment(made.keys.digest, made.rows.digest, made.count, made.count))
        segments: list[JsonValue] = [
            {"keys": str(one.keys), "rows": str(one.rows), "count": one.count} for one in self.segments
        ]
        self._bench.keep({"schema": str(self._schema.digest), "segments": segments})


def _read(fields: Fields) -> Segment:
    count = fields.integer("count", minimum=1)
    return Segment(Digest.parse(fields.text("keys")), Digest.parse(fields.text("rows")), count, count)
