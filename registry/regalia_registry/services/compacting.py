"""Compacting a snapshot: a version with the same rows in fewer files. Run by a worker."""

from collections.abc import Iterator
from pathlib import Path

from regalia.core.errors import NotFoundError
from regalia.core.names import ArtifactName, Kind
from regalia.core.strict_json import JsonObject
from regalia.core.values import replace
from regalia.core.versions import Part, Version
from regalia_registry.domain.access import Actor
from regalia_registry.domain.operations import CompactWish, Operation
from regalia_registry.domain.provenance import Making
from regalia_registry.domain.records import ArtifactVersion
from regalia_registry.domain.snapshots.listing import Listing, Segment
from regalia_registry.domain.snapshots.rows import Rows
from regalia_registry.segments.build import Built
from regalia_registry.segments.compaction import Compaction
from regalia_registry.segments.reading import live_rows
from regalia_registry.services.context import Bench, Caller, Ports
from regalia_registry.services.steps.about import WRITER
from regalia_registry.services.steps.keeping import Keeper, add_next, store_version
from regalia_registry.services.steps.snapshots import OpenedSnapshot, fetched, find_newest, stored_sizes, told_layers


def compact_snapshot(ports: Ports, actor: Actor, operation: Operation, bench: Bench) -> JsonObject:
    """Rewrite the worn segments of the newest version into the next one, whose root is the same.

    Raises:
        NotFoundError: There is no such snapshot, or a segment of it is gone.
        DigestError: What is stored is not what its root says; no version is made.
    """
    artifact = ArtifactName(operation.namespace, Kind.SNAPSHOT, CompactWish.parse(operation.request).name)
    newest = find_newest(ports, artifact)
    if newest is None:
        raise NotFoundError(f'there is no snapshot "{artifact}"', hint="reg snapshot create takes one")
    worn = newest.listing.worn(stored_sizes(newest))
    if not worn:
        return _outcome(newest.stored, newest, newest.listing)
    making = Making(operation, "", "", ports.clock.now(), WRITER)
    keep = Keeper(ports, operation.namespace)
    built = _compacted(ports, newest, frozenset(worn), keep, bench)
    if len(built.listing.segments) >= len(newest.listing.segments) and all(one.live == one.count for one in worn):
        return _outcome(newest.stored, newest, newest.listing)
    config = replace(newest.config, version=str(Version(newest.config.version).raised(Part.PATCH)))
    bench.tell({"step": "storing", "rows": built.stored})
    stored = store_version(ports, artifact, config, keep.layers(newest.schema, built, told_layers(newest)))
    source = f"{artifact}@{newest.stored.version}"
    provenance = making.ended(ports.clock.now(), consistency=config.consistency or "", source=source)
    add_next(ports, Caller(actor, operation.id), bench, stored, provenance)
    return _outcome(stored, newest, built.listing)


def _compacted(ports: Ports, newest: OpenedSnapshot, worn: frozenset[Segment], keep: Keeper, bench: Bench) -> Built:
    files = _made(bench.folder / "segments")
    compaction = Compaction(_made(bench.folder / "build"), newest.schema, keep.segment)
    for one in newest.listing.segments:
        if one not in worn:
            path = fetched(ports, one.keys, files / one.keys_title)
            compaction.keep(one, newest.tombstones, path)
            path.unlink()
            bench.tell({"step": "reading keys"})
    rewritten = Listing(tuple(one for one in newest.listing.segments if one in worn))

    def fetch(segment: Segment) -> Path:
        for left in files.iterdir():
            left.unlink()
        return fetched(ports, segment.rows, files / segment.rows_title)

    def told() -> Iterator[Rows]:
        done = 0
        for rows in live_rows(newest.schema, rewritten, newest.tombstones, fetch):
            yield rows
            done += len(rows)
            bench.tell({"step": "rewriting", "rows": done, "of": rewritten.count})

    return compaction.rewrite(told(), expected=newest.config.content_root)


def _outcome(stored: ArtifactVersion, newest: OpenedSnapshot, listing: Listing) -> JsonObject:
    return {
        "reference": f"{stored.artifact}@{stored.version}",
        "version": stored.version,
        "digest": str(stored.digest),
        "content_root": str(newest.config.content_root),
        "segments_before": len(newest.listing.segments),
        "segments": len(listing.segments),
        "created": stored.version != newest.stored.version,
    }


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder
