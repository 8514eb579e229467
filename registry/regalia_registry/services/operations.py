"""Asking for work in the journal, and watching it; a worker does it."""

from dataclasses import replace

from regalia.core import times
from regalia.core.errors import ConflictError, NotFoundError
from regalia.core.names import ArtifactName, Kind
from regalia.wire.answers import OperationEntry, OperationEventEntry, OperationProgress
from regalia_registry.domain.access import Right
from regalia_registry.domain.entries import Event
from regalia_registry.domain.files import ExportWish, ImportWish
from regalia_registry.domain.operations import (
    MOVES,
    CompactWish,
    LoadWish,
    LookWish,
    Operation,
    OperationEvent,
    OperationKind,
    OperationState,
    SnapshotWish,
    Stored,
    VerifyWish,
    Wish,
)
from regalia_registry.domain.questions import DiffWish, QueryWish, RetireWish, SearchWish
from regalia_registry.ports.store import Transaction
from regalia_registry.services.context import Caller, Ports
from regalia_registry.services.steps.answers import operation_entry
from regalia_registry.services.steps.records import record
from regalia_registry.services.steps.targets import require_use

_EVENTS = 200


_KINDS: dict[type[Wish], OperationKind] = {
    SnapshotWish: OperationKind.SNAPSHOT,
    LoadWish: OperationKind.LOAD,
    VerifyWish: OperationKind.VERIFY,
    LookWish: OperationKind.LOOK,
    CompactWish: OperationKind.COMPACT,
    DiffWish: OperationKind.DIFF,
    QueryWish: OperationKind.QUERY,
    SearchWish: OperationKind.SEARCH,
    RetireWish: OperationKind.RETIRE,
    ExportWish: OperationKind.EXPORT,
    ImportWish: OperationKind.IMPORT,
}


def start(ports: Ports, caller: Caller, *, namespace: str, wish: Wish) -> OperationEntry:
    """Ask for work.

    Raises:
        NotFoundError: There is no such target for the namespace, no such version, or no such file.
    """
    caller.actor.require(_right_for(wish), on=namespace)
    made = Operation(
        id=ports.ids.new(),
        kind=_KINDS[type(wish)],
        namespace=namespace,
        subject=f"{'target' if isinstance(wish, LookWish | SearchWish | RetireWish) else 'snapshot'}/{wish.name}",
        request=wish.written(),
        created_at=ports.shared_now(),
        created_by=caller.actor.id,
    )
    with ports.store.write(caller.actor) as tx:
        if not isinstance(wish, Stored):
            require_use(tx, wish.target, namespace=namespace)
        for name, version in _versions(wish):
            tx.artifacts.get(ArtifactName(namespace, Kind.SNAPSHOT, name), version=version)
        if isinstance(wish, CompactWish):
            _require_snapshot(tx, ArtifactName(namespace, Kind.SNAPSHOT, wish.name))
        if isinstance(wish, ImportWish) and not tx.blobs.find_sizes(namespace, digests=[wish.file]):
            raise NotFoundError(f"the file {wish.file.short} was not sent", hint="reg snapshot import sends it")
        tx.operations.add(made)
        record(ports, caller, tx, Event("operation.started", f"operation/{made.id}"))
    return operation_entry(made)


def list_operations(
    ports: Ports, caller: Caller, *, namespace: str, after: str | None, limit: int
) -> list[OperationEntry]:
    """List a namespace's operations, newest first, without what may be large: outcomes, and what was looked for."""
    caller.actor.require(Right.READ, on=namespace)
    with ports.store.read() as tx:
        return [operation_entry(_listed(one)) for one in tx.operations.list(namespace, after=after, limit=limit)]


def follow_operation(
    ports: Ports, caller: Caller, *, namespace: str, operation_id: str, after: int
) -> OperationProgress:
    """Give an operation and what happened in it behind an event."""
    caller.actor.require(Right.READ, on=namespace)
    with ports.store.read() as tx:
        found = _of_namespace(tx.operations.get(operation_id), namespace)
        events = tx.operations.events(operation_id, after=after, limit=_EVENTS)
    return OperationProgress(operation_entry(found), tuple(map(_event, events)))


def cancel_operation(ports: Ports, caller: Caller, *, namespace: str, operation_id: str) -> OperationEntry:
    """Ask an operation to end: at once where nobody works on it, else at its worker's next step.

    Who asked for it may, and who may publish; a move of a channel, who may promote.

    Raises:
        ConflictError: It is over, or its channel has moved.
    """
    caller.actor.require(Right.READ, on=namespace)
    now = ports.shared_now()
    with ports.store.write(caller.actor) as tx:
        found = _of_namespace(tx.operations.get(operation_id), namespace)
        if found.created_by != caller.actor.id:
            caller.actor.require(Right.PROMOTE if found.kind in MOVES else Right.PUBLISH, on=namespace)
        if found.state.is_over or found.state is OperationState.COMMITTED:
            told = "has moved its channel" if found.state is OperationState.COMMITTED else f"is over: {found.state}"
            raise ConflictError(f"the operation {told}", hint=f"reg operation show {found.id}")
        cancelled = found.asked_to_end(now)
        tx.operations.update(cancelled, epoch=found.epoch)
        record(ports, caller, tx, Event("operation.cancelled", f"operation/{found.id}"))
    return operation_entry(cancelled)


def _require_snapshot(tx: Transaction, artifact: ArtifactName) -> None:
    if not tx.artifacts.versions(artifact, after=None, limit=1):
        raise NotFoundError(f'there is no snapshot "{artifact}"', hint="reg snapshot create takes one")


def _listed(operation: Operation) -> Operation:
    request = {name: value for name, value in operation.request.items() if name != "near"}
    return replace(operation, request=request, outcome=None)


def _right_for(wish: Wish) -> Right:
    """What is stored may be looked through by whoever may fetch it; what works at a target needs more."""
    return Right.READ if isinstance(wish, VerifyWish | DiffWish | QueryWish | ExportWish) else Right.PUBLISH


def _versions(wish: Wish) -> list[tuple[str, str]]:
    """Name the stored versions that it reads."""
    match wish:
        case LoadWish() | VerifyWish():
            return [(wish.name, wish.version)]
        case ExportWish():
            return [(wish.name, wish.version), *([] if wish.since is None else [wish.since])]
        case DiffWish():
            return [(one.name, one.version) for one in (wish.old, wish.new)]
        case QueryWish():
            return [(wish.which.name, wish.which.version)]
        case _:
            return []


def _of_namespace(found: Operation, namespace: str) -> Operation:
    if found.namespace != namespace:
        raise NotFoundError(f'there is no operation "{found.id}" in "{namespace}"', hint="reg operation list")
    return found


def _event(event: OperationEvent) -> OperationEventEntry:
    return OperationEventEntry(event.number, times.write(event.time), dict(event.body))
