"""Aliases follow their channel: level-triggered, so that whatever was lost, raced or changed by hand is set right."""

from dataclasses import dataclass

from regalia.core.names import ApplicationName
from regalia.core.statements import Place
from regalia_registry.domain.placing import Placing
from regalia_registry.ports.serving import Serving
from regalia_registry.ports.store import Store
from regalia_registry.ports.vectors import Provider
from regalia_registry.services.context import Ports

_ROUNDS = 8


@dataclass(frozen=True, slots=True)
class Led:
    """Where an alias leads now, and how long it led elsewhere once the channel had moved, as far as was seen here."""

    alias: str
    collection: str
    seconds: float
    is_changed: bool


def lead(
    ports: Ports,
    provider: Provider,
    application: ApplicationName,
    channel: str,
    placing: Placing,
    *,
    again: bool = False,
) -> Led | None:  # where to look, and what for
    """Make the alias of a placing lead to where its channel is; None where it has none, or nothing is placed there.

    `again` sets it even where it leads there: rights that people gave on it reach the collection by that.

    The channel is read again after the alias was set: who sets it last has seen where the channel is, so that two who
    race need no lock, and one who is killed in between is made up for by the next round.

    Raises:
        ConflictError: Something that is no alias of ours has its name.
        UnavailableError: The engine does not answer, or somebody's transaction is in the way.
    """
    if placing.alias is None or not isinstance(provider, Serving):
        return None
    began, is_changed = ports.clock.monotonic(), False
    wanted = _wanted(ports.store, application, channel, placing)
    for _ in range(_ROUNDS):
        if wanted is None:
            return None
        is_elsewhere = provider.aliases.get(placing.alias) != wanted.collection
        if is_elsewhere or again:
            provider.aliases.set(placing.alias, wanted.collection)
            is_changed = is_changed or is_elsewhere
        now = _wanted(ports.store, application, channel, placing)
        if now == wanted:
            return Led(placing.alias, wanted.collection, ports.clock.monotonic() - began, is_changed)
        wanted = now
    return None  # the channel moves faster than its aliases: the next round is soon


def _wanted(store: Store, application: ApplicationName, channel: str, placing: Placing) -> Place | None:
    with store.read() as tx:
        current = tx.channels.find(application, channel)
    places = () if current is None else current.pointer.collections
    return next((one for one in places if (one.slot, one.target) == (placing.slot, placing.target)), None)
