"""Reading stored snapshots: a version's parts, and its segments as files."""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

from regalia.core.digest import Digest
from regalia.core.errors import DigestError, DocumentError, NotFoundError
from regalia.core.kinds.snapshot import SnapshotConfig
from regalia.core.manifest import Manifest, parse_config
from regalia.core.names import ArtifactName
from regalia.core.oci import Descriptor
from regalia_registry.domain.records import ArtifactVersion
from regalia_registry.domain.snapshots.listing import Listing, Segment
from regalia_registry.domain.snapshots.schema import Schema
from regalia_registry.ports.blobs import read_blob
from regalia_registry.services.context import Ports

SCHEMA, LISTING, TOMBSTONES = "schema.json", "segments.json", "tombstones"
CANARY, DEFINITION = "canary.parquet", "definition"

_CHUNK = 1024 * 1024


@dataclass(frozen=True, slots=True)
class OpenedSnapshot:
    """A stored version with its small parts; `tombstones` is empty where every row lives."""

    stored: ArtifactVersion
    manifest: Manifest
    config: SnapshotConfig
    schema: Schema
    listing: Listing
    tombstones: bytes


def find_newest(ports: Ports, artifact: ArtifactName) -> OpenedSnapshot | None:
    """Open the highest version of a snapshot, if there is one."""
    with ports.store.read() as tx:
        listed = tx.artifacts.versions(artifact, after=None, limit=1)
    return open_snapshot(ports, artifact, version=listed[0].version) if listed else None


def open_snapshot(ports: Ports, artifact: ArtifactName, *, version: str) -> OpenedSnapshot:
    """Open a version.

    Raises:
        NotFoundError: There is none.
        DocumentError: A part is absent or does not agree with another.
    """
    with ports.store.read() as tx:
        stored = tx.artifacts.get(artifact, version=version)
    manifest = Manifest.parse(stored.manifest)
    config = parse_config(manifest, _read(ports, manifest.config.digest))
    if not isinstance(config, SnapshotConfig):
        raise DocumentError(f'"{artifact}@{version}" is no snapshot')
    schema = Schema.parse(_read(ports, _layer(manifest, SCHEMA)))
    listing = Listing.parse(_read(ports, _layer(manifest, LISTING)))
    sizes = {layer.digest: layer.size_bytes for layer in manifest.layers}
    listing.require_layers(sizes, what=f'"{artifact}@{version}"')
    bitmaps = manifest.layer(TOMBSTONES)
    if (schema.digest, listing.count) != (config.schema_digest, config.count):
        raise DocumentError(f'the parts of "{artifact}@{version}" do not agree', hint="take the snapshot again")
    tombstones = b"" if bitmaps is None else _read(ports, bitmaps.digest)
    return OpenedSnapshot(stored, manifest, config, schema, listing, tombstones)


def stored_sizes(snapshot: OpenedSnapshot) -> Mapping[Digest, int]:
    """Say how many bytes each of its layers has."""
    return {layer.digest: layer.size_bytes for layer in snapshot.manifest.layers}


def told_layers(snapshot: OpenedSnapshot) -> list[Descriptor]:
    """Give the layers that are about its rows and no content: another version of the same rows keeps them."""
    return [layer for title in (CANARY, DEFINITION) if (layer := snapshot.manifest.layer(title)) is not None]


def fetched(ports: Ports, digest: Digest, path: Path) -> Path:
    """Copy a blob into a file, hashed on the way; gives the file.

    Raises:
        NotFoundError: The blob is gone.
        DigestError: It is damaged.
    """
    state = sha256()
    with _opened(ports, digest, path.name) as source, path.open("wb") as target:
        while chunk := source.read(_CHUNK):
            state.update(chunk)
            target.write(chunk)
    if state.hexdigest() != digest.hex:
        raise _damaged(digest)
    return path


class SegmentFiles:
    """The files of a snapshot's segments, one at a time in a folder."""

    def __init__(self, ports: Ports, folder: Path) -> None:
        """Fetch into `folder`, which is empty."""
        self._ports = ports
        self._folder = folder

    def keys(self, segment: Segment) -> Path:
        """Fetch a segment's keys."""
        return self._only(segment.keys, segment.keys_title)

    def keys_bytes(self, segment: Segment) -> bytes:
        """Read a segment's keys into memory."""
        return fetched_bytes(self._ports, segment.keys)

    def rows(self, segment: Segment) -> Path:
        """Fetch a segment's rows."""
        return self._only(segment.rows, segment.rows_title)

    def _only(self, digest: Digest, title: str) -> Path:
        for left in self._folder.iterdir():
            left.unlink()
        return fetched(self._ports, digest, self._folder / title)


def fetched_bytes(ports: Ports, digest: Digest) -> bytes:
    """Read a segment's file of keys into memory, and hash it.

    Raises:
        NotFoundError: The blob is gone.
        DigestError: It is damaged.
    """
    body = read_blob(ports.blobs, digest)
    if Digest.of(body) != digest:
        raise _damaged(digest)
    return body


def gone(title: str) -> NotFoundError:
    """Say which file of a snapshot is not there any more."""
    return NotFoundError(
        f'the segment file "{title}" is gone from the blob store',
        hint="restore it from a backup, or take the snapshot under another name",
    )


def _opened(ports: Ports, digest: Digest, title: str) -> BinaryIO:
    try:
        return ports.blobs.open(digest=digest)
    except NotFoundError as error:
        raise gone(title) from error


def _damaged(digest: Digest) -> DigestError:
    return DigestError(f"the segment {digest.short} is damaged in the blob store", hint="restore it from a backup")


def _read(ports: Ports, digest: Digest) -> bytes:
    body = read_blob(ports.blobs, digest)
    digest.check(body, what="a layer of the snapshot")
    return body


def _layer(manifest: Manifest, title: str) -> Digest:
    layer = manifest.layer(title)
    if layer is None:
        raise DocumentError(f'the snapshot has no layer "{title}"', hint="take it again")
    return layer.digest
