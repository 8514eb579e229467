"""What a snapshot's workers leave to each other: the segments that are stored, and whether writers are stopped."""

from collections.abc import Iterator
from contextlib import contextmanager

from regalia.core.digest import Digest
from regalia.core.fields import Fields
from regalia.core.strict_json import JsonObject, JsonValue
from regalia_registry.domain.snapshots.listing import MAX_SEGMENTS, Segment
from regalia_registry.domain.snapshots.schema import Schema
from regalia_registry.ports.vectors import RowSource
from regalia_registry.segments.parquet import StoredSegment
from regalia_registry.services.context import Bench


class SegmentJournal:
    """The segments that an operation has stored, by this worker or one before it, of a collection of one schema."""

    def __init__(self, journal: JsonObject | None, schema: Schema, bench: Bench) -> None:
        """Read what the worker before has left; of another schema, it is of no use."""
        self._schema = schema
        self._bench = bench
        self.segments: tuple[Segment, ...] = ()
        self._is_frozen = journal is not None and is_frozen(journal)
        if journal is not None:
            fields = Fields(journal, "the snapshot's journal")
            if fields.text("schema") == str(schema.digest):
                self.segments = tuple(map(_read, fields.children("segments", maximum=MAX_SEGMENTS)))

    def add(self, made: StoredSegment) -> None:
        """Record a segment whose files are stored."""
        self.segments = (*self.segments, Segment(made.keys.digest, made.rows.digest, made.count, made.count))
        self._keep()

    @contextmanager
    def frozen(self, source: RowSource, collection: str) -> Iterator[None]:
        """Record that writers of the collection are stopped for as long as the block runs.

        Those that a worker before left stopped are let in first: what it found stopped by others is not known any more.
        """
        if self._is_frozen:
            source.thaw(collection)
        self._is_frozen = True
        self._keep()
        yield
        self._is_frozen = False
        self._keep()

    def _keep(self) -> None:
        segments: list[JsonValue] = [
            {"keys": str(one.keys), "rows": str(one.rows), "count": one.count} for one in self.segments
        ]
        self._bench.keep({"schema": str(self._schema.digest), "segments": segments, "frozen": self._is_frozen})


def is_frozen(journal: JsonObject) -> bool:
    """Say whether a worker stopped the collection's writers, and is not known to have let them in again."""
    return journal.get("frozen") is True


def _read(fields: Fields) -> Segment:
    count = fields.integer("count", minimum=1)
    return Segment(Digest.parse(fields.text("keys")), Digest.parse(fields.text("rows")), count, count)
