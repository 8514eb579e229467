"""Storing a snapshot's parts: its segments while they are made, its small layers, its config and manifest."""

import io
from collections.abc import Collection, Sequence

from regalia.core import oci
from regalia.core.digest import Digest
from regalia.core.errors import NotFoundError, UnavailableError, VersionConflictError
from regalia.core.kinds.snapshot import SnapshotConfig
from regalia.core.manifest import Manifest, fingerprint, write_config
from regalia.core.names import ArtifactName
from regalia.core.oci import Descriptor
from regalia.core.strict_json import parse_object
from regalia_registry.domain.provenance import Provenance
from regalia_registry.domain.records import ArtifactVersion
from regalia_registry.domain.snapshots.schema import Schema
from regalia_registry.ports.blobs import Linking
from regalia_registry.ports.store import Told
from regalia_registry.segments.build import Built
from regalia_registry.segments.parquet import StoredFile, StoredSegment
from regalia_registry.services.context import Bench, Caller, Ports
from regalia_registry.services.steps.artifacts import add_version
from regalia_registry.services.steps.claims import claim_blobs
from regalia_registry.services.steps.snapshots import LISTING, SCHEMA, TOMBSTONES, gone

_JSON_TYPE, _PARQUET_TYPE = "application/json", "application/vnd.apache.parquet"
_BITMAP_TYPE = "application/octet-stream"


class Keeper:
    """Puts files and small layers into the blob store, and links them for the namespace."""

    def __init__(self, ports: Ports, namespace: str) -> None:
        """Store nothing yet."""
        self._ports = ports
        self._namespace = namespace
        self._sizes: dict[Digest, int] = {}

    def segment(self, made: StoredSegment) -> None:
        """Store a segment's files, and let go of them."""
        for file in (made.keys, made.rows):
            self.file(file)
            file.path.unlink()

    def layers(self, schema: Schema, built: Built, more: Sequence[Descriptor] = ()) -> tuple[Descriptor, ...]:
        """Store the small layers; gives all of the manifest's, in their order, with those that are stored already.

        Raises:
            NotFoundError: A file of a segment that is kept is gone.
        """
        small = {SCHEMA: (_JSON_TYPE, schema.written()), LISTING: (_JSON_TYPE, built.listing.written())}
        if built.tombstones:
            small[TOMBSTONES] = _BITMAP_TYPE, built.tombstones
        described = [
            Descriptor.of(self.small(body), media_type, **{oci.TITLE: title})
            for title, (media_type, body) in small.items()
        ]
        described += more
        for segment in built.listing.segments:
            for title, digest in ((segment.keys_title, segment.keys), (segment.rows_title, segment.rows)):
                described.append(Descriptor(_PARQUET_TYPE, digest, self._size_of(digest, title), {oci.TITLE: title}))
        return tuple(described)

    def small(self, body: bytes) -> bytes:
        """Store some bytes; gives them back."""
        digest = Digest.of(body)
        known = claim_blobs(self._ports, self._namespace, [digest])
        self._ports.blobs.put(digest=digest, source=io.BytesIO(body), size_bytes=len(body))
        self._link(digest, len(body), known)
        return body

    def file(self, file: StoredFile) -> None:
        """Store a file that nobody writes to any more; it stays where it is."""
        known = claim_blobs(self._ports, self._namespace, [file.digest])
        blobs = self._ports.blobs
        if isinstance(blobs, Linking):
            blobs.link(digest=file.digest, path=file.path, size_bytes=file.size_bytes)
        else:
            with file.path.open("rb") as source:
                blobs.put(digest=file.digest, source=source, size_bytes=file.size_bytes)
        self._link(file.digest, file.size_bytes, known)

    def _size_of(self, digest: Digest, title: str) -> int:
        size_bytes = self._sizes.get(digest) or self._ports.blobs.stat(digest=digest)
        if size_bytes is None:
            raise gone(title)
        return size_bytes

    def _link(self, digest: Digest, size_bytes: int, known: Collection[Digest]) -> None:
        self._sizes[digest] = size_bytes
        if digest not in known:
            with self._ports.store.note(to=Told.NOBODY) as tx:
                tx.blobs.link(self._namespace, sizes={digest: size_bytes})


def store_version(
    ports: Ports, artifact: ArtifactName, config: SnapshotConfig, layers: tuple[Descriptor, ...]
) -> ArtifactVersion:
    """Store a version's config, and write its manifest; the version is not added yet."""
    body = Keeper(ports, artifact.namespace).small(write_config(config))
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


def add_next(
    ports: Ports, caller: Caller, bench: Bench, stored: ArtifactVersion, provenance: Provenance
) -> tuple[ArtifactVersion, bool]:
    """Add the version that follows the newest, and how it came to be, for the worker that holds the operation.

    Returns:
        The version that has the content, and whether it is new: what is again as it once was is that version.

    Raises:
        UnavailableError: Another was added since the newest was looked for: the next attempt follows that one.
    """
    now = ports.shared_now()
    try:
        with ports.store.write(caller.actor) as tx:
            bench.fence(tx)
            there = tx.artifacts.find_by_fingerprint(stored.artifact, fingerprint=stored.fingerprint) or stored
            created = add_version(ports, caller, tx, there, now=now)
            if created:
                tx.provenance.add(stored.artifact.namespace, stored.digest, provenance)
            return there, created
    except VersionConflictError as error:
        if not _is_taken(ports, stored):
            raise
        raise UnavailableError(
            f'another "{stored.artifact}@{stored.version}" was added meanwhile', hint="ask again"
        ) from error


def _is_taken(ports: Ports, stored: ArtifactVersion) -> bool:
    with ports.store.read() as tx:
        try:
            tx.artifacts.get(stored.artifact, version=stored.version)
        except NotFoundError:
            return False
    return True
