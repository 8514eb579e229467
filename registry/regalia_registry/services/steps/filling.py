"""Filling a new collection with a snapshot's rows, as the schema that its engine holds, and the root they have so."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from regalia.core.digest import Digest
from regalia.core.fields import Fields
from regalia.core.strict_json import JsonObject
from regalia_registry.domain.operations import Operation
from regalia_registry.domain.snapshots.listing import Segment
from regalia_registry.domain.snapshots.rows import Row
from regalia_registry.domain.snapshots.translation import Hosted
from regalia_registry.ports.vectors import Provider
from regalia_registry.segments.reading import live_rows
from regalia_registry.services.context import Bench, Ports
from regalia_registry.services.steps.snapshots import OpenedSnapshot, fetched
from regalia_registry.services.steps.translating import Translated, origin_of

GROUP_ROWS = 5000
JOURNAL = "the load's journal"


@dataclass(frozen=True, slots=True)
class Planned:
    """The collection that is to be made: its name, the mark that says later whose it is, and what its two steps are."""

    name: str
    mark: str
    steps: tuple[str, str] = ("loading", "indexing")


@dataclass(frozen=True, slots=True)
class Filled:
    """What was made: as what the engine holds it, and the root and number of rows that it must have."""

    hosted: Hosted
    root: Digest
    count: int


def fill(
    ports: Ports, operation: Operation, bench: Bench, snapshot: OpenedSnapshot, provider: Provider, planned: Planned
) -> Filled:
    """Create the collection, and load and index all rows; a worker that comes later goes on where this one was.

    Raises:
        UnsupportedError: The engine can't hold it.
        DigestError: The rows that were read are not the snapshot's.
    """
    count = snapshot.config.count
    hosted = provider.collections.hosted(snapshot.schema)
    ledger = _JournalLedger(operation.journal or {}, bench, planned.name)
    ledger.keep()
    origin = origin_of(snapshot, hosted)
    provider.collections.create(planned.name, hosted.schema, mark=planned.mark, origin=origin)
    translated = Translated(bench.folder, snapshot, hosted)
    groups = _groups(translated.rows(rows_of(ports, snapshot, bench.folder)))
    for rows in provider.sink.load(planned.name, hosted.schema, groups, ledger=ledger):
        bench.tell({"step": planned.steps[0], "rows": rows, "of": count})
    root = translated.root()
    bench.tell({"step": planned.steps[1], "rows": count})
    provider.sink.build_index(planned.name, hosted.schema)
    return Filled(hosted, root, count)


def rows_of(ports: Ports, snapshot: OpenedSnapshot, folder: Path) -> Iterator[Sequence[Row]]:
    """Read a snapshot's rows, one segment's file at a time, in a folder of their own in this one."""
    segments = folder / "segments"
    segments.mkdir()

    def fetch(segment: Segment) -> Path:
        for left in segments.iterdir():
            left.unlink()
        return fetched(ports, segment.rows, segments / segment.rows_title)

    yield from live_rows(snapshot.schema, snapshot.listing, snapshot.tombstones, fetch)


class _JournalLedger:
    """A `Ledger` in the operation's journal."""

    def __init__(self, journal: JsonObject, bench: Bench, collection: str) -> None:
        fields = Fields(journal, JOURNAL)
        self._bench = bench
        self._collection = collection
        self.started = fields.optional("started", fields.integer) or 0
        self.acknowledged = fields.optional("acknowledged", fields.integer) or 0

    def start(self, groups: int) -> None:
        self.started = max(self.started, groups)
        self.keep()

    def acknowledge(self, groups: int) -> None:
        self.acknowledged = groups
        self.keep()

    def keep(self) -> None:
        self._bench.keep({"collection": self._collection, "started": self.started, "acknowledged": self.acknowledged})


def _groups(batches: Iterator[Sequence[Row]]) -> Iterator[Sequence[Row]]:
    """Cut a stream into groups of one size: the same ones whenever the same snapshot is read."""
    group: list[Row] = []
    for row in chain.from_iterable(batches):
        group.append(row)
        if len(group) == GROUP_ROWS:
            yield group
            group = []
    if group:
        yield group
