"""Loading a snapshot into a new collection, and proving that what is there is what was taken. Run by a worker."""

import base64
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from hashlib import sha256
from itertools import chain
from pathlib import Path

from regalia.core.digest import Digest
from regalia.core.errors import ConflictError, RegaliaError, UnavailableError
from regalia.core.fields import Fields
from regalia.core.names import ArtifactName, Kind
from regalia.core.strict_json import JsonObject
from regalia_registry.domain.access import Actor
from regalia_registry.domain.operations import LoadWish, Operation, VerifyWish
from regalia_registry.domain.snapshots.listing import Segment
from regalia_registry.domain.snapshots.rows import Row, Rows
from regalia_registry.domain.snapshots.schema import Schema
from regalia_registry.ports.vectors import Provider
from regalia_registry.segments.reading import live_rows, verify_root
from regalia_registry.segments.spool import KeySpool
from regalia_registry.services.context import Bench, Ports
from regalia_registry.services.steps.snapshots import OpenedSnapshot, fetched, open_snapshot
from regalia_registry.services.steps.targets import get_target, require_use
from regalia_registry.services.steps.translating import Translated, origin_of

_GROUP_ROWS = 5000
_SUFFIX_BYTES = 5
_JOURNAL = "the load's journal"


def load_snapshot(ports: Ports, actor: Actor, operation: Operation, bench: Bench) -> JsonObject:  # noqa: ARG001 # every doing is given who asked
    """Load a version into a collection of its own name, index it, and read it back.

    The name comes from the operation, so that a worker that takes it over goes on in the same collection; it stands in
    the journal before there is one. Where the engine holds the snapshot as another schema, what is proved is the root
    of the translated rows under that schema.

    Raises:
        UnsupportedError: The target can't hold it.
        ConflictError: What is there in the end is not what was loaded.
    """
    wish = LoadWish.parse(operation.request)
    snapshot = open_snapshot(ports, ArtifactName(operation.namespace, Kind.SNAPSHOT, wish.name), version=wish.version)
    with ports.store.read() as tx:
        target = require_use(tx, wish.target, namespace=operation.namespace)
    bench.tell({"step": "connecting", "target": wish.target})
    with closing(bench.targets.connect(target, holder=bench.holder)) as provider:
        collection = provider.physical_name(wish.logical, _suffix(operation.id))
        hosted = provider.collections.hosted(snapshot.schema)
        ledger = _JournalLedger(operation.journal or {}, bench, collection)
        ledger.keep()
        origin = origin_of(snapshot, hosted)
        provider.collections.create(collection, hosted.schema, mark=operation.id, origin=origin)
        translated = Translated(bench.folder, snapshot, hosted)
        groups = _groups(translated.rows(_rows(ports, snapshot, _made(bench.folder / "segments"))))
        for rows in provider.sink.load(collection, hosted.schema, groups, ledger=ledger):
            bench.tell({"step": "loading", "rows": rows, "of": snapshot.config.count})
        root = translated.root()
        bench.tell({"step": "indexing", "rows": snapshot.config.count})
        provider.sink.build_index(collection, hosted.schema)
        bench.tell({"step": "verifying", "rows": 0, "of": snapshot.config.count})
        _prove(provider, collection, Loaded(hosted.schema, root, snapshot.config.count), bench)
    return {
        "collection": collection,
        "target": wish.target,
        "count": snapshot.config.count,
        "content_root": str(root),
        "fidelity": list(hosted.fidelity),
    }


def unload_snapshot(ports: Ports, operation: Operation, bench: Bench) -> None:
    """Remove the collection of a load that came to no good end.

    Raises:
        UnavailableError: It is still there; the message names it.
    """
    if operation.journal is None:
        return
    wish, collection = LoadWish.parse(operation.request), Fields(operation.journal, _JOURNAL).text("collection")
    try:
        with ports.store.read() as tx:
            target = get_target(tx, wish.target)
        with closing(bench.targets.connect(target, holder=bench.holder)) as provider:
            provider.collections.drop(collection, mark=operation.id)
    except RegaliaError as error:
        raise UnavailableError(
            f'its half-made collection "{collection}" is left in the target "{wish.target}": {error.message}',
            hint=f'nothing reads it: drop "{collection}" with the engine\'s own tools',
        ) from error


