"""What the store keeps, as values: no table and no answer of the API. Its times are whole seconds."""

from dataclasses import dataclass
from datetime import datetime

from regalia.core.digest import Digest
from regalia.core.names import ApplicationName, ArtifactName, Kind
from regalia.core.statements import ChannelPointer
from regalia_registry.domain.access import Actor, Grant


@dataclass(frozen=True, slots=True)
class ArtifactVersion:
    """A pushed artifact version; `fingerprint` is its digest as version 0.0.0."""

    artifact: ArtifactName
    version: str
    digest: Digest
    fingerprint: Digest
    manifest: bytes
    pushed_at: datetime


@dataclass(frozen=True, slots=True)
class ListedArtifact:
    """An artifact version in a list, which reads no manifests."""

    artifact: ArtifactName
    version: str
    digest: Digest
    fingerprint: Digest
    pushed_at: datetime


@dataclass(frozen=True, slots=True)
class StoredBundle:
    """A bundle with its release statement, both as exact bytes."""

    application: ApplicationName
    version: str
    digest: Digest
    index: bytes
    release: bytes
    issued_at: datetime
    stored_at: datetime
    git_commit: str | None = None


@dataclass(frozen=True, slots=True)
class ListedBundle:
    """A bundle in a list, which reads no documents."""

    application: ApplicationName
    version: str
    digest: Digest
    issued_at: datetime
    stored_at: datetime
    git_commit: str | None = None


@dataclass(frozen=True, slots=True)
class StoredPointer:
    """A pointer that a channel has or had; `identity` is the digest of its payload."""

    identity: Digest
    pointer: ChannelPointer
    envelope: bytes
    version: str
    stored_at: datetime


@dataclass(frozen=True, slots=True)
class Hold:
    """That nothing may newly name a bundle."""

    application: ApplicationName
    bundle: Digest
    version: str
    reason: str
    held_at: datetime
    held_by: str


@dataclass(frozen=True, slots=True)
class StoredRoot:
    """A version of the trust root as its exact envelope."""

    version: int
    identity: Digest
    envelope: bytes


@dataclass(frozen=True, slots=True)
class Token:
    """A token by the hash of its secret."""

    id: str
    name: str
    secret_sha256: str
    grants: tuple[Grant, ...]
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None

    def actor(self) -> Actor:
        """Who acts with it."""
        return Actor(self.id, self.name, self.grants)

    def is_valid(self, now: datetime) -> bool:
        """Say whether it opens the door."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


@dataclass(frozen=True, slots=True)
class ArtifactKey:
    """The name of an artifact within its namespace."""

    kind: Kind
    name: str
