"""The journal of operations and the targets in SQL; an operation is claimed and updated by compare-and-set."""

import json
from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, RowMapping, and_, delete, func, or_, select, update

from regalia.core import times
from regalia.core.strict_json import JsonObject
from regalia_registry.adapters.sql.engine import insert_new
from regalia_registry.adapters.sql.statements import EVENT, OPERATION, TARGET
from regalia_registry.domain.operations import (
    EVERY_KIND,
    Operation,
    OperationEvent,
    OperationKind,
    OperationState,
    Target,
)
from regalia_registry.domain.refusals import channel_taken, no_operation

_OPEN = [str(state) for state in OperationState if not state.is_over]


class SqlOperations:
    """An `OperationRepository` over one transaction."""

    def __init__(self, connection: Connection) -> None:
        """Keep the transaction."""
        self._connection = connection

    def add(self, operation: Operation) -> None:
        """Insert an operation."""
        row = {
            "id": operation.id,
            "kind": str(operation.kind),
            "namespace": operation.namespace,
            "subject": operation.subject,
            "request": json.dumps(operation.request),
            "created_at": times.write(operation.created_at),
            "created_by": operation.created_by,
            **_changing(operation),
        }
        if not insert_new(self._connection, OPERATION, row):
            raise channel_taken(str(operation.channel))

    def get(self, operation_id: str) -> Operation:
        """Get an operation."""
        row = self._connection.execute(select(OPERATION).where(OPERATION.c.id == operation_id)).mappings().first()
        if row is None:
            raise no_operation(operation_id)
        return _read(row)

    def find_open(self, channel: str) -> Operation | None:
        """Find the one that keeps others from a channel."""
        row = self._connection.execute(select(OPERATION).where(OPERATION.c.channel == channel)).mappings().first()
        return None if row is None else _read(row)

    def list(self, namespace: str, *, after: str | None, limit: int) -> Sequence[Operation]:
        """List a namespace's operations, newest first."""
        query = select(OPERATION).where(OPERATION.c.namespace == namespace)
        if after is not None:
            query = query.where(OPERATION.c.id < after)
        rows = self._connection.execute(query.order_by(OPERATION.c.id.desc()).limit(limit)).mappings()
        return [_read(row) for row in rows]

    def list_open(self) -> Sequence[Operation]:
        """List all that are not over."""
        query = select(OPERATION).where(OPERATION.c.state.in_(_OPEN)).order_by(OPERATION.c.id)
        return [_read(row) for row in self._connection.execute(query).mappings()]

    def is_waiting(self, *, now: datetime, kinds: Collection[OperationKind] = EVERY_KIND) -> bool:
        """Look for one."""
        query = select(OPERATION.c.id).where(_is_claimable(now, kinds)).limit(1)
        return self._connection.execute(query).first() is not None

    def claim(
        self, *, now: datetime, until: datetime, kinds: Collection[OperationKind] = EVERY_KIND
    ) -> Operation | None:
        """Take the oldest that nobody works on."""
        columns = OPERATION.c
        query = select(OPERATION).where(_is_claimable(now, kinds)).order_by(columns.id).limit(1)
        row = self._connection.execute(query).mappings().first()
        if row is None:
            return None
        found = _read(row)
        values = {
            "state": str(found.state.claimed),
            "epoch": found.epoch + 1,
            "lease_until": times.write(until),
        }
        is_same = and_(columns.id == found.id, columns.epoch == found.epoch)
        taken = self._connection.execute(update(OPERATION).where(is_same).values(values)).rowcount == 1
        return self.get(found.id) if taken else None

    def update(self, operation: Operation, *, epoch: int) -> bool:
        """Replace what changes, if nobody has taken it over."""
        is_same = and_(OPERATION.c.id == operation.id, OPERATION.c.epoch == epoch)
        statement = update(OPERATION).where(is_same).values(_changing(operation))
        return self._connection.execute(statement).rowcount == 1

    def append(self, operation_id: str, *, time: datetime, body: JsonObject) -> OperationEvent:
        """Append an event."""
        highest = select(func.max(EVENT.c.number)).where(EVENT.c.operation == operation_id)
        number = int(self._connection.execute(highest).scalar() or 0) + 1
        row = {"operation": operation_id, "number": number, "time": times.write(time), "body": json.dumps(body)}
        self._connection.execute(EVENT.insert(), row)
        return OperationEvent(operation_id, number, times.whole_second(time), body)

    def events(self, operation_id: str, *, after: int, limit: int) -> Sequence[OperationEvent]:
        """List events, oldest first."""
        query = select(EVENT).where(EVENT.c.operation == operation_id, EVENT.c.number > after)
        rows = self._connection.execute(query.order_by(EVENT.c.number).limit(limit)).mappings()
        return [
            OperationEvent(operation_id, row["number"], times.parse(row["time"], what="time"), json.loads(row["body"]))
            for row in rows
        ]


