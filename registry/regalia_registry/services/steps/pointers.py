"""What the channels of all applications name at this moment."""

from collections.abc import Iterator

from regalia.core.names import ApplicationName
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


def open_collections(tx: Transaction, application: ApplicationName, channel: str) -> list[Collection]:
    """List the collections that a channel serves and that take writes: its application's, or by another hand."""
    current = tx.channels.find(application, channel)
    found = [
        tx.collections.find(place.target, place.collection)
        for place in (() if current is None else current.pointer.collections)
    ]
    return [one for one in found if one is not None and not one.sealed and one.state is CollectionState.READY]
