"""The repositories of a transaction. Lists go by keyset: `after` is the last key of the page before.

An error leaves the transaction, which rolls it back: what a method did before it raised is never committed.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from regalia.core.digest import Digest
from regalia.core.names import ApplicationName, ArtifactName, Kind
from regalia_registry.domain.entries import Entry, StoredEntry
from regalia_registry.domain.provenance import Provenance
from regalia_registry.domain.records import (
    ArtifactKey,
    ArtifactVersion,
    Hold,
    ListedArtifact,
    ListedBundle,
    StoredBundle,
    StoredPointer,
    StoredRoot,
    Token,
)


class ArtifactRepository(Protocol):
    """Artifact versions of all namespaces."""

    def add(self, artifact: ArtifactVersion) -> bool:
        """Insert a version.

        Returns:
            True where it is new, False where this version with this digest was there.

        Raises:
            VersionConflictError: The version has another digest, or the content another version.
        """
        ...

    def get(self, artifact: ArtifactName, *, version: str) -> ArtifactVersion:
        """Get a version.

        Raises:
            NotFoundError: There is none.
        """
        ...

    def find_by_digest(self, namespace: str, *, digest: Digest) -> ArtifactVersion | None:
        """Find a manifest that the namespace has."""
        ...

    def find_all_by_digest(self, namespace: str, *, digests: Collection[Digest]) -> Mapping[Digest, ArtifactVersion]:
        """Find many manifests that the namespace has, in one statement a thousand."""
        ...

    def find_by_fingerprint(self, artifact: ArtifactName, *, fingerprint: Digest) -> ArtifactVersion | None:
        """Find the version of this artifact that has this content; there is at most one."""
        ...

    def names(
        self, namespace: str, *, kind: Kind | None, after: ArtifactKey | None, limit: int
    ) -> Sequence[ArtifactKey]:
        """List artifacts by kind and name; `after` is of the kind that is asked for, if one is."""
        ...

    def versions(self, artifact: ArtifactName, *, after: str | None, limit: int) -> Sequence[ListedArtifact]:
        """List versions, highest first; `after` is a version."""
        ...

    def manifests(self, *, after: Digest | None, limit: int) -> Mapping[Digest, bytes]:
        """List the manifests of all namespaces by digest; there are no more where there is none behind `after`."""
        ...


class BundleRepository(Protocol):
    """Bundles of all applications."""

    def add(self, bundle: StoredBundle) -> bool:
        """Insert a bundle.

        Returns:
            True where it is new, False where this digest was there; its stored statement stays.

        Raises:
            VersionConflictError: The version has another digest.
        """
        ...

    def get(self, application: ApplicationName, *, version: str) -> StoredBundle:
        """Get a bundle by version.

        Raises:
            NotFoundError: There is none.
        """
        ...

    def get_by_digest(self, application: ApplicationName, *, digest: Digest) -> StoredBundle:
        """Get a bundle by digest.

        Raises:
            NotFoundError: There is none.
        """
        ...

    def list(self, application: ApplicationName, *, after: str | None, limit: int) -> Sequence[ListedBundle]:
        """List bundles, highest version first; `after` is a version."""
        ...

    def list_all(self, *, after: tuple[ApplicationName, Digest] | None, limit: int) -> Sequence[StoredBundle]:
        """List the bundles of all applications, whole, by application and digest."""
        ...

    def add_signatures(self, application: ApplicationName, *, digest: Digest, release: bytes) -> None:
        """Replace a release statement by the same payload with more signatures.

        Raises:
            NotFoundError: There is no such bundle.
        """
        ...


class ChannelRepository(Protocol):
    """Channels, and every pointer that they ever had."""

    def find(self, application: ApplicationName, channel: str) -> StoredPointer | None:
        """Find a channel's current pointer."""
        ...

    def list(self, application: ApplicationName, *, after: str | None, limit: int) -> Sequence[StoredPointer]:
        """List an application's channels by name, each with its current pointer."""
        ...

    def list_all(self, *, after: tuple[ApplicationName, str] | None, limit: int) -> Sequence[StoredPointer]:
        """List the channels of all applications, each with its current pointer."""
        ...

    def move(self, pointer: StoredPointer, *, expected: Digest | None) -> None:
        """Make this the current pointer if the current one is `expected`; None makes the channel.

        Raises:
            PointerMovedError: The current pointer is another, or the channel had this pointer or sequence before.
        """
        ...

    def find_pointer(self, identity: Digest) -> StoredPointer | None:
        """Find a pointer by its identity."""
        ...

    def history(
        self, application: ApplicationName, channel: str, *, after: int | None, limit: int
    ) -> Sequence[StoredPointer]:
        """List a channel's pointers, newest first; `after` is a sequence."""
        ...

    def find_newest(self, application: ApplicationName, channel: str, *, bundle: Digest) -> StoredPointer | None:
        """Find the newest pointer of a channel that named this bundle."""
        ...

    def add_signatures(self, identity: Digest, *, envelope: bytes) -> None:
        """Replace a pointer's envelope by the same payload with more signatures.

        Raises:
            NotFoundError: There is no such pointer.
        """
        ...