class SqlTargets:
    """A `TargetRepository` over one transaction."""

    def __init__(self, connection: Connection) -> None:
        """Keep the transaction."""
        self._connection = connection

    def add(self, target: Target) -> bool:
        """Insert a target."""
        return insert_new(self._connection, TARGET, _target_row(target))

    def find(self, name: str) -> Target | None:
        """Find a target."""
        row = self._connection.execute(select(TARGET).where(TARGET.c.name == name)).mappings().first()
        return None if row is None else _target(row)

    def list(self) -> Sequence[Target]:
        """List targets by name."""
        rows = self._connection.execute(select(TARGET).order_by(TARGET.c.name)).mappings()
        return [_target(row) for row in rows]

    def put(self, target: Target) -> None:
        """Store a target."""
        self.remove(target.name)
        self.add(target)

    def remove(self, name: str) -> bool:
        """Remove a target."""
        return self._connection.execute(delete(TARGET).where(TARGET.c.name == name)).rowcount == 1


def _target_row(target: Target) -> dict[str, object]:
    return {
        "name": target.name,
        "provider": target.provider,
        "url": target.url,
        "credential": target.credential,
        "namespaces": " ".join(target.namespaces),
    }


def _target(row: RowMapping) -> Target:
    return Target(row["name"], row["provider"], row["url"], row["credential"], tuple(row["namespaces"].split()))


def _is_claimable(now: datetime, kinds: Collection[OperationKind]) -> ColumnElement[bool]:
    is_left = and_(OPERATION.c.state.in_(_OPEN), OPERATION.c.lease_until <= times.write(now))
    is_free = or_(OPERATION.c.state == str(OperationState.QUEUED), is_left)
    return and_(is_free, OPERATION.c.kind.in_([str(kind) for kind in kinds]))


def _changing(operation: Operation) -> dict[str, object]:
    return {
        "state": str(operation.state),
        "epoch": operation.epoch,
        "lease_until": None if operation.lease_until is None else times.write(operation.lease_until),
        "cancel_requested": operation.cancel_requested,
        "outcome": None if operation.outcome is None else json.dumps(operation.outcome),
        "journal": None if operation.journal is None else json.dumps(operation.journal),
        "channel": operation.channel,
    }


def _read(row: RowMapping) -> Operation:
    until = row["lease_until"]
    return Operation(
        id=row["id"],
        kind=OperationKind(row["kind"]),
        namespace=row["namespace"],
        subject=row["subject"],
        request=json.loads(row["request"]),
        created_at=times.parse(row["created_at"], what="created_at"),
        created_by=row["created_by"],
        state=OperationState(row["state"]),
        epoch=row["epoch"],
        lease_until=None if until is None else times.parse(until, what="lease_until"),
        cancel_requested=bool(row["cancel_requested"]),
        outcome=None if row["outcome"] is None else json.loads(row["outcome"]),
        journal=None if row["journal"] is None else json.loads(row["journal"]),
        channel=row["channel"],
    )
