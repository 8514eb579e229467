"""What every service is given: the ports, and who asks."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from regalia.core.strict_json import JsonObject
from regalia_registry.domain.access import Actor
from regalia_registry.domain.leases import Lease
from regalia_registry.domain.operations import Holder, OperationState
from regalia_registry.domain.retention import Retention
from regalia_registry.ports.blobs import BlobStore
from regalia_registry.ports.counting import Counts, Uncounted
from regalia_registry.ports.store import Store, Transaction
from regalia_registry.ports.system import Clock, Ids, OwnKeys, RootFile
from regalia_registry.ports.vectors import Targets


@dataclass(frozen=True, slots=True)
class LocalEngine:
    """How agents reach the embedded engine: a URL without a password, and the file that holds it where one is asked."""

    url: str
    password_file: str | None = None


@dataclass(frozen=True, slots=True)
class Ports:
    """The world, as the services see it.

    `clock` is this host's, by which it judges what others signed. `shared_clock` is the catalog's, where it has one of
    its own: until when an operation is somebody's, hosts whose clocks differ compare by it.
    """

    store: Store
    blobs: BlobStore
    clock: Clock
    ids: Ids
    keys: OwnKeys
    root_file: RootFile
    local: LocalEngine | None = None
    retention: Retention = field(default_factory=Retention)
    counts: Counts = field(default_factory=Uncounted)
    shared_clock: Clock | None = None

    def shared_now(self) -> datetime:
        """Say what time it is for all hosts of the catalog."""
        return (self.shared_clock or self.clock).now()


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, and the request's id for the record."""

    actor: Actor
    request: str


@dataclass(frozen=True, slots=True)
class Paused:
    """What a worker's service gives of an operation that is not over: nobody works on it until then, or it is asked."""

    state: OperationState
    outcome: JsonObject
    until: datetime


@dataclass(frozen=True, slots=True)
class Bench:
    """What a worker's service needs besides the ports: the engines, an empty folder, and how to tell progress.

    `tell` raises where the operation was cancelled or taken over: nothing is done after it. `fence` does so in the
    transaction that commits, so that a late worker commits nothing. `keep` replaces the operation's journal, which the
    next worker is given, and raises likewise. `lease` is how long a worker may go on without a sign of life.
    """

    targets: Targets
    holder: Holder
    folder: Path
    tell: Callable[[JsonObject], None]
    fence: Callable[[Transaction], None]
    keep: Callable[[JsonObject], None]
    lease: Lease = field(default_factory=Lease)
