"""Audit entries: the final bytes of what happened, with names and free text outside, bound by salted hashes."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from regalia.core import times
from regalia.core.digest import Digest
from regalia.core.names import ApplicationName
from regalia.core.statements import Move
from regalia.core.strict_json import JsonObject, write

_EDITION = 1


@dataclass(frozen=True, slots=True)
class DeploymentRecord:
    """The facts of one promote or restore: what an auditor asks for first."""

    application: ApplicationName
    environment: str
    version: str
    bundle: Digest
    move: Move
    reason: str
    sequence: int
    changes: tuple[str, ...]
    rollback_plan: tuple[Digest, ...]
    success: bool
    git_sha: str | None = None
    approval_ticket: str | None = None
    approver: str | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """What happened to what: `object` is a reference; `texts` are names and free text kept outside of the entry."""

    name: str
    object: str
    before: Digest | None = None
    after: Digest | None = None
    signers: tuple[str, ...] = ()
    texts: Mapping[str, str] = field(default_factory=dict)
    record: DeploymentRecord | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """One audit entry: an event, who, when and in which request; texts are hashed into it with `salt`."""

    id: str
    time: datetime
    actor: str
    request: str
    salt: bytes
    event: Event

    def body(self) -> bytes:
        """Write the entry's final bytes."""
        document: JsonObject = {
            "v": _EDITION,
            "id": self.id,
            "time": times.write(self.time),
            "event": self.event.name,
            "actor": self.actor,
            "object": self.event.object,
            "signers": list(self.event.signers),
            "request": self.request,
            "private": {name: self._hash(text) for name, text in self.all_texts().items()},
        }
        if self.event.before is not None:
            document["before"] = str(self.event.before)
        if self.event.after is not None:
            document["after"] = str(self.event.after)
        if self.event.record is not None:
            document["record"] = self._record(self.event.record)
        return write(document)

    def all_texts(self) -> dict[str, str]:
        """Give what stands beside the entry: free text, and the approver's name."""
        approver = None if self.event.record is None else self.event.record.approver
        return {**self.event.texts, **({} if approver is None else {"approver": approver})}

    def _record(self, record: DeploymentRecord) -> JsonObject:
        document: JsonObject = {
            "environment": record.environment,
            "version": record.version,
            "bundle": str(record.bundle),
            "move": str(record.move),
            "reason": record.reason,
            "sequence": record.sequence,
            "changes": list(record.changes),
            "rollback_plan": [str(fallback) for fallback in record.rollback_plan],
            "success": record.success,
        }
        if record.git_sha is not None:
            document["git_sha"] = record.git_sha
        if record.approval_ticket is not None:
            document["approval_ticket"] = record.approval_ticket
        if record.approver is not None:
            document["approver"] = self._hash(record.approver)
        return document

    def _hash(self, text: str) -> str:
        return hashlib.sha256(self.salt + text.encode("utf-8")).hexdigest()


@dataclass(frozen=True, slots=True)
class StoredEntry:
    """An entry as the store gives it back, with the texts beside it."""

    id: str
    body: bytes
    texts: Mapping[str, str]
