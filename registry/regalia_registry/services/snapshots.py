"""Taking a snapshot: read a collection, store what changed, and add the version; or a file. Run by a worker."""

import io
import shutil
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from regalia.core import oci
from regalia.core.digest import Digest
from regalia.core.errors import ConflictError, UnsupportedError
from regalia.core.kinds.snapshot import SnapshotConfig
from regalia.core.manifest import Manifest, fingerprint, write_config
from regalia.core.names import ArtifactName, Kind
from regalia.core.oci import Descriptor
from regalia.core.strict_json import JsonObject, parse_object
from regalia.core.versions import Part, Version
from regalia_registry.domain.access import Actor
from regalia_registry.domain.operations import ImportWish, Operation, SnapshotWish, Target
from regalia_registry.domain.records import ArtifactVersion
from regalia_registry.domain.snapshots.schema import Schema
from regalia_registry.ports.vectors import Consistency, Description, Provider
from regalia_registry.segments.base import Base, BaseSegment
from regalia_registry.segments.build import Build, Built
from regalia_registry.segments.parquet import StoredFile, StoredSegment
from regalia_registry.segments.reading import dead_rows
from regalia_registry.services.context import Bench, Caller, Ports
from regalia_registry.services.steps.artifacts import add_version
from regalia_registry.services.steps.blobs import keep_blob
from regalia_registry.services.steps.snapshots import (
    LISTING,
    SCHEMA,
    TOMBSTONES,
    OpenedSnapshot,
    fetched,
    find_newest,
)
from regalia_registry.services.steps.targets import folder_target, require_use

_FIRST = "1.0.0"
_MAX_PASSES = 4
_JSON_TYPE, _PARQUET_TYPE = "application/json", "application/vnd.apache.parquet"
_MAX_FIDELITY = 2000  # characters; a config has room for 16 KiB in all
_BITMAP_TYPE = "application/octet-stream"


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
    """Take the snapshot of a file that was pushed as a blob, by the provider that reads files; gives its outcome.

    Raises:
        NotFoundError: The blob is gone.
        UnsupportedError: The file can't be a snapshot; all reasons are in the message.
        RegaliaError: Whatever kept it from being read or stored.
    """
    wish = ImportWish.parse(operation.request)
    folder = _made(bench.folder / "import")
    fetched(ports, wish.file, folder / wish.file_name)
    source = SnapshotWish(folder.name, wish.file_name, wish.name, wish.embedding)
    return _take(ports, actor, operation, bench, folder_target(folder), source)


def _take(
    ports: Ports, actor: Actor, operation: Operation, bench: Bench, target: Target, wish: SnapshotWish
) -> JsonObject:
    artifact = ArtifactName(operation.namespace, Kind.SNAPSHOT, wish.name)
    newest = find_newest(ports, artifact)
    with closing(bench.targets.connect(target, holder=bench.holder)) as provider:
        description = provider.collections.describe(wish.collection)
        _require_kept(wish.collection, description)
        schema = description.schema
        keep = _Keeper(ports, operation.namespace)
        taken = _settled(_passes(ports, provider, wish, schema, newest, keep, bench), wish.collection)
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
    stored = _stored(ports, artifact, config, keep.layers(schema, built))
    caller = Caller(actor, operation.id)
    with ports.store.write(actor) as tx:
        bench.fence(tx)
        created = add_version(ports, caller, tx, stored)
    return _outcome(stored, taken, created=created)


@dataclass(frozen=True, slots=True)
class _Pass:
    """One reading of the whole collection: what was built, how many rows moved, how many no search there finds."""

    built: Built
    consistency: Consistency
    moved: int
    unindexed: int


def _passes(
    ports: Ports,
    provider: Provider,
    wish: SnapshotWish,
    schema: Schema,
    newest: OpenedSnapshot | None,
    keep: "_Keeper",
    bench: Bench,
) -> Iterator[_Pass]:
    """Read the collection, again and again, each time from the same base."""
    for number in range(1, _MAX_PASSES + 1):
        folder = _made(bench.folder / f"pass-{number}")
        build = Build(_made(folder / "build"), schema, _base(ports, newest, schema, folder), keep.segment)
        with provider.source.open(wish.collection, freeze=wish.freeze) as reading:
            rows = 0
            for batch in reading.batches():
                build.add(batch)
                rows += len(batch)
                bench.tell({"step": "reading", "rows": rows})
            made = _Pass(build.finish(), reading.consistency, reading.moved(), reading.unindexed())
        yield made
        shutil.rmtree(folder)
        bench.tell({"step": "reading again", "moved": made.moved})


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


class _Keeper:
    """Puts files and small layers into the blob store, and links them for the namespace."""

    def __init__(self, ports: Ports, namespace: str) -> None:
        self._ports = ports
        self._namespace = namespace
        self._sizes: dict[Digest, int] = {}

    def segment(self, made: StoredSegment) -> None:
        """Store a segment's files, and let go of them."""
        for file in (made.keys, made.rows):
            self._file(file)
            file.path.unlink()

    def layers(self, schema: Schema, built: Built) -> tuple[Descriptor, ...]:
        """Store the small layers; gives all of the manifest's, in their order."""
        small = {SCHEMA: (_JSON_TYPE, schema.written()), LISTING: (_JSON_TYPE, built.listing.written())}
        if built.tombstones:
            small[TOMBSTONES] = _BITMAP_TYPE, built.tombstones
        described = [
            Descriptor.of(self.small(body), media_type, **{oci.TITLE: title})
            for title, (media_type, body) in small.items()
        ]
        for segment in built.listing.segments:
            for title, digest in ((segment.keys_title, segment.keys), (segment.rows_title, segment.rows)):
                size_bytes = self._sizes.get(digest) or self._ports.blobs.stat(digest=digest)
                described.append(Descriptor(_PARQUET_TYPE, digest, size_bytes or 0, {oci.TITLE: title}))
        return tuple(described)

    def small(self, body: bytes) -> bytes:
        """Store some bytes; gives them back."""
        digest = Digest.of(body)
        keep_blob(self._ports, self._namespace, digest, io.BytesIO(body), size_bytes=len(body))
        return body

    def _file(self, file: StoredFile) -> None:
        with file.path.open("rb") as source:
            keep_blob(self._ports, self._namespace, file.digest, source, size_bytes=file.size_bytes)
        self._sizes[file.digest] = file.size_bytes


def _stored(
    ports: Ports, artifact: ArtifactName, config: SnapshotConfig, layers: tuple[Descriptor, ...]
) -> ArtifactVersion:
    body = _Keeper(ports, artifact.namespace).small(write_config(config))
    manifest = Manifest.build(config, layers)
    written = parse_object(body, what="the config", max_bytes=len(body))
    return ArtifactVersion(
        artifact=artifact,
        version=config.version,
        digest=manifest.digest,
        fingerprint=fingerprint(manifest, written),
        manifest=manifest.body,
        pushed_at=ports.clock.now(),
    )


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


def _fidelity(description: Description) -> str | None:
    """Tell what is not kept, and what was not kept on the way from the snapshot that the collection was made from."""
    before = () if description.origin is None else description.origin.fidelity
    told, left = list[str](), [*before, *description.fidelity]
    while left and len("; ".join([*told, left[0]])) <= _MAX_FIDELITY:
        told.append(left.pop(0))
    return "; ".join([*told, *([f"and {len(left)} more"] if left else [])]) or None


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
