"""What uses collections: pointers, operations and aliases; read in the very transaction that lets one go."""

from collections.abc import Iterator, Mapping

from regalia.core.digest import Digest
from regalia.core.fields import Fields
from regalia.core.statements import MAX_COLLECTIONS, ChannelPointer, Place
from regalia_registry.domain.operations import Operation
from regalia_registry.domain.placing import Collection
from regalia_registry.domain.records import StoredPointer
from regalia_registry.domain.retention import Named, Uses
from regalia_registry.ports.serving import Serving
from regalia_registry.ports.store import Transaction
from regalia_registry.ports.vectors import Provider

_PAGE = 200
_HISTORY = 20


def uses_of(tx: Transaction, *, bundles: int, aliased: Mapping[Named, str]) -> Uses:
    """Read what uses collections; `aliased` was seen in the engines, which are no part of a transaction."""
    serving: dict[Named, str] = {}
    recent: dict[Named, str] = {}
    seen: set[Named] = set()
    for stored in _channels(tx):
        channel = f"{stored.pointer.application}:{stored.pointer.channel}"
        serving |= dict.fromkeys(_named(stored), channel)
        for earlier in _last(tx, stored, bundles):
            recent |= dict.fromkeys(_named(earlier), channel)
        for reported in _reported(tx, stored.pointer):
            seen.update(_named(reported))
    opened = tx.operations.list_open()
    awaited = {(place.target, place.collection): one.id for one in opened for place in awaited_by(one)}
    return Uses(serving, recent, awaited, frozenset(one.id for one in opened), aliased, frozenset(seen))


def aliases_on(tx: Transaction, target: str) -> tuple[str, ...]:
    """Name the aliases that channels move on a target."""
    placings = [one for channel in tx.placings.list() for one in channel.placings]
    return tuple(one.alias for one in placings if one.target == target and one.alias is not None)


def aliased_on(provider: Provider, target: str, aliases: tuple[str, ...]) -> dict[Named, str]:
    """Ask an engine where these aliases lead."""
    if not isinstance(provider, Serving):
        return {}
    led = {alias: provider.aliases.get(alias) for alias in aliases}
    return {(target, collection): alias for alias, collection in led.items() if collection is not None}


def all_collections(tx: Transaction) -> Iterator[Collection]:
    """List the collections that are not dropped."""
    after = None
    while page := tx.collections.list(after=after, limit=_PAGE):
        yield from page
        after = page[-1].id


def _channels(tx: Transaction) -> Iterator[StoredPointer]:
    after = None
    while page := tx.channels.list_all(after=after, limit=_PAGE):
        yield from page
        after = page[-1].pointer.application, page[-1].pointer.channel


def _last(tx: Transaction, current: StoredPointer, bundles: int) -> Iterator[StoredPointer]:
    """Give the newest pointer of each of a channel's last bundles: it is what an agent pinned to one of them reads."""
    application, channel = current.pointer.application, current.pointer.channel
    seen: set[Digest] = set()
    after = None
    while page := tx.channels.history(application, channel, after=after, limit=_HISTORY):
        for stored in page:
            if stored.pointer.bundle in seen:
                continue
            if len(seen) == bundles:
                return
            seen.add(stored.pointer.bundle)
            yield stored
        after = page[-1].pointer.sequence


def _reported(tx: Transaction, current: ChannelPointer) -> Iterator[StoredPointer]:
    """Give the pointers that a channel's agents said within a day that they serve."""
    application, channel = current.application, current.channel
    bundles, after = set[Digest](), None
    while page := tx.agents.list(application, channel, after=after, limit=_PAGE):
        bundles |= {agent.bundle for agent in page}
        after = page[-1].instance
    for bundle in bundles:
        stored = tx.channels.find_newest(application, channel, bundle=bundle)
        if stored is not None:
            yield stored


def _named(stored: StoredPointer) -> Iterator[Named]:
    return ((place.target, place.collection) for place in stored.pointer.collections)


def awaited_by(operation: Operation) -> Iterator[Place]:
    """Read the places that a prepared operation offers to be signed."""
    fields = Fields(operation.outcome or {}, "the operation's outcome")
    if operation.channel is not None and fields.has("collections"):
        yield from map(Place.parse, fields.children("collections", maximum=MAX_COLLECTIONS))
