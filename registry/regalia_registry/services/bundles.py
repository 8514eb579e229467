"""Bundles: an index whose release statement verifies under the root in force, and whose members are there."""

from collections.abc import Sequence

from regalia.core.bundle import BundleIndex
from regalia.core.digest import Digest
from regalia.core.embedders import check_embedders
from regalia.core.errors import NotFoundError
from regalia.core.manifest import Manifest, parse_config
from regalia.core.names import ApplicationName, Kind
from regalia.core.references import BundleReference
from regalia.core.verification import VerifiedRelease, verify_index, verify_release
from regalia.wire.answers import BundleDocuments, BundleEntry
from regalia.wire.resolution import encode
from regalia_registry.domain.access import Right
from regalia_registry.domain.entries import Event
from regalia_registry.domain.records import StoredBundle
from regalia_registry.ports.blobs import read_blob
from regalia_registry.ports.store import Transaction
from regalia_registry.services.context import Caller, Ports
from regalia_registry.services.steps.answers import bundle_entry, signers_of
from regalia_registry.services.steps.lookups import find_bundle
from regalia_registry.services.steps.records import record
from regalia_registry.services.steps.trust import current_root


def put_bundle(
    ports: Ports, caller: Caller, *, application: ApplicationName, digest: Digest, index: bytes, release: bytes
) -> BundleEntry:
    """Keep a bundle with its release statement.

    Raises:
        VerificationError: The release statement does not verify, or is about another index.
        NotFoundError: A member was not pushed to the application's namespace.
        DocumentError: A member's descriptor tells of a snapshot what its config does not say.
        ConflictError: A snapshot's embedder is not among the models, or makes vectors of other dimensions.
        VersionConflictError: The version has another digest.
    """
    caller.actor.require(Right.PUBLISH, on=application.namespace)
    with ports.store.read() as tx:
        root = current_root(tx).root
        verified = verify_release(release, root=root, application=application, bundle=digest)
        parsed = verify_index(index, release=verified.statement)
        manifests = _require_members(tx, parsed)
    _check_snapshots(ports, parsed, manifests)
    stored = _stored(ports, verified, index)
    with ports.store.write(caller.actor) as tx:
        created = tx.bundles.add(stored)
        kept = stored if created else tx.bundles.get_by_digest(application, digest=digest)
        reference = str(BundleReference(application, version=stored.version))
        event = "bundle.released" if created else "bundle.unchanged"
        record(ports, caller, tx, Event(event, reference, after=digest, signers=signers_of(release)))
        hold = tx.holds.find(application, digest)
    return bundle_entry(kept, hold, created=created)


def list_bundles(
    ports: Ports, caller: Caller, *, application: ApplicationName, after: str | None, limit: int
) -> list[BundleEntry]:
    """List an application's bundles, highest version first."""
    caller.actor.require(Right.READ, on=application.namespace)
    with ports.store.read() as tx:
        holds = {hold.bundle: hold for hold in tx.holds.list(application)}
        bundles = tx.bundles.list(application, after=after, limit=limit)
    return [bundle_entry(bundle, holds.get(bundle.digest)) for bundle in bundles]


def get_bundle(ports: Ports, caller: Caller, reference: BundleReference) -> BundleDocuments:
    """Get a bundle's documents by version or digest."""
    caller.actor.require(Right.READ, on=reference.application.namespace)
    with ports.store.read() as tx:
        bundle = find_bundle(tx, reference)
        hold = tx.holds.find(reference.application, bundle.digest)
    return BundleDocuments(bundle_entry(bundle, hold), index=encode(bundle.index), release=encode(bundle.release))


def _stored(ports: Ports, verified: VerifiedRelease, index: bytes) -> StoredBundle:
    statement = verified.statement
    return StoredBundle(
        application=statement.application,
        version=statement.version,
        digest=statement.bundle,
        index=index,
        release=verified.envelope,
        issued_at=statement.issued_at,
        stored_at=ports.clock.now(),
        git_commit=None if statement.source is None else statement.source.git_commit,
    )


def _check_snapshots(ports: Ports, index: BundleIndex, manifests: Sequence[Manifest]) -> None:
    """Read the configs that bind a snapshot to its embedder and to what its descriptor tells, where there is one."""
    if all(one.kind is not Kind.SNAPSHOT for one in manifests):
        return
    configs = []
    for member, manifest in zip(index.members, manifests, strict=True):
        if manifest.kind in {Kind.SNAPSHOT, Kind.MODEL}:
            configs.append(parse_config(manifest, read_blob(ports.blobs, manifest.config.digest)))
            member.check_told(configs[-1])
    check_embedders(configs)


def _require_members(tx: Transaction, index: BundleIndex) -> list[Manifest]:
    """Give the members' manifests: each is there, of its slot's kind and its descriptor's size."""
    namespace = index.application.namespace
    found = tx.artifacts.find_all_by_digest(namespace, digests=[member.digest for member in index.members])
    absent = [str(member.slot) for member in index.members if member.digest not in found]
    if absent:
        raise NotFoundError(
            f'{len(absent)} members were not pushed to "{namespace}": {", ".join(absent[:5])}',
            hint="push them: reg push",
        )
    manifests = []
    for member in index.members:
        manifests.append(Manifest.parse(found[member.digest].manifest))
        member.check(manifests[-1])
    return manifests
