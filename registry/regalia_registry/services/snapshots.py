"""Taking a snapshot: read a collection in one moment, store what changed, and add the version. Run by a worker."""

import shutil
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from regalia.core.errors import ConflictError, UnsupportedError
from regalia.core.kinds.snapshot import SnapshotConfig
from regalia.core.names import ArtifactName, Kind
from regalia.core.strict_json import JsonObject
from regalia.core.versions import Part, Version
from regalia_registry.domain.access import Actor
from regalia_registry.domain.operations import Operation, SnapshotWish
from regalia_registry.domain.records import ArtifactVersion
from regalia_registry.domain.snapshots.schema import Schema
from regalia_registry.ports.vectors import Consistency, Description, Provider
from regalia_registry.segments.base import Base, BaseSegment
from regalia_registry.segments.build import Build, Built
from regalia_registry.segments.parquet import StoredSegment
from regalia_registry.segments.reading import dead_rows
from regalia_registry.services.context import Bench, Caller, Ports
from regalia_registry.services.steps.artifacts import add_version
from regalia_registry.services.steps.keeping import Keeper, store_version
from regalia_registry.services.steps.resuming import SegmentJournal
from regalia_registry.services.steps.snapshots import OpenedSnapshot, fetched, find_newest
from regalia_registry.services.steps.targets import require_use

_FIRST = "1.0.0"
_MAX_PASSES = 4
_MAX_FIDELITY = 2000  # characters; a config has room for 16 KiB in all


def take_snapshot(ports: Ports, actor: Actor, operation: Operation, bench: Bench) -> JsonObject:
    """Take the snapshot that an operation asks for; gives its outcome.

    Raises:
        UnsupportedError: The collection can't be a snapshot; all reasons are in the message.
        RegaliaError: Whatever kept it from being read or stored.
    """
    wish = SnapshotWish.parse(operation.request)
    artifact = ArtifactName(operation.namespace, Kind.SNAPSHOT, wish.name)
    with ports.store.read() as tx:
        target = require_use(tx, wish.target, namespace=operation.namespace)
    newest = find_newest(ports, artifact)
    bench.tell({"step": "connecting", "target": wish.target})
    with closing(bench.targets.connect(target, holder=bench.holder)) as provider:
        description = provider.collections.describe(wish.collection)
        _require_kept(wish.collection, description)
        schema = description.schema
        keep = Keeper(ports, operation.namespace)
        journal = SegmentJournal(operation.journal, schema, bench)
        taken = _settled(_Taking(ports, provider, wish, schema, newest, keep, journal).passes(bench), wish.collection)
    built = taken.built
    if newest is not None and _is_same(newest, built, schema, wish):
        return _outcome(newest.stored, taken, created=False)
    config = SnapshotConfig(
        name=wish.name,
        version=_FIRST if newest is None else str(Version(newest.config.version).raised(Part.PATCH)),
        count=built.listing.count,
        content_root=built.root,
        schema_digest=schema.digest,
        vectors=schema.vectors,
        embedding=wish.embedding,
        fidelity=_fidelity(description),
        consistency=str(taken.consistency),
        derived_from=None if description.origin is None else description.origin.snapshot,
    )
    bench.tell({"step": "storing", "rows": built.listing.count})
    layers = keep.layers(schema, built)
    stored = store_version(ports, artifact, config, layers)
    caller = Caller(actor, operation.id)
    with ports.store.write(actor) as tx:
        bench.fence(tx)
        created = add_version(ports, caller, tx, stored)
    worn = built.listing.worn({layer.digest: layer.size_bytes for layer in layers})
    return _outcome(stored, taken, created=created) | {"worn_segments": len(worn)}


@dataclass(frozen=True, slots=True)
class _Pass:
    """One reading of the whole collection: what was built, how many rows moved, how many no search there finds."""

    built: Built
    consistency: Consistency
    moved: int
    unindexed: int


