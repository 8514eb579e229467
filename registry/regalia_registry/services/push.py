"""Pushing: blobs first, then the manifest that links them, in one transaction with its record."""

from collections.abc import Sequence
from io import BufferedIOBase

from regalia.core.digest import Digest
from regalia.core.errors import DigestError, DocumentError, NotFoundError, TooLargeError
from regalia.core.kinds import KINDS, Config
from regalia.core.kinds.config import MAX_TREE, TREE_TITLE, ConfigConfig, parse_tree
from regalia.core.kinds.snapshot import SnapshotConfig
from regalia.core.manifest import MAX_BLOB, Manifest, fingerprint, parse_config
from regalia.core.names import ArtifactName
from regalia.core.references import ArtifactReference
from regalia.core.strict_json import JsonObject, parse_object
from regalia.wire.answers import MissingBlobs, Pushed
from regalia_registry.domain.access import Right
from regalia_registry.domain.records import ArtifactVersion
from regalia_registry.domain.snapshots.listing import MAX_LISTING, Listing
from regalia_registry.ports.blobs import read_blob
from regalia_registry.ports.store import Told, Transaction
from regalia_registry.services.context import Caller, Ports
from regalia_registry.services.steps.artifacts import add_version
from regalia_registry.services.steps.claims import KEPT_FOR, claim_blobs
from regalia_registry.services.steps.snapshots import LISTING


def missing_blobs(ports: Ports, caller: Caller, *, namespace: str, digests: Sequence[Digest]) -> MissingBlobs:
    """Say which of these blobs the namespace doesn't have; another namespace's don't count.

    Those that it has are kept for a day, until the manifest that links them is there.
    """
    caller.actor.require(Right.PUBLISH, on=namespace)
    with ports.store.read() as tx:
        known = tx.blobs.find_sizes(namespace, digests=digests)
    if known:
        until = ports.shared_now() + KEPT_FOR
        with ports.store.note(to=Told.NOBODY) as tx:
            known = tx.blobs.find_sizes(namespace, digests=digests)  # one may have been removed since
            tx.blobs.claim(digests=known, until=until)
    return MissingBlobs(tuple(str(digest) for digest in digests if digest not in known))


def put_blob(
    ports: Ports, caller: Caller, *, namespace: str, digest: Digest, source: BufferedIOBase, size_bytes: int
) -> bool:
    """Keep a blob for the namespace; False where the namespace had it.

    Raises:
        UnavailableError: The blob is being removed; in a moment it can be sent.
    """
    caller.actor.require(Right.PUBLISH, on=namespace)
    known = claim_blobs(ports, namespace, [digest])
    ports.blobs.put(digest=digest, source=source, size_bytes=size_bytes)
    if digest in known:
        return False
    with ports.store.note(to=Told.NOBODY) as tx:
        tx.blobs.link(namespace, sizes={digest: size_bytes})
    return True


def blob_size(ports: Ports, caller: Caller, *, namespace: str, digest: Digest) -> int:
    """Give the size in bytes of a blob that the namespace has.

    Raises:
        NotFoundError: The namespace has no such blob, whatever others have.
    """
    caller.actor.require(Right.READ, on=namespace)
    with ports.store.read() as tx:
        size_bytes = tx.blobs.find_sizes(namespace, digests=[digest]).get(digest)
    if size_bytes is None:
        raise NotFoundError(f'the namespace "{namespace}" has no blob {digest.short}', hint="push it: reg push")
    return size_bytes


def push_manifest(ports: Ports, caller: Caller, *, namespace: str, digest: Digest, body: bytes) -> Pushed:
    """Keep an artifact version; its name and version are in its config.

    Raises:
        DigestError: The body is another digest's.
        DocumentError: Manifest or config break a rule.
        NotFoundError: A blob that it links was not sent.
        VersionConflictError: The version has other content, or the content another version.
    """
    caller.actor.require(Right.PUBLISH, on=namespace)
    digest.check(body, what="the manifest")
    manifest = Manifest.parse(body)
    with ports.store.read() as tx:
        known = tx.artifacts.find_by_digest(namespace, digest=digest)
        if known is not None:
            return _pushed(known, created=False)
        _require_blobs(tx, namespace, manifest)
    written, config = _read_config(ports, manifest)
    _check_content(ports, manifest, config)
    artifact = ArtifactVersion(
        artifact=ArtifactName(namespace, manifest.kind, config.name),
        version=config.version,
        digest=digest,
        fingerprint=fingerprint(manifest, written),
        manifest=body,
        pushed_at=ports.clock.now(),
    )
    return _add(ports, caller, artifact)


