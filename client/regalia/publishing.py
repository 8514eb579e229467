"""Publishing: drafts to pushed versions, and pushed versions to a signed bundle."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import regalia
from regalia.bundle import Bundle
from regalia.calls import app_path
from regalia.client import Client
from regalia.comparing import Members, compare
from regalia.core import times
from regalia.core.bundle import BundleIndex, Member
from regalia.core.diff import SlotChange
from regalia.core.digest import Digest
from regalia.core.dsse import Envelope
from regalia.core.embedders import check_embedders
from regalia.core.errors import DocumentError, InvalidVersionError, NotFoundError, SignatureError, VersionConflictError
from regalia.core.kinds import KINDS
from regalia.core.kinds.config import TREE_TITLE
from regalia.core.manifest import Artifact, Manifest, fingerprint
from regalia.core.names import ApplicationName, ArtifactName, Slot
from regalia.core.oci import MANIFEST_TYPE
from regalia.core.references import ArtifactReference
from regalia.core.signing import SigningKey
from regalia.core.statements import STATEMENT_PAYLOAD, ReleaseStatement, Source
from regalia.core.trust import Role
from regalia.core.values import frozen, replace
from regalia.core.versions import Part, Range, Version
from regalia.sources.drafts import Draft
from regalia.wire.answers import ArtifactEntry, BundleDocuments, BundleEntry, MissingBlobs, Pushed
from regalia.wire.resolution import encode

TYPE_CHECKING = False  # what type checkers read as true: these are loaded when they are used

if TYPE_CHECKING:
    import regalia.sources

_FIRST = "1.0.0"
_ATTEMPTS = 5
_MAX_ASKED = 1000


@frozen
class PushedArtifact:
    """A version that the registry has (or would get, in a dry run); `created` is false for "unchanged"."""

    slot: str
    reference: str
    version: str
    digest: str
    created: bool
    artifact: Artifact
    origin: str


@frozen
class BundlePlan:
    """A bundle before it is signed: its index, what it changes, and which members are not from this checkout."""

    index: BundleIndex
    members: Members
    newest: Bundle | None
    changes: tuple[SlotChange, ...]
    foreign: tuple[str, ...]
    is_unchanged: bool
    source: Source | None = None


def push(
    client: Client, namespace: str, drafts: Sequence[Draft], *, bump: Part | None = None, dry_run: bool = False
) -> list[PushedArtifact]:
    """Push drafts; what the registry has already is "unchanged".

    Args:
        client: The registry.
        namespace: Where the artifacts live.
        drafts: What to push.
        bump: Give changed files the next version, whatever version stands in them.
        dry_run: Say what would be, and send nothing.

    Raises:
        VersionConflictError: A version exists with other content.
    """
    pushed = []
    for draft in drafts:
        for attempt in range(_ATTEMPTS):
            try:
                pushed.append(_push(client, namespace, draft, bump, dry_run=dry_run))
                break
            except VersionConflictError:  # somebody took the version that was made up here
                if attempt == _ATTEMPTS - 1 or (draft.has_version and bump is None):
                    raise
    return pushed


def _push(client: Client, namespace: str, draft: Draft, bump: Part | None, *, dry_run: bool) -> PushedArtifact:
    name = ArtifactName(namespace, draft.config.kind, draft.config.name)
    known, artifact = _decide(client, name, draft, bump)
    if known is None and not dry_run:
        send_blobs(client, namespace, artifact.blobs)
        put_manifest(client, namespace, artifact.manifest)
    return PushedArtifact(
        slot=str(draft.slot),
        reference=str(ArtifactReference(name, artifact.config.version)),
        version=artifact.config.version,
        digest=str(artifact.digest),
        created=known is None,
        artifact=artifact,
        origin=draft.origin,
    )


def _decide(
    client: Client, name: ArtifactName, draft: Draft, bump: Part | None
) -> tuple[ArtifactEntry | None, Artifact]:
    """Find the version that the registry has of this content, or the version that it gets."""
    drafted = draft.artifact()
    path = _artifact_path(name)
    if draft.has_version and bump is None:
        known = _find(client, f"{path}/{drafted.config.version}")
        if known is not None and known.digest != str(drafted.digest):
            raise VersionConflictError(
                f'"{name}@{known.version}" has other content than {draft.origin}',
                hint=f"set version: {Version(known.version).raised(Part.PATCH)}, or reg push --bump patch",
            )
        return known, drafted
    content = fingerprint(drafted.manifest, drafted.config.written())
    found = list(client.registry.pages(ArtifactEntry, path, {"fingerprint": str(content)}))
    if found:
        artifact = _with_version(draft, found[0].version)
        if str(artifact.digest) != found[0].digest:
            raise DocumentError(f'"{name}@{found[0].version}" is written by another edition', hint="upgrade regalia")
        return found[0], artifact
    newest = next(client.registry.pages(ArtifactEntry, path, {"limit": 1}), None)
    version = _FIRST if newest is None else str(Version(newest.version).raised(bump or Part.PATCH))
    return None, _with_version(draft, version)


def _with_version(draft: Draft, version: str) -> Artifact:
    config = replace(draft.config, version=version)
    return Artifact.build(config, draft.contents)


def send_blobs(client: Client, namespace: str, blobs: Mapping[Digest, bytes]) -> None:
    """Send those blobs that the registry lacks."""
    digests = list(blobs)
    for start in range(0, len(digests), _MAX_ASKED):
        asked = [str(digest) for digest in digests[start : start + _MAX_ASKED]]
        answer = client.registry.send(
            MissingBlobs, "POST", f"/v1/namespaces/{namespace}/blobs/missing", {"digests": list(asked)}
        )
        for missing in answer.missing:
            digest = Digest.parse(missing)
            client.registry.put_blob(namespace, digest, blobs[digest])


def put_manifest(client: Client, namespace: str, manifest: Manifest) -> Pushed:
    """Send a manifest whose blobs are there."""
    path = f"/v1/namespaces/{namespace}/manifests/{manifest.digest}"
    return client.registry.put(Pushed, path, manifest.body, media_type=MANIFEST_TYPE)


def plan_bundle(
    client: Client,
    application: ApplicationName,
    pushed: Sequence[PushedArtifact],
    *,
    version: str | None = None,
    others: Mapping[Slot, ArtifactReference] | None = None,
) -> BundlePlan:
    """Build a bundle of what was pushed and of members from the registry; nothing is signed.

    Raises:
        VersionConflictError: The version has another digest.
        NotFoundError: There is nothing to bundle, or a member is not there.
        ConflictError: A snapshot's embedder is not among the models.
    """
    members = {Slot.parse(one.slot): one.artifact for one in pushed}
    foreign = {slot: fetch_artifact(client, reference) for slot, reference in (others or {}).items()}
    members.update(foreign)
    if not members:
        raise NotFoundError("there is nothing to bundle", hint="add files to push: in regalia.yaml")
    check_embedders([artifact.config for artifact in members.values()])
    pinned = [Member.of(slot, artifact) for slot, artifact in members.items()]
    there = _newest_version(client, application)
    newest = None if there is None else resolve_if_trusted(client, f"{application}@{there}")
    index = BundleIndex.build(application, version or _next_version(there), pinned)
    is_unchanged = False
    if version is None and newest is not None:
        same = BundleIndex.build(application, newest.version, pinned)
        if str(same.digest) == newest.digest:
            index, is_unchanged = same, True
    elif version is not None:
        is_unchanged = _is_released(client, index)
    return BundlePlan(
        index=index,
        members=members,
        newest=newest,
        changes=compare({} if newest is None else newest.members, members),
        foreign=tuple(sorted(map(str, foreign))),
        is_unchanged=is_unchanged,
    )


def release(client: Client, plan: BundlePlan, signer: SigningKey) -> BundleEntry:
    """Sign the release statement of a planned bundle and send both."""
    index = plan.index
    statement = ReleaseStatement(
        trust_domain=client.resolver.trust.newest().root.trust_domain,
        application=index.application,
        version=index.version,
        bundle=index.digest,
        issued_at=times.whole_second(client.now()),
        source=plan.source,
    )
    envelope = Envelope.sign(STATEMENT_PAYLOAD, statement.payload(), [signer])
    return put_bundle(client, index, bytes(envelope))


def put_bundle(client: Client, index: BundleIndex, release_statement: bytes) -> BundleEntry:
    """Send an index with its release statement."""
    path = f"{app_path(index.application)}/bundles/{index.digest}"
    return client.registry.send(
        BundleEntry, "PUT", path, {"index": encode(index.body), "release": encode(release_statement)}
    )


def with_source(plan: BundlePlan, folder: Path) -> BundlePlan:
    """Note where a bundle was made: the git commit, where the tree is clean."""
    found = regalia.sources.find_git_source(folder)
    if found is None or found[1]:
        return plan
    pin, _ = found
    return replace(plan, source=Source(pin.uri, pin.commit))


def release_signer(client: Client, application: ApplicationName) -> SigningKey:
    """Get this machine's release key for an application, as the root names it."""
    root = client.resolver.trust.newest().root
    keyids = root.delegation(Role.RELEASE, application).keyids
    return client.keystore.signer("release", keyids)


