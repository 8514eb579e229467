"""Reading what happened."""

from regalia.core.fields import Fields
from regalia.core.names import ApplicationName
from regalia.core.strict_json import parse_object
from regalia.wire.answers import AuditEntry, DeploymentEntry
from regalia.wire.resolution import encode
from regalia_registry.domain.access import Right
from regalia_registry.domain.entries import StoredEntry
from regalia_registry.services.context import Caller, Ports

_MAX_ENTRY = 1024 * 1024


def list_audit(ports: Ports, caller: Caller, *, after: str | None, limit: int) -> list[AuditEntry]:
    """List audit entries, newest first."""
    caller.actor.require_admin()
    with ports.store.read() as tx:
        return [_entry(stored) for stored in tx.audit.list(after=after, limit=limit)]


def list_deployments(
    ports: Ports, caller: Caller, *, application: ApplicationName, channel: str | None, after: str | None, limit: int
) -> list[DeploymentEntry]:
    """List deployment records, newest first."""
    caller.actor.require(Right.READ, on=application.namespace)
    with ports.store.read() as tx:
        found = tx.audit.deployments(application, channel=channel, after=after, limit=limit)
    return [_deployment(application, stored) for stored in found]


def _entry(stored: StoredEntry) -> AuditEntry:
    fields = _read(stored)
    return AuditEntry(
        id=stored.id,
        time=fields.text("time"),
        event=fields.text("event"),
        actor=fields.text("actor"),
        object=fields.text("object"),
        entry=encode(stored.body),
    )


def _deployment(application: ApplicationName, stored: StoredEntry) -> DeploymentEntry:
    fields = _read(stored)
    record = fields.child("record")
    return DeploymentEntry(
        id=stored.id,
        timestamp=fields.text("time"),
        application=str(application),
        environment=record.text("environment"),
        version=record.text("version"),
        bundle=record.text("bundle"),
        move=record.text("move"),
        reason=record.text("reason"),
        deployer=stored.texts.get("deployer") or fields.text("actor"),
        success=record.boolean("success"),
        changes=record.texts("changes", maximum=1000),
        rollback_plan=record.texts("rollback_plan", maximum=100),
        sequence=record.integer("sequence"),
        git_sha=record.optional("git_sha", record.text),
        approver=stored.texts.get("approver"),
        approval_ticket=record.optional("approval_ticket", record.text),
    )


def _read(stored: StoredEntry) -> Fields:
    what = "a stored audit entry"
    return Fields(parse_object(stored.body, what=what, max_bytes=_MAX_ENTRY), what)
