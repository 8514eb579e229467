"""One snapshot of one collection: read, compared with a base, stored as far as it is new, added as a version."""

from contextlib import closing

from regalia.core.errors import RegaliaError, UnsupportedError
from regalia.core.kinds.snapshot import SnapshotConfig
from regalia.core.names import ArtifactName, Kind
from regalia.core.strict_json import JsonObject
from regalia.core.versions import Part, Version
from regalia_registry.domain.access import Actor
from regalia_registry.domain.operations import Operation, SnapshotWish, Target
from regalia_registry.domain.provenance import Making
from regalia_registry.domain.records import ArtifactVersion
from regalia_registry.domain.snapshots.schema import Schema
from regalia_registry.ports.vectors import Description
from regalia_registry.services.context import Bench, Caller, Ports
from regalia_registry.services.steps.about import WRITER, engine_of, layers_about
from regalia_registry.services.steps.keeping import Keeper, add_next, store_version
from regalia_registry.services.steps.resuming import SegmentJournal
from regalia_registry.services.steps.snapshots import OpenedSnapshot, find_newest
from regalia_registry.services.steps.taking import Pass, Taking

_FIRST = "1.0.0"
_MAX_FIDELITY = 2000  # characters; a config has room for 16 KiB in all


def take(
    ports: Ports,
    actor: Actor,
    operation: Operation,
    bench: Bench,
    target: Target,
    wish: SnapshotWish,
    base: OpenedSnapshot | None = None,
) -> JsonObject:  # the world, who asks, what, and what it is compared with
    """Take a snapshot; gives the outcome.

    Rows that `base` has are not stored again: the newest version, where nothing else is given. Where all is as in
    either, it is that version.

    Raises:
        UnsupportedError: The collection can't be a snapshot; all reasons are in the message.
        RegaliaError: Whatever kept it from being read or stored.
    """
    artifact = ArtifactName(operation.namespace, Kind.SNAPSHOT, wish.name)
    newest = find_newest(ports, artifact)
    base = base or newest
    keep = Keeper(ports, operation.namespace)
    started = ports.clock.now()
    with closing(bench.targets.connect(target, holder=bench.holder)) as provider:
        description = provider.collections.describe(wish.collection)
        _require_kept(wish.collection, description)
        schema = description.schema
        journal = SegmentJournal(operation.journal, schema, bench)
        taking = Taking(ports, provider, wish, schema, base, keep, journal)
        taken = taking.settled(bench)
        for known in (base, newest):
            if known is not None and _is_same(known, taken, schema, wish):
                return _outcome(known.stored, taken, created=False)
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
