"""The store: the catalog, its journal of changes, and who may enter; one transaction a change."""

from contextlib import AbstractContextManager
from enum import Enum
from typing import Protocol

from regalia_registry.domain.access import Actor
from regalia_registry.ports.agents import AgentRepository
from regalia_registry.ports.operating import (
    CollectionRepository,
    OperationRepository,
    PlacingRepository,
    TargetRepository,
)
from regalia_registry.ports.repositories import (
    AccessRepository,
    ArtifactRepository,
    AuditRepository,
    BlobRepository,
    BundleRepository,
    ChannelRepository,
    HoldRepository,
    ProvenanceRepository,
    RootRepository,
)


class Told(Enum):
    """Who is told of a note; whoever is told needlessly forgets for nothing what it keeps in memory."""

    ALL = "all"  # answers from memory may depend on it
    WORKERS = "workers"  # they and who follows an operation wait for it, and no answer depends on it
    NOBODY = "nobody"


class Transaction(Protocol):
    """What one transaction reads and writes."""

    @property
    def artifacts(self) -> ArtifactRepository:
        """Artifact versions."""
        ...

    @property
    def bundles(self) -> BundleRepository:
        """Bundles and their release statements."""
        ...

    @property
    def channels(self) -> ChannelRepository:
        """Channels and their pointers."""
        ...

    @property
    def holds(self) -> HoldRepository:
        """Bundles that nothing may newly name."""
        ...

    @property
    def roots(self) -> RootRepository:
        """Versions of the trust root."""
        ...

    @property
    def blobs(self) -> BlobRepository:
        """Which namespace may see which blob."""
        ...

    @property
    def access(self) -> AccessRepository:
        """Tokens."""
        ...

    @property
    def operations(self) -> OperationRepository:
        """The journal of operations."""
        ...

    @property
    def targets(self) -> TargetRepository:
        """Named connections to vector engines."""
        ...

    @property
    def collections(self) -> CollectionRepository:
        """What was made on targets."""
        ...

    @property
    def placings(self) -> PlacingRepository:
        """Where channels place their snapshots."""
        ...

    @property
    def agents(self) -> AgentRepository:
        """Which instances follow which channel."""
        ...

    @property
    def provenance(self) -> ProvenanceRepository:
        """How snapshots came to be."""
        ...

    @property
    def audit(self) -> AuditRepository:
        """Audit entries and deployment records."""
        ...


class Store(Protocol):
    """The catalog behind transactions.

    Every method may raise `UnavailableError` (locked, read-only, gone) or `StorageFullError`; then nothing happened. Of
    a commit whose answer was lost with the connection nobody knows: whoever asks again finds it done, or does it.
    """

    def read(self) -> AbstractContextManager[Transaction]:
        """Open a consistent view.

        Raises:
            RuntimeError: On writing.
        """
        ...

    def write(self, actor: Actor) -> AbstractContextManager[Transaction]:
        """Open the one writer at a time; commit on leaving, roll back on an exception.

        Raises:
            RuntimeError: On leaving without an audit entry of this actor: a change and its record can't part.
        """
        ...

    def note(self, *, to: Told = Told.ALL) -> AbstractContextManager[Transaction]:
        """Open a transaction for what is no change: how far an operation came, which blobs a namespace sent."""
        ...

    def version(self) -> int:
        """Give a number that differs once a change, or a note to all, was committed by any process; in microseconds.

        Where it stands, so does all that may be answered from memory.
        """
        ...

    def activity(self) -> int:
        """Give a number that differs once anything was committed that workers are told, `version()` among it."""
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...
