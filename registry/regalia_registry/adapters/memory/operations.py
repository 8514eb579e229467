"""The journal of operations and the targets in memory."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime

from regalia.core import times
from regalia.core.strict_json import JsonObject
from regalia_registry.adapters.memory.tables import Tables, page
from regalia_registry.domain.operations import EVERY_KIND, Operation, OperationEvent, OperationKind, Target
from regalia_registry.domain.refusals import channel_taken, no_operation


class MemoryOperations:
    """An `OperationRepository` in memory."""

    def __init__(self, tables: Tables) -> None:
        """Keep the tables."""
        self._tables = tables

    def add(self, operation: Operation) -> None:
        """Insert an operation."""
        if operation.channel is not None and self.find_open(operation.channel) is not None:
            raise channel_taken(operation.channel)
        self._tables.operations[operation.id] = _whole(operation)

    def get(self, operation_id: str) -> Operation:
        """Get an operation."""
        found = self._tables.operations.get(operation_id)
        if found is None:
            raise no_operation(operation_id)
        return found

    def find_open(self, channel: str) -> Operation | None:
        """Find the one that keeps others from a channel."""
        return next((one for one in self._tables.operations.values() if one.channel == channel), None)

    def list(self, namespace: str, *, after: str | None, limit: int) -> Sequence[Operation]:
        """List a namespace's operations, newest first."""
        found = [one for one in self._tables.operations.values() if one.namespace == namespace]
        return page(found, key=lambda one: one.id, after=after, limit=limit, is_descending=True)

    def list_open(self) -> Sequence[Operation]:
        """List all that are not over."""
        return [one for _, one in sorted(self._tables.operations.items()) if not one.state.is_over]

    def is_waiting(self, *, now: datetime, kinds: Collection[OperationKind] = EVERY_KIND) -> bool:
        """Look for one."""
        return any(one.kind in kinds and one.is_claimable(now) for one in self._tables.operations.values())

    def claim(
        self, *, now: datetime, until: datetime, kinds: Collection[OperationKind] = EVERY_KIND
    ) -> Operation | None:
        """Take the oldest that nobody works on."""
        found = [one for one in self._tables.operations.values() if one.kind in kinds and one.is_claimable(now)]
        if not found:
            return None
        oldest = min(found, key=lambda one: one.id)
        taken = replace(oldest, state=oldest.state.claimed, epoch=oldest.epoch + 1, lease_until=until)
        self._tables.operations[taken.id] = _whole(taken)
        return self._tables.operations[taken.id]

    def update(self, operation: Operation, *, epoch: int) -> bool:
        """Replace what changes, if nobody has taken it over."""
        there = self._tables.operations.get(operation.id)
        if there is None or there.epoch != epoch:
            return False
        self._tables.operations[operation.id] = _whole(_changed(there, operation))
        return True

    def append(self, operation_id: str, *, time: datetime, body: JsonObject) -> OperationEvent:
        """Append an event."""
        number = 1 + max((one for of, one in self._tables.events if of == operation_id), default=0)
        made = OperationEvent(operation_id, number, times.whole_second(time), body)
        self._tables.events[operation_id, number] = made
        return made

    def events(self, operation_id: str, *, after: int, limit: int) -> Sequence[OperationEvent]:
        """List events, oldest first."""
        found = [one for one in self._tables.events.values() if one.operation == operation_id]
        return page(found, key=lambda one: one.number, after=after, limit=limit)


class MemoryTargets:
    """A `TargetRepository` in memory."""

    def __init__(self, tables: Tables) -> None:
        """Keep the tables."""
        self._tables = tables

    def add(self, target: Target) -> bool:
        """Insert a target."""
        return self._tables.targets.setdefault(target.name, target) is target

    def find(self, name: str) -> Target | None:
        """Find a target."""
        return self._tables.targets.get(name)

    def list(self) -> Sequence[Target]:
        """List targets by name."""
        return [self._tables.targets[name] for name in sorted(self._tables.targets)]

    def put(self, target: Target) -> None:
        """Store a target."""
        self._tables.targets[target.name] = target

    def remove(self, name: str) -> bool:
        """Remove a target."""
        return self._tables.targets.pop(name, None) is not None


def _changed(there: Operation, operation: Operation) -> Operation:
    """Take over what may change; what was asked for stays."""
    return replace(
        there,
        state=operation.state,
        epoch=operation.epoch,
        lease_until=operation.lease_until,
        cancel_requested=operation.cancel_requested,
        outcome=operation.outcome,
        journal=operation.journal,
        channel=operation.channel,
    )


def _whole(operation: Operation) -> Operation:
    until = operation.lease_until
    return replace(
        operation,
        created_at=times.whole_second(operation.created_at),
        lease_until=None if until is None else times.whole_second(until),
    )
