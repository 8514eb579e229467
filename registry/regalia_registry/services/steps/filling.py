"""Filling a new collection with a snapshot's rows, as the schema that its engine holds, and the root they have so."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import chain
from pathlib import Path

from regalia.core.digest import Digest
from regalia.core.errors import DigestError
from regalia.core.fields import Fields
from regalia.core.strict_json import JsonObject
from regalia_registry.domain.operations import Operation
from regalia_registry.domain.snapshots.listing import Segment
from regalia_registry.domain.snapshots.origin import Origin
from regalia_registry.domain.snapshots.rows import Row, Rows, row_digests
from regalia_registry.domain.snapshots.translation import Hosted, translator
from regalia_registry.ports.vectors import Provider
from regalia_registry.segments.reading import live_rows
from regalia_registry.segments.spool import RootSpool
from regalia_registry.services.context import Bench, Ports
from regalia_registry.services.steps.snapshots import OpenedSnapshot, fetched

GROUP_ROWS = 5000
JOURNAL = "the load's journal"


@dataclass(frozen=True, slots=True)
class Filled:
    """What was made: as what the engine holds it, and how many rows of which root it must have."""

    hosted: Hosted
    root: Digest
    count: int


def fill(
    ports: Ports, operation: Operation, bench: Bench, snapshot: OpenedSnapshot, provider: Provider, collection: str
) -> Filled:
    """Create a collection with the operation's mark, and load and index all rows; a worker that comes later goes on.

    Raises:
        UnsupportedError: The engine can't hold it.
        DigestError: The rows that were read are not the snapshot's.
    """
    count = snapshot.config.count
    hosted = provider.collections.hosted(snapshot.schema)
    ledger = _JournalLedger(operation.journal or {}, bench, collection)
    ledger.keep()
    origin = _origin(snapshot, hosted)
    provider.collections.create(collection, hosted.schema, mark=operation.id, origin=origin)
    translated = _Translated(bench.folder, snapshot, hosted)
    groups = cut(translated.rows(rows_of(ports, snapshot, bench.folder)))
    for rows in provider.sink.load(collection, hosted.schema, groups, ledger=ledger):
        bench.tell({"step": "loading", "rows": rows, "of": count})
    root = translated.root()
    bench.tell({"step": "indexing", "rows": count})
    provider.sink.build_index(collection, hosted.schema)
    return Filled(hosted, root, count)


def rows_of(ports: Ports, snapshot: OpenedSnapshot, folder: Path) -> Iterator[Sequence[Row]]:
    """Read a snapshot's rows, one segment's file at a time."""
    segments = folder / "segments"
    segments.mkdir()

    def fetch(segment: Segment) -> Path:
        for left in segments.iterdir():
            left.unlink()
        return fetched(ports, segment.rows, segments / segment.rows_title)

    yield from live_rows(snapshot.schema, snapshot.listing, snapshot.tombstones, fetch)


def cut(batches: Iterator[Sequence[Row]]) -> Iterator[Sequence[Row]]:
    """Cut a stream into groups of one size: the same ones whenever the same snapshot is read."""
    group: list[Row] = []
    for row in chain.from_iterable(batches):
        group.append(row)
        if len(group) == GROUP_ROWS:
            yield group
            group = []
    if group:
        yield group


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
        """Name the collection to whoever comes after, before there is one."""
        self._bench.keep({"collection": self._collection, "started": self.started, "acknowledged": self.acknowledged})


def _origin(snapshot: OpenedSnapshot, hosted: Hosted) -> Origin:
    """Name a snapshot to what is made from it, with what is not the same there."""
    config = snapshot.config
    kept = () if config.fidelity is None else (config.fidelity,)
    return Origin.of(f"{snapshot.stored.artifact}@{config.version}", config.content_root, kept + hosted.fidelity)


class _Translated:
    """One pass over a snapshot: its own rows are hashed as they go in, and the translated ones as they come out."""

    def __init__(self, folder: Path, snapshot: OpenedSnapshot, hosted: Hosted) -> None:
        """Spool in `folder`, where both roots are taken: nothing is where nothing is translated.

        Raises:
            DocumentError: The one schema can't become the other.
        """
        self._snapshot = snapshot
        self._schema = hosted.schema
        self._translate = translator(snapshot.schema, hosted)
        self._spools = (
            None
            if hosted.schema == snapshot.schema
            else (RootSpool(folder / "taken"), RootSpool(folder / "translated"))
        )

    def rows(self, batches: Iterator[Sequence[Row]]) -> Iterator[Sequence[Row]]:
        """Translate the rows of the snapshot, which are read once and to their end."""
        if self._spools is None:
            yield from batches
            return
        taken, translated = self._spools
        for rows in batches:
            batch = Rows.of(rows)
            made = Rows.of(map(self._translate, batch))
            key_hashes = [sha256(key).digest() for key in batch.keys]
            taken.add(key_hashes, row_digests(batch))
            translated.add(key_hashes, row_digests(made))
            yield made

    def root(self) -> Digest:
        """Give the root that the engine's rows must have.

        Raises:
            DigestError: The rows that were translated are not the snapshot's.
        """
        expected = self._snapshot.config.content_root
        if self._spools is None:
            return expected
        taken, translated = self._spools
        found = taken.root(self._snapshot.schema.digest)
        if found != expected:
            raise DigestError(
                f"the rows hash to {found.short}, the snapshot says {expected.short}",
                hint="the snapshot is not what was taken: take it again, or restore the blobs from a backup",
            )
        return translated.root(self._schema.digest)