class HoldRepository(Protocol):
    """Bundles that nothing may newly name."""

    def add(self, hold: Hold) -> bool:
        """Hold a bundle; False where it was held before."""
        ...

    def find(self, application: ApplicationName, bundle: Digest) -> Hold | None:
        """Find the hold of a bundle."""
        ...

    def list(self, application: ApplicationName) -> Sequence[Hold]:
        """List an application's holds, newest first."""
        ...

    def lift(self, application: ApplicationName, bundle: Digest) -> bool:
        """Lift a hold; False where there was none."""
        ...


class ProvenanceRepository(Protocol):
    """How the versions of snapshots came to be, by the digests of their manifests: a record, that nobody signed."""

    def add(self, namespace: str, manifest: Digest, provenance: Provenance) -> None:
        """Keep how a version came to be; what was told of it before stays."""
        ...

    def find(self, namespace: str, manifest: Digest) -> Provenance | None:
        """Find how a version came to be; None for one that was pushed by hand, or made before this was kept."""
        ...


class RootRepository(Protocol):
    """Versions of the trust root."""

    def add(self, root: StoredRoot) -> None:
        """Append the next version.

        Raises:
            ConflictError: The version, or its payload, is there.
        """
        ...

    def newest(self) -> StoredRoot | None:
        """Find the newest version."""
        ...

    def find(self, version: int) -> StoredRoot | None:
        """Find a version."""
        ...

    def find_by_identity(self, identity: Digest) -> StoredRoot | None:
        """Find a version by the digest of its payload."""
        ...

    def after(self, version: int, *, limit: int) -> Sequence[StoredRoot]:
        """List the versions after one, oldest first."""
        ...


class BlobRepository(Protocol):
    """Which namespace may see which blob: it sent it, or a manifest of its own links it; and which blobs may go.

    A blob that no manifest links is kept for as long as somebody claims it. Whoever removes it takes it first, so that
    of a claim and a taking the first wins, and nothing is stored where it is about to be removed.
    """

    def link(self, namespace: str, *, sizes: Mapping[Digest, int]) -> None:
        """Let the namespace see these blobs of these sizes in bytes; what it sees keeps its size."""
        ...

    def find_sizes(self, namespace: str, *, digests: Collection[Digest]) -> Mapping[Digest, int]:
        """Find which of these blobs the namespace may see, with their sizes in bytes."""
        ...

    def claim(self, *, digests: Collection[Digest], until: datetime) -> frozenset[Digest]:
        """Keep these blobs until then, those that are not stored yet among them.

        Returns:
            Those that are being removed: they are not kept, and nothing is stored there until that is over.
        """
        ...

    def find_claimed(self, *, digests: Collection[Digest], at: datetime) -> frozenset[Digest]:
        """Find which of these are kept at a time, or being removed."""
        ...

    def take(self, *, digests: Collection[Digest], at: datetime, operation: str) -> frozenset[Digest]:
        """Take those that nobody keeps at a time, for an operation to remove; no namespace sees them any more.

        Returns:
            Those that the operation has, from before too.
        """
        ...

    def taken(self, *, after: Digest | None, limit: int) -> Sequence[tuple[Digest, str]]:
        """List what is being removed by digest, each with its operation."""
        ...

    def forget(self, *, digests: Collection[Digest]) -> None:
        """Forget those that were taken, once they are removed."""
        ...

    def end_claims(self, *, at: datetime) -> None:
        """Forget the claims that are over at a time."""
        ...


class AccessRepository(Protocol):
    """Tokens, by the hash of their secrets."""

    def add(self, token: Token) -> None:
        """Store a token.

        Raises:
            ConflictError: Its id or secret is there.
        """
        ...

    def find(self, secret_sha256: str) -> Token | None:
        """Find a token by its hash."""
        ...

    def get(self, token_id: str) -> Token:
        """Get a token by its id.

        Raises:
            NotFoundError: There is none.
        """
        ...

    def list(self, *, after: str | None, limit: int) -> Sequence[Token]:
        """List tokens by id, oldest first."""
        ...

    def revoke(self, token_id: str, *, at: datetime) -> None:
        """End a token; one that has ended keeps its time.

        Raises:
            NotFoundError: There is none.
        """
        ...


class AuditRepository(Protocol):
    """What happened: entries are only ever appended."""

    def record(self, entry: Entry) -> None:
        """Append an entry; the transaction's own."""
        ...

    def list(self, *, after: str | None, limit: int) -> Sequence[StoredEntry]:
        """List entries by id, newest first."""
        ...

    def deployments(
        self, application: ApplicationName, *, channel: str | None, after: str | None, limit: int
    ) -> Sequence[StoredEntry]:
        """List the entries that hold a deployment record, newest first."""
        ...

    def is_void(self, pointer: Digest) -> bool:
        """Say whether a deployment record tells that this pointer was refused."""
        ...
