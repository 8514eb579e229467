"""Binding prepared collections to a channel, in the transaction that moves it: all of them, or none."""

from dataclasses import dataclass, replace
from datetime import datetime

from regalia.core.dsse import MAX_PAYLOAD
from regalia.core.errors import ConflictError
from regalia.core.fields import Fields
from regalia.core.statements import MAX_COLLECTIONS, ChannelPointer, Place
from regalia_registry.domain.operations import Operation, OperationState
from regalia_registry.domain.placing import Collection, CollectionState, Mode
from regalia_registry.domain.plans import MoveWish
from regalia_registry.domain.records import StoredPointer
from regalia_registry.ports.store import Transaction


@dataclass(frozen=True, slots=True)
class Prepared:
    """An operation that waits for its pointer, the places that the pointer must name, and the word of its worker."""

    operation: Operation
    places: tuple[Place, ...]
    live: frozenset[str]
    vouched: str


def find_prepared(tx: Transaction, operation_id: str, pointer: ChannelPointer) -> Prepared:
    """Find the operation that prepared a pointer's collections.

    Raises:
        NotFoundError: There is none.
        ConflictError: It prepared another move, or is not prepared (any more).
    """
    found = tx.operations.get(operation_id)
    prepared = prepared_of(found)
    wish = MoveWish.parse(found.request)
    asked = (wish.application, wish.channel, wish.bundle, wish.move)
    if asked != (pointer.application, pointer.channel, pointer.bundle, pointer.move):
        raise ConflictError(f'the operation "{found.id}" prepared another move', hint="reg operation show tells which")
    return prepared


def prepared_of(operation: Operation) -> Prepared:
    """Read what an operation has prepared.

    Raises:
        ConflictError: It is not prepared (any more).
    """
    is_wanted = operation.channel is not None and not operation.cancel_requested
    if operation.state is not OperationState.PREPARED or operation.outcome is None or not is_wanted:
        raise ConflictError(
            f'the operation "{operation.id[:40]}" is {operation.state}, and waits for no pointer',
            hint=f"reg operation show {operation.id[:40]}; ask again, what was made is there",
        )
    fields = Fields(operation.outcome, "the operation's outcome")
    steps = fields.children("steps", maximum=MAX_COLLECTIONS)
    return Prepared(
        operation,
        tuple(map(Place.parse, fields.children("collections", maximum=MAX_COLLECTIONS))),
        frozenset(step.text("slot") for step in steps if step.text("mode") == Mode.LIVE),
        fields.text("vouched", max_characters=MAX_PAYLOAD * 2),
    )


def bind(tx: Transaction, prepared: Prepared, *, left: StoredPointer | None, now: datetime) -> None:
    """Take what was prepared into use, and the operation over its commit.

    Raises:
        ConflictError: A collection is not ready any more, or the operation was taken over or ended meanwhile.
    """
    for place in prepared.places:
        collection = tx.collections.find(place.target, place.collection)
        is_fit = collection is not None and (collection.sealed or str(place.slot) in prepared.live)
        if collection is None or not is_fit or not _bound(tx, collection, now):
            raise ConflictError(
                f'"{place.collection}" is not what was proved any more', hint="ask again: it is made anew"
            )
    unbind(tx, left, named=prepared.places, now=now)
    there = tx.operations.get(prepared.operation.id)
    outcome = {**(there.outcome or {}), **({} if left is None else {"left": str(left.identity)})}
    committed = replace(there, state=OperationState.COMMITTED, lease_until=now, channel=None, outcome=outcome)
    is_ours = there == prepared.operation and tx.operations.update(committed, epoch=there.epoch)
    if not is_ours:
        raise ConflictError("the operation was ended meanwhile", hint=f"reg operation show {there.id}")


def unbind(tx: Transaction, left: StoredPointer | None, *, named: tuple[Place, ...], now: datetime) -> None:
    """Note when a channel let go of the collections that its next pointer does not name: they are kept a while."""
    still = {(place.target, place.collection) for place in named}
    for place in () if left is None else left.pointer.collections:
        collection = tx.collections.find(place.target, place.collection)
        if collection is not None and (place.target, place.collection) not in still:
            tx.collections.update(replace(collection, unbound_at=now), expected=collection.state)


def _bound(tx: Transaction, collection: Collection, now: datetime) -> bool:
    return tx.collections.update(replace(collection, bound_at=now, unbound_at=None), expected=CollectionState.READY)
