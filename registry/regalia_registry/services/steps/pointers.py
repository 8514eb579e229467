"""What channels name at this moment, have named and are about to name: pointers, and the collections in them."""

from collections.abc import Iterator

from regalia.core.digest import Digest
from regalia.core.fields import Fields
from regalia.core.names import ApplicationName
from regalia.core.statements import MAX_COLLECTIONS, Place
from regalia_registry.domain.operations import Operation
from regalia_registry.domain.placing import Collection, CollectionState
from regalia_registry.domain.records import StoredPointer
from regalia_registry.domain.retention import Named
from regalia_registry.ports.store import Transaction

_PAGE = 200


def current_pointers(tx: Transaction) -> Iterator[StoredPointer]:
    """List every channel's current pointer."""
    after = None
    while page := tx.channels.list_all(after=after, limit=_PAGE):
        yield from page
        after = page[-1].pointer.application, page[-1].pointer.channel


def bound_collections(tx: Transaction, *, but: tuple[ApplicationName, str] | None = None) -> frozenset[Named]:
    """Name what channels serve from: target and collection. `but` is an application and its channel to leave out."""
    pointers = (stored.pointer for stored in current_pointers(tx))
    return frozenset(
        (place.target, place.collection)
        for pointer in pointers
        if (pointer.application, pointer.channel) != but
        for place in pointer.collections
    )


def taken_collections(tx: Transaction) -> frozenset[Named]:
    """Name what channels serve from, and what pointers that wait for their signature will name."""
    awaited = {(place.target, place.collection) for one in tx.operations.list_open() for place in awaited_by(one)}
    return bound_collections(tx) | awaited


def awaited_by(operation: Operation) -> Iterator[Place]:
    """Read the places that a prepared operation offers to be signed."""
    fields = Fields(operation.outcome or {}, "the operation's outcome")
    if operation.channel is not None and fields.has("collections"):
        yield from map(Place.parse, fields.children("collections", maximum=MAX_COLLECTIONS))


def open_collections(tx: Transaction, application: ApplicationName, channel: str) -> list[Collection]:
    """List the collections that a channel serves and that take writes: its application's, or by another hand."""
    current = tx.channels.find(application, channel)
    found = [
        tx.collections.find(place.target, place.collection)
        for place in (() if current is None else current.pointer.collections)
    ]
    return [one for one in found if one is not None and not one.sealed and one.state is CollectionState.READY]


def left_open(tx: Transaction, left: Digest) -> list[Collection]:
    """List the live collections of a pointer that no channel names any more, and that nothing was kept of yet."""
    pointer = tx.channels.find_pointer(left)
    served = bound_collections(tx)
    found = [
        tx.collections.find(place.target, place.collection)
        for place in (() if pointer is None else pointer.pointer.collections)
        if (place.target, place.collection) not in served
    ]
    return [
        one
        for one in found
        if one is not None and one.state is CollectionState.READY and not one.sealed and one.leftover is None
    ]
