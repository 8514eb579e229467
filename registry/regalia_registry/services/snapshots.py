"""Taking a snapshot: read a collection in one moment, store what changed, and add the version. Run by a worker."""

from contextlib import closing
from pathlib import Path

from regalia.core.errors import UnsupportedError
from regalia.core.kinds.snapshot import SnapshotConfig
from regalia.core.names import ArtifactName, Kind
from regalia.core.strict_json import JsonObject
from regalia.core.versions import Part, Version
from regalia_registry.domain.access import Actor
from regalia_registry.domain.operations import Operation, SnapshotWish
from regalia_registry.domain.records import ArtifactVersion
from regalia_registry.domain.snapshots.schema import Schema
from regalia_registry.ports.vectors import Description
from regalia_registry.segments.base import Base, BaseSegment
from regalia_registry.segments.build import Build, Built
from regalia_registry.segments.reading import dead_rows
from regalia_registry.services.context import Bench, Caller, Ports
from regalia_registry.services.steps.artifacts import add_version
from regalia_registry.services.steps.keeping import Keeper, store_version
from regalia_registry.services.steps.snapshots import OpenedSnapshot, fetched, find_newest
from regalia_registry.services.steps.targets import find_target

_FIRST = "1.0.0"


def take_snapshot(ports: Ports, actor: Actor, operation: Operation, bench: Bench) -> JsonObject:
    """Take the snapshot that an operation asks for; gives its outcome.

    Raises:
        UnsupportedError: The collection can't be a snapshot; all reasons are in the message.
        RegaliaError: Whatever kept it from being read or stored.
    """
    wish = SnapshotWish.parse(operation.request)
    artifact = ArtifactName(operation.namespace, Kind.SNAPSHOT, wish.name)
    with ports.store.read() as tx:
        target = find_target(tx, wish.target)
    newest = find_newest(ports, artifact)
    bench.tell({"step": "connecting", "target": wish.target})
    with closing(bench.targets.connect(target, holder=bench.holder)) as provider:
        description = provider.collections.describe(wish.collection)
        _require_kept(wish.collection, description)
        schema = description.schema
        base = _base(ports, newest, schema, bench.folder)
        keep = Keeper(ports, operation.namespace)
        with Build(_made(bench.folder / "build"), schema, base, keep.segment) as build:
            with provider.source.open(wish.collection) as reading:
                consistency = str(reading.consistency)
                rows = 0
                for batch in reading.batches():
                    build.add(batch)
                    rows += len(batch)
                    bench.tell({"step": "reading", "rows": rows})
            built = build.finish()
    if newest is not None and _is_same(newest, built, schema, wish):
        return _outcome(newest.stored, built, created=False)
    config = SnapshotConfig(
        name=wish.name,
        version=_FIRST if newest is None else str(Version(newest.config.version).raised(Part.PATCH)),
        count=built.listing.count,
        content_root=built.root,
        schema_digest=schema.digest,
        vectors=schema.vectors,
        embedding=wish.embedding,
        fidelity="; ".join(description.fidelity) or None,
        consistency=consistency,
    )
    bench.tell({"step": "storing", "rows": rows})
    layers = keep.layers(schema, built)
    stored = store_version(ports, artifact, config, layers)
    caller = Caller(actor, operation.id)
    with ports.store.write(actor) as tx:
        bench.fence(tx)
        created = add_version(ports, caller, tx, stored)
    worn = built.listing.worn({layer.digest: layer.size_bytes for layer in layers})
    return _outcome(stored, built, created=created) | {"worn_segments": len(worn)}


def _base(ports: Ports, newest: OpenedSnapshot | None, schema: Schema, folder: Path) -> Base | None:
    """Fetch the keys of the newest snapshot, if it has this schema."""
    if newest is None or newest.config.schema_digest != schema.digest:
        return None
    keys = _made(folder / "base")
    return Base(
        [
            BaseSegment(one, fetched(ports, one.keys, keys / one.keys_title), dead_rows(one, newest.tombstones))
            for one in newest.listing.segments
        ]
    )


def _require_kept(collection: str, description: Description) -> None:
    if description.refusals:
        raise UnsupportedError(
            f'"{collection}" can\'t be a snapshot: {"; ".join(description.refusals)}',
            hint="change the collection, or snapshot another that is made from it",
        )


def _is_same(newest: OpenedSnapshot, built: Built, schema: Schema, wish: SnapshotWish) -> bool:
    config = newest.config
    return (config.content_root, config.schema_digest, config.embedding) == (built.root, schema.digest, wish.embedding)


def _outcome(stored: ArtifactVersion, built: Built, *, created: bool) -> JsonObject:
    return {
        "reference": f"{stored.artifact}@{stored.version}",
        "version": stored.version,
        "digest": str(stored.digest),
        "content_root": str(built.root),
        "count": built.listing.count,
        "rows_stored": built.stored,
        "rows_kept": built.kept,
        "created": created,
    }


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder
