"""Asking for a move: what a worker prepares, and people sign then."""

from regalia.core.errors import BundleHeldError, ConflictError, DocumentError
from regalia.core.references import BundleReference
from regalia.core.statements import Move
from regalia.core.strict_json import JsonObject
from regalia.wire.answers import OperationEntry
from regalia_registry.domain.access import Right
from regalia_registry.domain.adoption import AdoptWish
from regalia_registry.domain.entries import Event
from regalia_registry.domain.operations import Operation, OperationKind
from regalia_registry.domain.plans import MoveWish
from regalia_registry.domain.refusals import no_channel
from regalia_registry.ports.store import Transaction
from regalia_registry.services.context import Caller, Ports
from regalia_registry.services.steps.answers import operation_entry
from regalia_registry.services.steps.channels import make_way
from regalia_registry.services.steps.records import record
from regalia_registry.services.steps.targets import require_use
from regalia_registry.services.steps.warmth import require_way_back


def start_adoption(ports: Ports, caller: Caller, *, wish: AdoptWish) -> OperationEntry:
    """Ask for a collection in use to be adopted, or for what that would mean.

    Raises:
        NotFoundError: There is no such target for the namespace, or no such channel.
        ConflictError: Another operation of the channel is open.
    """
    namespace = wish.move.application.namespace
    caller.actor.require(Right.PROMOTE, on=namespace)
    with ports.store.read() as tx:
        require_use(tx, wish.target, namespace=namespace)
    return _start(ports, caller, wish.move, wish.kind, wish.written(), supersede=False)


def start_move(ports: Ports, caller: Caller, *, wish: MoveWish, supersede: bool = False) -> OperationEntry:
    """Ask for a move to be prepared, or for its plan alone; the very move that is open already is given back.

    A restore ends an open promotion of the channel; another restore only with `supersede`.

    Raises:
        NotFoundError: There is no such bundle, or no channel to restore.
        BundleHeldError: The bundle is on hold.
        ConflictError: Another operation of the channel is open, or it demands a warm way back and would have none.
    """
    caller.actor.require(Right.PROMOTE, on=wish.application.namespace)
    return _start(ports, caller, wish, wish.kind, wish.written(), supersede=supersede)


def _start(
    ports: Ports, caller: Caller, wish: MoveWish, kind: OperationKind, request: JsonObject, *, supersede: bool
) -> OperationEntry:
    made = Operation(
        id=ports.ids.new(),
        kind=kind,
        namespace=wish.application.namespace,
        subject=wish.subject,
        request=request,
        created_at=ports.shared_now(),
        created_by=caller.actor.id,
        channel=None if wish.is_plan or wish.move is None else wish.subject,
    )
    now = ports.shared_now()
    with ports.store.write(caller.actor) as tx:
        _require_allowed(tx, wish)
        if made.channel is not None:
            there = tx.operations.find_open(made.channel)
            if there is not None and there.request == made.request and not supersede:
                record(ports, caller, tx, Event("operation.joined", f"operation/{there.id}", after=wish.bundle))
                return operation_entry(there)
            make_way(tx, made.channel, for_kind=made.kind, now=now, supersede=supersede)
        tx.operations.add(made)
        record(ports, caller, tx, Event("operation.started", f"operation/{made.id}", after=wish.bundle))
    return operation_entry(made)


def _require_allowed(tx: Transaction, wish: MoveWish) -> None:
    """Refuse now what the commit would refuse later."""
    bundle = tx.bundles.get_by_digest(wish.application, digest=wish.bundle)
    current = tx.channels.find(wish.application, wish.channel)
    if current is None and wish.move in {Move.RESTORE, Move.REBIND}:
        raise no_channel(wish.application, wish.channel)
    reference = BundleReference(wish.application, version=bundle.version)
    is_same = current is not None and current.pointer.bundle == wish.bundle
    if wish.move is Move.REBIND and not is_same:
        raise DocumentError(f'"{wish.subject}" does not name "{reference}"', hint="reg restore … --to VERSION")
    if wish.move in {Move.PROMOTE, Move.RESTORE}:
        if is_same:
            raise ConflictError(f'"{wish.subject}" names {bundle.version} already', hint="there is nothing to move")
        hold = tx.holds.find(wish.application, wish.bundle)
        if hold is not None:
            raise BundleHeldError(
                f'"{reference}" is on hold: {hold.reason}',
                hint=f"if the reason is gone: reg lift {reference} --reason …",
            )
    if wish.move is Move.PROMOTE:
        require_way_back(tx, current)
    if (
        wish.move is Move.RESTORE
        and tx.channels.find_newest(wish.application, wish.channel, bundle=wish.bundle) is None
    ):
        raise DocumentError(
            f'"{reference}" was never in {wish.channel}', hint=f"reg promote {bundle.version} --to {wish.channel}"
        )