def resolve_if_trusted(client: Client, reference: str) -> Bundle | None:
    """Resolve a bundle to compare with; None where the root no longer trusts its signer, so that it can be replaced."""
    try:
        return client.refresh(reference)
    except SignatureError:
        return None


def _newest_version(client: Client, application: ApplicationName) -> str | None:
    newest = next(client.registry.pages(BundleEntry, f"{app_path(application)}/bundles", {"limit": 1}), None)
    return None if newest is None else newest.version


def fetch_artifact(client: Client, reference: ArtifactReference) -> Artifact:
    """Fetch an artifact version by version, range or digest, and check it whole.

    Raises:
        NotFoundError: There is none.
    """
    name = reference.artifact
    digest = reference.digest or _digest_of(client, reference)
    manifest = Manifest.parse(client.registry.manifest(name.namespace, digest))
    if manifest.config.size_bytes > KINDS[manifest.kind].max_config:
        raise DocumentError(f'the config of "{reference}" is over its cap')
    wanted = [manifest.config, *(layer for layer in [manifest.layer(TREE_TITLE)] if layer is not None)]
    blobs = {one.digest: client.registry.blob(name.namespace, one.digest, size_bytes=one.size_bytes) for one in wanted}
    artifact = Artifact.of(manifest, blobs)
    if (artifact.config.kind, artifact.config.name) != (name.kind, name.name):
        raise DocumentError(f'"{reference}" is {artifact.config.kind}/{artifact.config.name}')
    return artifact


