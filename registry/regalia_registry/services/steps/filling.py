"""Filling a new collection with a snapshot's rows, as the schema that its engine holds, and the root they have so."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from regalia.core.digest import Digest
from regalia.core.fields import Fields
from regalia.core.strict_json import JsonObject
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


class Filling:
    """Makes a collection and puts a snapshot's rows into it; a worker that comes later goes on where this one was.

    `create`, `load` and `index` come in this order, each as often as it takes.
    """

    def __init__(
        self,
        ports: Ports,
        bench: Bench,
        snapshot: OpenedSnapshot,
        provider: Provider,
        planned: Planned,
        wanted: Collection[bytes] | None = None,
    ) -> None:
        """Do nothing yet; `wanted` are the keys of the rows that are put in, all where it is None.

        Raises:
            UnsupportedError: The engine can't hold it.
        """
        self._ports = ports
        self._bench = bench
        self._snapshot = snapshot
        self._provider = provider
        self._planned = planned
        self._wanted = wanted
        self._ledger = _JournalLedger({}, bench, planned.name)
        self._root: Digest | None = None
        self.hosted = provider.collections.hosted(snapshot.schema)

    def create(self, journal: JsonObject | None) -> None:
        """Make the empty collection, unless it is there with our mark; its name is kept before.

        `journal` is what the worker before kept of this collection.
        """
        planned, origin = self._planned, origin_of(self._snapshot, self.hosted)
        self._ledger = _JournalLedger(journal or {}, self._bench, planned.name)
        self._ledger.keep()
        self._provider.collections.create(planned.name, self.hosted.schema, mark=planned.mark, origin=origin)

    def load(self) -> None:
        """Load all rows that are not there.

        Raises:
            DigestError: The rows that were read are not the snapshot's.
        """
        bench = self._bench
        count = self._snapshot.config.count if self._wanted is None else len(self._wanted)
        translated = Translated(bench.folder, self._snapshot, self.hosted)
        groups = _groups(self._chosen(translated.rows(rows_of(self._ports, self._snapshot, bench.folder))))
        for rows in self._provider.sink.load(self._planned.name, self.hosted.schema, groups, ledger=self._ledger):
            bench.tell({"step": self._planned.steps[0], "rows": rows, "of": count})
        self._root = translated.root()

    def _chosen(self, batches: Iterator[Sequence[Row]]) -> Iterator[Sequence[Row]]:
        wanted = self._wanted
        if wanted is None:
            return batches
        return ([row for row in batch if row.key in wanted] for batch in batches)

    def index(self) -> None:
        """Build the index, and wait for it."""
        self._bench.tell({"step": self._planned.steps[1], "rows": self._snapshot.config.count})
        self._provider.sink.build_index(self._planned.name, self.hosted.schema)

    def run(self, journal: JsonObject | None) -> Filled:
        """Do all three."""
        self.create(journal)
        self.load()
        self.index()
        return self.filled()

    def filled(self) -> Filled:
        """Give what must be there now."""
        if self._root is None:
            raise RuntimeError("nothing was loaded")
        return Filled(self.hosted, self._root, self._snapshot.config.count)


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
