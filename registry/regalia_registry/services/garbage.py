"""Asking for what nothing needs any more to be removed: by an admin, or once a day."""

from datetime import timedelta

from regalia.core.errors import ConflictError
from regalia.wire.answers import OperationEntry
from regalia_registry.domain.access import EVERYWHERE, SYSTEM
from regalia_registry.domain.entries import Event
from regalia_registry.domain.operations import Operation, OperationKind
from regalia_registry.domain.retention import GARBAGE, GarbageWish
from regalia_registry.services.context import Caller, Ports
from regalia_registry.services.steps.answers import operation_entry
from regalia_registry.services.steps.records import record

_DAILY = timedelta(days=1)
_LOOKED_AT = 20  # plans stand between two collections


def collect(ports: Ports, caller: Caller, *, wish: GarbageWish) -> OperationEntry:
    """Ask for a collection of garbage, in all namespaces, or for its plan.

    Raises:
        ForbiddenError: The caller is no admin of all namespaces.
        ConflictError: One is at work.
    """
    caller.actor.require_admin()
    made = Operation(
        id=ports.ids.new(),
        kind=OperationKind.GC,
        namespace=EVERYWHERE,
        subject=GARBAGE,
        request=wish.written(),
        created_at=ports.shared_now(),
        created_by=caller.actor.id,
        channel=None if wish.is_plan else GARBAGE,
    )
    with ports.store.write(caller.actor) as tx:
        if made.channel is not None and (there := tx.operations.find_open(made.channel)) is not None:
            raise ConflictError(f"{there.id} removes garbage already", hint="ask again once it is over: reg gc")
        tx.operations.add(made)
        record(ports, caller, tx, Event("operation.started", f"operation/{made.id}"))
    return operation_entry(made)


def collect_daily(ports: Ports) -> None:
    """Ask for one where none was asked for within a day; of two workers that do, one is enough."""
    with ports.store.read() as tx:
        recent = tx.operations.list(EVERYWHERE, after=None, limit=_LOOKED_AT)
    begun = [one for one in recent if one.kind is OperationKind.GC and not GarbageWish.parse(one.request).is_plan]
    if begun and ports.shared_now() - begun[0].created_at < _DAILY:
        return
    try:
        collect(ports, Caller(SYSTEM, ""), wish=GarbageWish())
    except ConflictError:  # another worker was sooner
        return