def verify_snapshot(ports: Ports, actor: Actor, operation: Operation, bench: Bench) -> JsonObject:  # noqa: ARG001 # every doing is given who asked
    """Hash every file of a stored version, read every row, and compare the root.

    Raises:
        DigestError: A segment is damaged, or the rows are not what the root says.
        NotFoundError: A segment is gone.
    """
    wish = VerifyWish.parse(operation.request)
    snapshot = open_snapshot(ports, ArtifactName(operation.namespace, Kind.SNAPSHOT, wish.name), version=wish.version)

    def told() -> Iterator[Sequence[Row]]:
        done = 0
        for rows in _rows(ports, snapshot, _made(bench.folder / "segments")):
            yield rows
            done += len(rows)
            bench.tell({"step": "reading", "rows": done, "of": snapshot.config.count})

    keys = _made(bench.folder / "keys")
    for segment in snapshot.listing.segments:
        fetched(ports, segment.keys, keys / segment.keys_title).unlink()
        bench.tell({"step": "hashing keys"})
    count = verify_root(bench.folder, snapshot.schema, snapshot.config.content_root, told())
    return {"reference": f"{snapshot.stored.artifact}@{wish.version}", "count": count, "verified": True}


class _JournalLedger:
    """A `Ledger` in the operation's journal."""

    def __init__(self, journal: JsonObject, bench: Bench, collection: str) -> None:
        fields = Fields(journal, _JOURNAL)
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


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a collection must be once it is loaded."""

    schema: Schema
    root: Digest
    count: int


def _prove(provider: Provider, collection: str, expected: Loaded, bench: Bench) -> None:
    """Read the collection back: its schema, its root, and that a search reaches every row."""
    found = provider.collections.describe(collection).schema
    if found != expected.schema:
        raise ConflictError(
            f'the collection "{collection}" came out with another schema', hint="is the target of the same version?"
        )
    keys = KeySpool(bench.folder / "read-keys")  # looked up afterwards: one connection does one thing at a time
    with provider.source.open(collection) as reading:

        def reached() -> Iterator[Sequence[Row]]:
            done = 0
            for batch in reading.batches():
                rows = Rows.of(batch)
                keys.add(rows.keys)
                yield rows
                done += len(rows)
                bench.tell({"step": "verifying", "rows": done, "of": expected.count})

        verify_root(bench.folder, expected.schema, expected.root, reached())
    done = 0
    for group in keys.groups(_GROUP_ROWS):
        lost = provider.sink.unreachable(collection, group)
        if lost:
            raise ConflictError(
                f'{len(lost)} rows of "{collection}" are stored and can\'t be found by a search',
                hint="load it again, under another name",
            )
        done += len(group)
        bench.tell({"step": "searching every row", "rows": done, "of": expected.count})


def _rows(ports: Ports, snapshot: OpenedSnapshot, folder: Path) -> Iterator[Sequence[Row]]:
    """Read a snapshot's rows, one segment's file at a time."""

    def fetch(segment: Segment) -> Path:
        for left in folder.iterdir():
            left.unlink()
        return fetched(ports, segment.rows, folder / segment.rows_title)

    return live_rows(snapshot.schema, snapshot.listing, snapshot.tombstones, fetch)


def _groups(batches: Iterator[Sequence[Row]]) -> Iterator[Sequence[Row]]:
    """Cut a stream into groups of one size: the same ones whenever the same snapshot is read."""
    rows = chain.from_iterable(batches)
    group: list[Row] = []
    for row in rows:
        group.append(row)
        if len(group) == _GROUP_ROWS:
            yield group
            group = []
    if group:
        yield group


def _suffix(operation_id: str) -> str:
    """Give eight characters that belong to this operation alone."""
    return base64.b32encode(sha256(operation_id.encode()).digest()[:_SUFFIX_BYTES]).decode("ascii").lower()


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder
