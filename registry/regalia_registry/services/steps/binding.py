"""Binding prepared collections to a channel, in the transaction that moves it: all of them, or none."""

from dataclasses import dataclass, replace
from datetime import datetime

from regalia.core import times
from regalia.core.dsse import MAX_PAYLOAD
from regalia.core.errors import ConflictError
from regalia.core.fields import Fields
from regalia.core.statements import MAX_COLLECTIONS, Place
from regalia_registry.domain.operations import MOVES, Operation, OperationState
from regalia_registry.domain.placing import Collection, CollectionState, Mode, Placing, read_placing
from regalia_registry.domain.plans import MoveWish
from regalia_registry.domain.records import StoredPointer
from regalia_registry.domain.refusals import no_operation
from regalia_registry.ports.store import Transaction
from regalia_registry.services.steps.pointers import bound_collections


@dataclass(frozen=True, slots=True)
class Prepared:
    """An operation that waits for its pointer, the places that the pointer must name, and the word of its worker.

    `until` is how long it waits, and `placing` what its channel places from then on, where that changes.
    """

    operation: Operation
    wish: MoveWish
    places: tuple[Place, ...]
    live: frozenset[str]
    vouched: str
    until: datetime
    placing: Placing | None = None


def find_prepared(tx: Transaction, operation_id: str, asked: MoveWish) -> Prepared:
    """Find the operation that prepared the collections of a channel's move to a bundle.

    Raises:
        NotFoundError: The application has none.
        ConflictError: It prepared another move, or is not prepared (any more).
    """
    found = tx.operations.get(operation_id)
    if found.kind not in MOVES or MoveWish.parse(found.request).application != asked.application:
        raise no_operation(operation_id)
    prepared = prepared_of(found)
    wish = prepared.wish
    if (wish.channel, wish.bundle, wish.move) != (asked.channel, asked.bundle, asked.move):
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
        MoveWish.parse(operation.request),
        tuple(map(Place.parse, fields.children("collections", maximum=MAX_COLLECTIONS))),
        frozenset(step.text("slot") for step in steps if step.text("mode") == Mode.LIVE),
        fields.text("vouched", max_characters=MAX_PAYLOAD * 2),
        times.parse(fields.text("until"), what="until"),
        read_placing(fields.child("placing")) if fields.has("placing") else None,
    )


def bind(tx: Transaction, prepared: Prepared, *, left: StoredPointer | None, now: datetime) -> None:
    """Take what was prepared into use, and the operation over its commit.

    Raises:
        ConflictError: A collection is not ready any more or another channel's, an alias is, nobody signed in time, or
            the operation was taken over or ended meanwhile.
    """
    if now >= prepared.until:
        raise ConflictError("nobody signed it in time", hint="ask again: what was made is there, and warm")
    for place in prepared.places:
        _bind_place(tx, prepared, place, now)
    if prepared.placing is not None:
        placings = tx.placings.find(prepared.wish.application, prepared.wish.channel)
        tx.placings.put(placings.having(prepared.placing))
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


def _bind_place(tx: Transaction, prepared: Prepared, place: Place, now: datetime) -> None:
    """Bind a collection: a sealed one, or one that its application writes into and no other channel serves."""
    collection = tx.collections.find(place.target, place.collection)
    is_live = str(place.slot) in prepared.live
    wish = prepared.wish
    if is_live and (place.target, place.collection) in bound_collections(tx, but=(wish.application, wish.channel)):
        raise ConflictError(f'another channel serves "{place.collection}" already', hint="ask again")
    is_fit = collection is not None and (collection.sealed or is_live)
    if collection is None or not is_fit or not _bound(tx, collection, now):
        raise ConflictError(f'"{place.collection}" is not what was proved any more', hint="ask again: it is made anew")


def _bound(tx: Transaction, collection: Collection, now: datetime) -> bool:
    return tx.collections.update(replace(collection, bound_at=now, unbound_at=None), expected=CollectionState.READY)
