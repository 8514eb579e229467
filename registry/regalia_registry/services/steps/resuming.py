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

_MAX_PARTS = 10_000


class SegmentJournal:
    """The segments that an operation has stored, by this worker or one before it, of a collection of one schema."""

    def __init__(self, journal: JsonObject | None, schema: Schema, bench: Bench) -> None:
        """Read what the worker before has left; of another schema, it is of no use."""
        self._schema = schema
        self._bench = bench
        self.segments: tuple[Segment, ...] = ()
        self._frozen = () if journal is None else frozen_parts(journal)
        if journal is not None:
            fields = Fields(journal, "the snapshot's journal")
            if fields.text("schema") == str(schema.digest):
                self.segments = tuple(map(_read, fields.children("segments", maximum=MAX_SEGMENTS)))

    def add(self, made: StoredSegment) -> None:
        """Record a segment whose files are stored."""
        self.segments = (*self.segments, Segment(made.keys.digest, made.rows.digest, made.count, made.count))
        self._keep()

    @contextmanager
    def frozen(self, source: RowSource, collection: str) -> Iterator[tuple[str, ...]]:
        """Record which parts of the collection take no writes for as long as the block runs; gives them.

        Those that a worker before left stopped are let in first.
        """
        if self._frozen:
            source.thaw(collection, self._frozen)
        self._frozen = source.writable(collection)
        self._keep()
        yield self._frozen
        self._frozen = ()
        self._keep()

    def _keep(self) -> None:
        segments: list[JsonValue] = [
            {"keys": str(one.keys), "rows": str(one.rows), "count": one.count} for one in self.segments
        ]
        self._bench.keep({"schema": str(self._schema.digest), "segments": segments, "frozen": list(self._frozen)})


def frozen_parts(journal: JsonObject) -> tuple[str, ...]:
    """Name the parts of the collection whose writers a worker stopped, and is not known to have let in again."""
    fields = Fields(journal, "the snapshot's journal")
    return fields.texts("frozen", maximum=_MAX_PARTS) if fields.has("frozen") else ()


def _read(fields: Fields) -> Segment:
    count = fields.integer("count", minimum=1)
    return Segment(Digest.parse(fields.text("keys")), Digest.parse(fields.text("rows")), count, count)
