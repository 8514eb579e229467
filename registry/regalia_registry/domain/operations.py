"""Work that takes longer than a request: asked for in the journal, done by a worker that holds a lease."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from regalia.core.strict_json import JsonObject

LEASE = timedelta(seconds=60)
GRACE = timedelta(seconds=15)  # how long after its lease a worker may still be at its last step


class OperationKind(StrEnum):
    """What is done."""

    SNAPSHOT = "snapshot"
    LOAD = "load"


class OperationState(StrEnum):
    """How far it is; the last three are for good."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_over(self) -> bool:
        """Whether nothing changes any more."""
        return self not in {OperationState.QUEUED, OperationState.RUNNING}


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation; `epoch` counts its workers, and a worker of an earlier epoch changes nothing any more."""

    id: str
    kind: OperationKind
    namespace: str
    subject: str
    request: JsonObject
    created_at: datetime
    created_by: str
    state: OperationState = OperationState.QUEUED
    epoch: int = 0
    lease_until: datetime | None = None
    cancel_requested: bool = False
    outcome: JsonObject | None = None

    def is_claimable(self, now: datetime) -> bool:
        """Say whether a worker may take it: nobody has it, or whoever had it is gone."""
        if self.state is OperationState.QUEUED:
            return True
        return self.state is OperationState.RUNNING and self.lease_until is not None and self.lease_until + GRACE <= now


@dataclass(frozen=True, slots=True)
class OperationEvent:
    """Something that happened in an operation; `number` counts from 1."""

    operation: str
    number: int
    time: datetime
    body: JsonObject


@dataclass(frozen=True, slots=True)
class Target:
    """A named connection to a vector engine; `credential` says where its password is, and is never one."""

    name: str
    provider: str
    url: str
    credential: str | None = None