def _digest_of(client: Client, reference: ArtifactReference) -> Digest:
    path, selector = _artifact_path(reference.artifact), reference.selector
    exact = _exact(selector)
    if exact is not None:
        return Digest.parse(client.registry.get(ArtifactEntry, f"{path}/{exact}").digest)
    wanted = Range.parse(selector)
    entries = {Version(entry.version): entry for entry in client.registry.pages(ArtifactEntry, path)}
    newest = wanted.newest(entries)
    if newest is None:
        raise NotFoundError(f'no version of "{reference.artifact}" is in "{selector}"', hint="push one: reg push")
    return Digest.parse(entries[newest].digest)


def _exact(selector: str) -> str | None:
    try:
        return Version(selector).text
    except InvalidVersionError:
        return None


def _find(client: Client, path: str) -> ArtifactEntry | None:
    try:
        return client.registry.get(ArtifactEntry, path)
    except NotFoundError:
        return None


def _is_released(client: Client, index: BundleIndex) -> bool:
    """Say whether this very bundle is there; another one under its version is never signed over."""
    try:
        found = client.registry.get(BundleDocuments, f"{app_path(index.application)}/bundles/{index.version}")
    except NotFoundError:
        return False
    if found.entry.digest != str(index.digest):
        raise VersionConflictError(
            f'"{index.application}@{index.version}" is {found.entry.digest[:19]}, this would be {index.digest.short}',
            hint="a version never changes: leave it out for the next one",
        )
    return True


def _next_version(newest: str | None) -> str:
    return _FIRST if newest is None else str(Version(newest).raised(Part.PATCH))


def _artifact_path(name: ArtifactName) -> str:
    return f"/v1/namespaces/{name.namespace}/artifacts/{name.kind}/{name.name}"
