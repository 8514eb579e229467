"""What uses collections: pointers, operations and aliases; read in the very transaction that lets one go."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from regalia.core.bundle import BundleIndex
from regalia.core.digest import Digest
from regalia_registry.domain.placing import Collection
from regalia_registry.domain.records import StoredPointer
from regalia_registry.domain.retention import Content, Named, Uses
from regalia_registry.ports.serving import Serving
from regalia_registry.ports.store import Transaction
from regalia_registry.ports.vectors import Provider
from regalia_registry.services.steps.planning import kept_beside, snapshots_of
from regalia_registry.services.steps.pointers import awaited_by, current_pointers

_PAGE = 200
_HISTORY = 20


@dataclass(frozen=True, slots=True)
class Seen:
    """What was looked at before the transaction: where aliases lead in the engines, and what agents said they use."""

    aliased: Mapping[Named, str] = field(default_factory=dict)
    reported: frozenset[Named] = frozenset()


def uses_of(tx: Transaction, seen: Seen, *, bundles: int) -> Uses:
    """Read what uses collections."""
    serving: dict[Named, str] = {}
    recent: dict[Named, str] = {}
    standby: dict[Content, str] = {}
    for stored in current_pointers(tx):
        channel = f"{stored.pointer.application}:{stored.pointer.channel}"
        serving |= dict.fromkeys(_named(stored), channel)
        for earlier in _last(tx, stored, bundles):
            recent |= dict.fromkeys(_named(earlier), channel)
            standby |= dict.fromkeys(_kept_beside(tx, earlier), channel)
    opened = tx.operations.list_open()
    awaited = {(place.target, place.collection): one.id for one in opened for place in awaited_by(one)}
    at_work = frozenset(one.id for one in opened)
    return Uses(serving, recent, awaited, at_work, seen.aliased, seen.reported, standby)


def reported_by_agents(tx: Transaction) -> frozenset[Named]:
    """Name what agents said within a day that they use; a pointer that their channel never had is of no account."""
    found = set[Named]()
    for current in current_pointers(tx):
        application, channel = current.pointer.application, current.pointer.channel
        for sequence in tx.agents.served(application, channel):
            for stored in tx.channels.history(application, channel, after=sequence + 1, limit=1):
                if stored.pointer.sequence == sequence:
                    found.update(_named(stored))
    return frozenset(found)


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


def _kept_beside(tx: Transaction, stored: StoredPointer) -> Iterator[Content]:
    """Give the contents of which a pointer's channel keeps a sealed copy, and on which target."""
    application, channel = stored.pointer.application, stored.pointer.channel
    placings = tx.placings.find(application, channel)
    if not placings.has_standby:
        return
    bundle = tx.bundles.get_by_digest(application, digest=stored.pointer.bundle)
    for member in kept_beside(snapshots_of(tx, BundleIndex.parse(bundle.index)), placings):
        placing = placings.of(member.slot)
        if placing is not None:
            yield placing.target, member.content_root


def _named(stored: StoredPointer) -> Iterator[Named]:
    return ((place.target, place.collection) for place in stored.pointer.collections)
