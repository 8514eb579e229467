"""Taking a snapshot of a collection, or of a file: read it, store what changed, add the version. Run by a worker."""

from contextlib import closing

from regalia.core.errors import RegaliaError, UnavailableError, UnsupportedError
from regalia.core.kinds.snapshot import SnapshotConfig
from regalia.core.names import ArtifactName, Kind
from regalia.core.strict_json import JsonObject
from regalia.core.versions import Part, Version
from regalia_registry.domain.access import Actor
from regalia_registry.domain.files import ImportWish
from regalia_registry.domain.operations import Operation, SnapshotWish, Target
from regalia_registry.domain.provenance import Making
from regalia_registry.domain.records import ArtifactVersion
from regalia_registry.domain.snapshots.schema import Schema
from regalia_registry.ports.vectors import Description
from regalia_registry.services.context import Bench, Caller, Ports
from regalia_registry.services.steps.about import WRITER, engine_of, layers_about
from regalia_registry.services.steps.keeping import Keeper, add_next, store_version
from regalia_registry.services.steps.resuming import SegmentJournal, frozen_parts
from regalia_registry.services.steps.snapshots import OpenedSnapshot, fetched, find_newest
from regalia_registry.services.steps.taking import Pass, Taking
from regalia_registry.services.steps.targets import folder_target, get_target, require_use

_FIRST = "1.0.0"
_MAX_FIDELITY = 2000  # characters; a config has room for 16 KiB in all


def take_snapshot(ports: Ports, actor: Actor, operation: Operation, bench: Bench) -> JsonObject:
    """Take the snapshot that an operation asks for; gives its outcome.

    Raises:
        UnsupportedError: The collection can't be a snapshot; all reasons are in the message.
        RegaliaError: Whatever kept it from being read or stored.
    """
    wish = SnapshotWish.parse(operation.request)
    with ports.store.read() as tx:
        target = require_use(tx, wish.target, namespace=operation.namespace)
    bench.tell({"step": "connecting", "target": wish.target})
    return _take(ports, actor, operation, bench, target, wish)


def import_snapshot(ports: Ports, actor: Actor, operation: Operation, bench: Bench) -> JsonObject:
    """Take the snapshot of a file that was sent as a blob, through the provider that reads files; gives its outcome.

    Raises:
        NotFoundError: The blob is gone.
        UnsupportedError: The file can't be a snapshot; all reasons are in the message.
        RegaliaError: Whatever kept it from being read or stored.
    """
    wish = ImportWish.parse(operation.request)
    folder = bench.folder / "import"
    folder.mkdir()
    bench.tell({"step": "fetching"})
    fetched(ports, wish.file, folder / wish.file_name)
    source = SnapshotWish(folder.name, wish.file_name, wish.name, wish.embedding)
    return _take(ports, actor, operation, bench, folder_target(folder), source)


def release_collection(ports: Ports, operation: Operation, bench: Bench) -> None:
    """Let writers into the collection of a snapshot that came to no good end while they were stopped.

    Raises:
        UnavailableError: They are still stopped; the message says how to let them in.
    """
    parts = () if operation.journal is None else frozen_parts(operation.journal)
    if not parts:
        return
    wish = SnapshotWish.parse(operation.request)
    try:
        with ports.store.read() as tx:
            target = get_target(tx, wish.target)
        with closing(bench.targets.connect(target, holder=bench.holder)) as provider:
            provider.source.thaw(wish.collection, parts)
    except RegaliaError as error:
        raise UnavailableError(
            f'writers of "{wish.collection}" in "{wish.target}" are still stopped: {error.message}',
            hint="let them in with the engine's own tools: in Weaviate, set its shards to READY",
        ) from error


def _take(
    ports: Ports, actor: Actor, operation: Operation, bench: Bench, target: Target, wish: SnapshotWish
) -> JsonObject:
    artifact = ArtifactName(operation.namespace, Kind.SNAPSHOT, wish.name)
    newest = find_newest(ports, artifact)
    keep = Keeper(ports, operation.namespace)
    started = ports.clock.now()
    with closing(bench.targets.connect(target, holder=bench.holder)) as provider:
        description = provider.collections.describe(wish.collection)
        _require_kept(wish.collection, description)
        schema = description.schema
        journal = SegmentJournal(operation.journal, schema, bench)
        taking = Taking(ports, provider, wish, schema, newest, keep, journal)
        taken = taking.settled(bench)
        if newest is not None and _is_same(newest, taken, schema, wish):
            return _outcome(newest.stored, taken, created=False)
        built = taken.built
        about = layers_about(taking, taken, bench)
        making = Making(operation, target.provider, engine_of(provider), started, WRITER)
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
    bench.tell({"step": "storing", "rows": built.stored})
    layers = keep.layers(schema, built, about)
    stored = store_version(ports, artifact, config, layers)
    provenance = making.ended(ports.clock.now(), consistency=str(taken.consistency))
    kept, created = add_next(ports, Caller(actor, operation.id), bench, stored, provenance)
    worn = built.listing.worn({layer.digest: layer.size_bytes for layer in layers})
    return _outcome(kept, taken, created=created) | {"worn_segments": len(worn)}


def _require_kept(collection: str, description: Description) -> None:
    refusals = list(description.refusals)
    try:
        Schema.parse(description.schema.written())  # what could not be read again would block the snapshot's name
    except RegaliaError as error:
        refusals.append(error.message)
    if refusals:
        raise UnsupportedError(
            f'"{collection}" can\'t be a snapshot: {"; ".join(refusals)}',
            hint="change the collection, or snapshot another that is made from it",
        )


def _fidelity(description: Description) -> str | None:
    """Tell what is not kept, and what was not kept on the way from the snapshot that the collection was made from."""
    before = () if description.origin is None else description.origin.fidelity
    told, left = list[str](), [*before, *description.fidelity]
    while left and len("; ".join([*told, left[0]])) <= _MAX_FIDELITY:
        told.append(left.pop(0))
    return "; ".join([*told, *([f"and {len(left)} more"] if left else [])]) or None


def _is_same(newest: OpenedSnapshot, taken: Pass, schema: Schema, wish: SnapshotWish) -> bool:
    config, root = newest.config, taken.built.root
    return (config.content_root, config.schema_digest, config.embedding) == (root, schema.digest, wish.embedding)


def _outcome(stored: ArtifactVersion, taken: Pass, *, created: bool) -> JsonObject:
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
