"""Artifacts, bundles, channels and holds in memory."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from regalia.core import times
from regalia.core.digest import Digest
from regalia.core.names import ApplicationName, ArtifactName, Kind
from regalia.core.versions import Version
from regalia_registry.adapters.memory.tables import Tables, page
from regalia_registry.domain.records import (
    ArtifactKey,
    ArtifactVersion,
    Hold,
    ListedArtifact,
    ListedBundle,
    StoredBundle,
    StoredPointer,
)
from regalia_registry.domain.refusals import (
    no_artifact,
    no_bundle,
    no_pointer,
    pointer_moved,
    require_unchanged,
    require_unchanged_bundle,
)


class MemoryArtifacts:
    """An `ArtifactRepository` in memory."""

    def __init__(self, tables: Tables) -> None:
        """Keep the tables."""
        self._tables = tables

    def add(self, artifact: ArtifactVersion) -> bool:
        """Insert a version, or say that it was there."""
        key = artifact.artifact, artifact.version
        same_version = self._tables.artifacts.get(key)
        same_content = self.find_by_fingerprint(artifact.artifact, fingerprint=artifact.fingerprint)
        if same_version is not None or same_content is not None:
            require_unchanged(artifact, same_version=same_version, same_content=same_content)
            return False
        self._tables.artifacts[key] = replace(artifact, pushed_at=times.whole_second(artifact.pushed_at))
        return True

    def get(self, artifact: ArtifactName, *, version: str) -> ArtifactVersion:
        """Get a version."""
        found = self._tables.artifacts.get((artifact, version))
        if found is None:
            raise no_artifact(artifact, version)
        return found

    def find_by_digest(self, namespace: str, *, digest: Digest) -> ArtifactVersion | None:
        """Find a manifest that the namespace has."""
        return self.find_all_by_digest(namespace, digests=[digest]).get(digest)

    def find_all_by_digest(self, namespace: str, *, digests: Collection[Digest]) -> Mapping[Digest, ArtifactVersion]:
        """Find many manifests that the namespace has."""
        return {
            one.digest: one
            for one in self._tables.artifacts.values()
            if one.artifact.namespace == namespace and one.digest in digests
        }

    def find_by_fingerprint(self, artifact: ArtifactName, *, fingerprint: Digest) -> ArtifactVersion | None:
        """Find the version that has this content."""
        return next((one for one in self._versions(artifact) if one.fingerprint == fingerprint), None)

    def names(
        self, namespace: str, *, kind: Kind | None, after: ArtifactKey | None, limit: int
    ) -> Sequence[ArtifactKey]:
        """List artifacts by kind and name."""
        found = {
            (str(name.kind), name.name)
            for name, _ in self._tables.artifacts
            if name.namespace == namespace and kind in {None, name.kind}
        }
        start = None if after is None else (str(after.kind), after.name)
        return [ArtifactKey(Kind(of), name) for of, name in page(found, key=lambda key: key, after=start, limit=limit)]

    def versions(self, artifact: ArtifactName, *, after: str | None, limit: int) -> Sequence[ListedArtifact]:
        """List versions, highest first."""
        found = page(
            self._versions(artifact),
            key=lambda one: Version(one.version),
            after=None if after is None else Version(after),
            limit=limit,
            is_descending=True,
        )
        return [ListedArtifact(one.artifact, one.version, one.digest, one.fingerprint, one.pushed_at) for one in found]

    def manifests(self, *, after: Digest | None, limit: int) -> Mapping[Digest, bytes]:
        """List manifests by digest."""
        found = {one.digest: one.manifest for one in self._tables.artifacts.values()}
        return dict(
            page(found.items(), key=lambda one: one[0].hex, after=None if after is None else after.hex, limit=limit)
        )

    def _versions(self, artifact: ArtifactName) -> list[ArtifactVersion]:
        return [one for one in self._tables.artifacts.values() if one.artifact == artifact]


class MemoryBundles:
    """A `BundleRepository` in memory."""

    def __init__(self, tables: Tables) -> None:
        """Keep the tables."""
        self._tables = tables

    def add(self, bundle: StoredBundle) -> bool:
        """Insert a bundle, or say that it was there."""
        key = bundle.application, bundle.version
        same_version = self._tables.bundles.get(key)
        if same_version is not None or self._find(bundle.application, bundle.digest) is not None:
            require_unchanged_bundle(bundle, same_version=same_version)
            return False
        self._tables.bundles[key] = replace(
            bundle,
            issued_at=times.whole_second(bundle.issued_at),
            stored_at=times.whole_second(bundle.stored_at),
        )
        return True

    def get(self, application: ApplicationName, *, version: str) -> StoredBundle:
        """Get a bundle by version."""
        found = self._tables.bundles.get((application, version))
        if found is None:
            raise no_bundle(application, version)
        return found

    def get_by_digest(self, application: ApplicationName, *, digest: Digest) -> StoredBundle:
        """Get a bundle by digest."""
        found = self._find(application, digest)
        if found is None:
            raise no_bundle(application, digest.short)
        return found

    def list(self, application: ApplicationName, *, after: str | None, limit: int) -> Sequence[ListedBundle]:
        """List bundles, highest version first."""
        found = page(
            [one for one in self._tables.bundles.values() if one.application == application],
            key=lambda one: Version(one.version),
            after=None if after is None else Version(after),
            limit=limit,
            is_descending=True,
        )
        return [
            ListedBundle(one.application, one.version, one.digest, one.issued_at, one.stored_at, one.git_commit)
            for one in found
        ]

    def list_all(self, *, after: tuple[ApplicationName, Digest] | None, limit: int) -> Sequence[StoredBundle]:
        """List the bundles of all applications."""
        return page(
            list(self._tables.bundles.values()),
            key=lambda one: (str(one.application), one.digest.hex),
            after=None if after is None else (str(after[0]), after[1].hex),
            limit=limit,
        )

    def add_signatures(self, application: ApplicationName, *, digest: Digest, release: bytes) -> None:
        """Replace a release statement by the same payload with more signatures."""
        found = self.get_by_digest(application, digest=digest)
        self._tables.bundles[application, found.version] = replace(found, release=release)

    def _find(self, application: ApplicationName, digest: Digest) -> StoredBundle | None:
        found = (one for one in self._tables.bundles.values() if one.application == application)
        return next((one for one in found if one.digest == digest), None)


class MemoryChannels:
    """A `ChannelRepository` in memory."""

    def __init__(self, tables: Tables) -> None:
        """Keep the tables."""
        self._tables = tables

    def find(self, application: ApplicationName, channel: str) -> StoredPointer | None:
        """Find a channel's current pointer."""
        current = self._tables.channels.get((application, channel))
        return None if current is None else self._tables.pointers[current]

    def list(self, application: ApplicationName, *, after: str | None, limit: int) -> Sequence[StoredPointer]:
        """List an application's channels by name."""
        found = [self._tables.pointers[one] for (of, _), one in self._tables.channels.items() if of == application]
        return page(found, key=lambda one: one.pointer.channel, after=after, limit=limit)

    def list_all(self, *, after: tuple[ApplicationName, str] | None, limit: int) -> Sequence[StoredPointer]:
        """List the channels of all applications."""
        found = [self._tables.pointers[one] for one in self._tables.channels.values()]
        start = None if after is None else (str(after[0]), after[1])
        return page(
            found, key=lambda one: (str(one.pointer.application), one.pointer.channel), after=start, limit=limit
        )

    def move(self, pointer: StoredPointer, *, expected: Digest | None) -> None:
        """Make this the current pointer if the current one is `expected`."""
        named = pointer.pointer
        key = named.application, named.channel
        had = {one.pointer.sequence for one in self._pointers(*key)}
        is_new = pointer.identity not in self._tables.pointers and named.sequence not in had
        if self._tables.channels.get(key) != expected or not is_new:
            raise pointer_moved(named.application, named.channel)
        self._tables.channels[key] = pointer.identity
        self._tables.pointers[pointer.identity] = replace(pointer, stored_at=times.whole_second(pointer.stored_at))

    def find_pointer(self, identity: Digest) -> StoredPointer | None:
        """Find a pointer by its identity."""
        return self._tables.pointers.get(identity)

    def history(
        self, application: ApplicationName, channel: str, *, after: int | None, limit: int
    ) -> Sequence[StoredPointer]:
        """List a channel's pointers, newest first."""
        found = self._pointers(application, channel)
        return page(found, key=lambda one: one.pointer.sequence, after=after, limit=limit, is_descending=True)

    def find_newest(self, application: ApplicationName, channel: str, *, bundle: Digest) -> StoredPointer | None:
        """Find the newest pointer of a channel that named this bundle."""
        found = [one for one in self._pointers(application, channel) if one.pointer.bundle == bundle]
        return max(found, key=lambda one: one.pointer.sequence, default=None)

    def add_signatures(self, identity: Digest, *, envelope: bytes) -> None:
        """Replace a pointer's envelope by the same payload with more signatures."""
        found = self._tables.pointers.get(identity)
        if found is None:
            raise no_pointer(identity)
        self._tables.pointers[identity] = replace(found, envelope=envelope)

    def _pointers(self, application: ApplicationName, channel: str) -> Sequence[StoredPointer]:
        found = self._tables.pointers.values()
        return [one for one in found if (one.pointer.application, one.pointer.channel) == (application, channel)]


class MemoryHolds:
    """A `HoldRepository` in memory."""

    def __init__(self, tables: Tables) -> None:
        """Keep the tables."""
        self._tables = tables

    def add(self, hold: Hold) -> bool:
        """Hold a bundle."""
        key = hold.application, hold.bundle
        is_new = key not in self._tables.holds
        self._tables.holds.setdefault(key, replace(hold, held_at=times.whole_second(hold.held_at)))
        return is_new

    def find(self, application: ApplicationName, bundle: Digest) -> Hold | None:
        """Find the hold of a bundle."""
        return self._tables.holds.get((application, bundle))

    def list(self, application: ApplicationName) -> Sequence[Hold]:
        """List an application's holds, newest first."""
        found = [one for one in self._tables.holds.values() if one.application == application]
        by_digest = sorted(found, key=lambda one: one.bundle)
        return sorted(by_digest, key=lambda one: one.held_at, reverse=True)

    def lift(self, application: ApplicationName, bundle: Digest) -> bool:
        """Lift a hold."""
        return self._tables.holds.pop((application, bundle), None) is not None
