"""The agents of a channel: who follows it, who has arrived where it moved, and how fast it could go back."""

import time
from collections.abc import Callable, Iterable, Iterator

from regalia.calls import channel_path
from regalia.client import Client
from regalia.core.references import BundleReference
from regalia.core.values import frozen
from regalia.wire.answers import AgentEntry, ReadinessEntry

LATELY_S = 60  # who was not seen for that long is waited for by nobody
_LOOK_EVERY_S = 1.0


def list_agents(client: Client, channel: BundleReference) -> Iterator[AgentEntry]:
    """List the instances that followed a channel within the last day."""
    return client.registry.pages(AgentEntry, f"{channel_path(channel)}/agents")


def get_readiness(client: Client, channel: BundleReference) -> ReadinessEntry:
    """Ask which bundle a channel would go back to, and whether its collections are there."""
    return client.registry.get(ReadinessEntry, f"{channel_path(channel)}/readiness")


@frozen
class Fleet:
    """The agents that were seen lately: those that go where the channel goes, and those that are pinned."""

    following: tuple[AgentEntry, ...] = ()
    pinned: tuple[AgentEntry, ...] = ()


@frozen
class Arrival:
    """How far a fleet has come: who serves the new pointer, who polls and does not, and who was not seen since."""

    arrived: tuple[AgentEntry, ...] = ()
    behind: tuple[AgentEntry, ...] = ()
    unseen: tuple[AgentEntry, ...] = ()

    @property
    def is_whole(self) -> bool:
        """Whether nobody is waited for."""
        return not self.behind and not self.unseen


def seen_lately(client: Client, channel: BundleReference) -> Fleet:
    """Find who follows a channel, and who is pinned in it."""
    found = [one for one in list_agents(client, channel) if one.age_s <= LATELY_S]
    return Fleet(
        tuple(one for one in found if not one.pinned),
        tuple(one for one in found if one.pinned),
    )


def wait_for(
    client: Client,
    channel: BundleReference,
    fleet: Fleet,
    *,
    pointer: tuple[int, int],
    timeout_s: float,
    tell: Callable[[Arrival], None],
) -> Arrival:  # a wait is these six facts
    """Wait until all that followed a channel before a move say that they serve the pointer, or a later one.

    `pointer` is its epoch and sequence. Gives how far they are once all have arrived, or the time is over; `tell` is
    told at every look.
    """
    awaited, began = {one.instance: one for one in fleet.following}, time.monotonic()
    while True:
        seen = awaited | {one.instance: one for one in list_agents(client, channel) if one.instance in awaited}
        spent_s = time.monotonic() - began
        found = _arrival(seen.values(), pointer, moved_s=spent_s)
        tell(found)
        if found.is_whole or spent_s >= timeout_s:
            return found
        time.sleep(min(_LOOK_EVERY_S, max(0.0, timeout_s - spent_s)))


def _arrival(agents: Iterable[AgentEntry], pointer: tuple[int, int], *, moved_s: float) -> Arrival:
    arrived, behind, unseen = [], [], []
    for one in agents:
        if (one.epoch, one.sequence) >= pointer:
            arrived.append(one)
        elif one.age_s < moved_s:
            behind.append(one)
        else:
            unseen.append(one)
    return Arrival(tuple(arrived), tuple(behind), tuple(unseen))