def get_manifest(ports: Ports, caller: Caller, *, namespace: str, digest: Digest) -> bytes:
    """Get a manifest that the namespace has."""
    caller.actor.require(Right.READ, on=namespace)
    with ports.store.read() as tx:
        found = tx.artifacts.find_by_digest(namespace, digest=digest)
    if found is None:
        raise NotFoundError(f'the namespace "{namespace}" has no manifest {digest.short}', hint="push it: reg push")
    return found.manifest


def _add(ports: Ports, caller: Caller, artifact: ArtifactVersion) -> Pushed:
    now = ports.shared_now()
    with ports.store.write(caller.actor) as tx:
        created = add_version(ports, caller, tx, artifact, now=now)
    return _pushed(artifact, created=created)


def _pushed(artifact: ArtifactVersion, *, created: bool) -> Pushed:
    name = artifact.artifact
    return Pushed(
        reference=str(ArtifactReference(name, artifact.version)),
        kind=str(name.kind),
        name=name.name,
        version=artifact.version,
        digest=str(artifact.digest),
        created=created,
    )


def _require_blobs(tx: Transaction, namespace: str, manifest: Manifest) -> None:
    """Check that all blobs were sent by this namespace, with the sizes that the manifest says."""
    sizes = tx.blobs.find_sizes(namespace, digests=[descriptor.digest for descriptor in manifest.descriptors])
    absent = [descriptor.digest.short for descriptor in manifest.descriptors if descriptor.digest not in sizes]
    if absent:
        raise NotFoundError(
            f"{len(absent)} blobs of the manifest were not sent: {', '.join(absent[:5])}",
            hint="send them first: reg push",
        )
    for descriptor in manifest.descriptors:
        if sizes[descriptor.digest] != descriptor.size_bytes or descriptor.size_bytes > MAX_BLOB:
            raise DigestError(
                f"the manifest says {descriptor.size_bytes} bytes for {descriptor.digest.short}, "
                f"it has {sizes[descriptor.digest]}"
            )


def _read_config(ports: Ports, manifest: Manifest) -> tuple[JsonObject, Config]:
    cap = KINDS[manifest.kind].max_config
    if manifest.config.size_bytes > cap:
        raise TooLargeError(f"the config has {manifest.config.size_bytes} bytes, the cap is {cap}")
    body = read_blob(ports.blobs, manifest.config.digest)
    return parse_object(body, what="the config", max_bytes=cap), parse_config(manifest, body)


def _check_content(ports: Ports, manifest: Manifest, config: Config) -> None:
    """Check what agents read without a library, a config's tree, and that a snapshot lists no files but its own.

    A config's schema is the author's check, before the push.
    """
    if isinstance(config, SnapshotConfig) and (listed := manifest.layer(LISTING)) is not None:
        if listed.size_bytes > MAX_LISTING:
            raise TooLargeError(f'"{LISTING}" has {listed.size_bytes} bytes, the cap is {MAX_LISTING}')
        listing = Listing.parse(read_blob(ports.blobs, listed.digest))
        listing.require_layers({layer.digest: layer.size_bytes for layer in manifest.layers}, what="the snapshot")
    if isinstance(config, ConfigConfig):
        layer = manifest.layer(TREE_TITLE)
        if layer is None:
            raise DocumentError(f'the config "{config.name}" has no layer "{TREE_TITLE}"')
        if layer.size_bytes > MAX_TREE:
            raise TooLargeError(f'"{TREE_TITLE}" has {layer.size_bytes} bytes, the cap is {MAX_TREE}')
        parse_tree(read_blob(ports.blobs, layer.digest))