@dataclass(frozen=True, slots=True)
class _Taking:
    """What a collection's readings have in common."""

    ports: Ports
    provider: Provider
    wish: SnapshotWish
    schema: Schema
    newest: OpenedSnapshot | None
    keep: Keeper
    journal: SegmentJournal

    def passes(self, bench: Bench) -> Iterator[_Pass]:
        """Read the collection, again and again; what one reading stored is a base of the next."""
        for number in range(1, _MAX_PASSES + 1):
            folder = _made(bench.folder / f"pass-{number}")
            base = _base(self.ports, self.newest, self.journal, self.schema, folder)
            with (
                Build(_made(folder / "build"), self.schema, base, self._store) as build,
                self.provider.source.open(self.wish.collection, freeze=self.wish.freeze) as reading,
            ):
                rows = 0
                for batch in reading.batches():
                    build.add(batch)
                    rows += len(batch)
                    bench.tell({"step": "reading", "rows": rows})
                made = _Pass(build.finish(), reading.consistency, reading.moved(), reading.unindexed())
            yield made
            shutil.rmtree(folder)
            bench.tell({"step": "reading again", "moved": made.moved})

    def _store(self, made: StoredSegment) -> None:
        self.keep.segment(made)
        self.journal.add(made)


def _settled(passes: Iterator[_Pass], collection: str) -> _Pass:
    """Take the first reading in which nothing moved, or that two in a row agree on.

    Raises:
        ConflictError: No two agree.
    """
    last: _Pass | None = None
    for taken in passes:
        if taken.moved == 0:
            return taken
        if last is not None and last.built.root == taken.built.root:
            return replace(taken, consistency=Consistency.FUZZY)
        last = taken
    raise ConflictError(
        f'"{collection}" was written each time it was read: {0 if last is None else last.moved} rows moved',
        hint="stop its writers for a while, or let none write meanwhile: --freeze",
    )


def _base(
    ports: Ports, newest: OpenedSnapshot | None, journal: SegmentJournal, schema: Schema, folder: Path
) -> Base | None:
    """Fetch the keys of the newest snapshot, if it has this schema, and of what an earlier run of this one stored."""
    found = [(one, b"") for one in journal.segments]
    if newest is not None and newest.config.schema_digest == schema.digest:
        found = [(one, dead_rows(one, newest.tombstones)) for one in newest.listing.segments] + found
    if not found:
        return None
    keys = _made(folder / "base")
    return Base([BaseSegment(one, fetched(ports, one.keys, keys / one.keys_title), dead) for one, dead in found])


def _require_kept(collection: str, description: Description) -> None:
    if description.refusals:
        raise UnsupportedError(
            f'"{collection}" can\'t be a snapshot: {"; ".join(description.refusals)}',
            hint="change the collection, or snapshot another that is made from it",
        )


def _fidelity(description: Description) -> str | None:
    """Tell what is not kept, and what was not kept on the way from the snapshot that the collection was made from."""
    before = () if description.origin is None else description.origin.fidelity
    told, left = "", [*before, *description.fidelity]
    while left and len(told) + len(left[0]) <= _MAX_FIDELITY:
        told += f"{'; ' if told else ''}{left.pop(0)}"
    return (f"{told}; and {len(left)} more" if left else told) or None


def _is_same(newest: OpenedSnapshot, built: Built, schema: Schema, wish: SnapshotWish) -> bool:
    config = newest.config
    return (config.content_root, config.schema_digest, config.embedding) == (built.root, schema.digest, wish.embedding)


def _outcome(stored: ArtifactVersion, taken: _Pass, *, created: bool) -> JsonObject:
    built = taken.built
    return {
        "reference": f"{stored.artifact}@{stored.version}",
        "version": stored.version,
        "digest": str(stored.digest),
        "content_root": str(built.root),
        "count": built.listing.count,
        "rows_stored": built.stored,
        "rows_kept": built.kept,
        "unindexed": taken.unindexed,
        "consistency": str(taken.consistency),
        "created": created,
    }


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder
