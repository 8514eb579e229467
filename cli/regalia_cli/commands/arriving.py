"""What `reg promote` and `reg restore` say of the agents: who will follow, and who has."""

import time
from collections.abc import Mapping

from regalia import fleet, moving
from regalia.core import times
from regalia.core.errors import RegaliaError
from regalia.core.references import BundleReference
from regalia_cli import output, progress
from regalia_cli.state import State


def seen(state: State, plan: moving.MovePlan) -> fleet.Fleet | None:
    """Find who follows the channel that is to be moved; None where that is not known: no move waits for it."""
    if plan.pointer.previous is None:
        return fleet.Fleet()
    try:
        return fleet.seen_lately(state.client, plan.channel)
    except RegaliaError as error:
        output.tell(f"  agents: not known, {error.message}")
        return None


def show(found: fleet.Fleet | None) -> None:
    """Say how many agents were seen within the last minute."""
    if found is not None and (found.following or found.pinned):
        pinned = f", {len(found.pinned)} pinned, which stay where they are" if found.pinned else ""
        output.tell(f"  agents: {len(found.following)} following{pinned}")


def wait(
    state: State, channel: BundleReference, pointer: tuple[int, int], found: fleet.Fleet, timeout_s: float
) -> Mapping[str, object]:
    """Wait until all that followed have arrived at an epoch and sequence, and say how many did, as JSON shows it."""
    began = time.monotonic()
    with progress.counted() as tell:
        arrival = fleet.wait_for(
            state.client,
            channel,
            found,
            pointer=pointer,
            timeout_s=timeout_s,
            tell=lambda now: tell(f"fleet: {len(now.arrived)} of {len(found.following)}"),
        )
    spent_s = time.monotonic() - began
    output.tell(f"  {told(arrival, pointer[1])}" + (f", after {spent_s:.0f} s" if found.following else ""))
    return {
        "arrived": len(arrival.arrived),
        "behind": [one.instance for one in arrival.behind],
        "unseen": [one.instance for one in arrival.unseen],
    }


def is_whole(arrived: object) -> bool:
    """Say whether all have arrived, by what `wait` gave; of a fleet of which nothing is known, nobody says so."""
    return isinstance(arrived, Mapping) and not arrived["behind"] and not arrived["unseen"]


def told(arrival: fleet.Arrival, sequence: int) -> str:
    """Put into words how far a fleet has come."""
    whole = len(arrival.arrived) + len(arrival.behind) + len(arrival.unseen)
    words = [f"fleet: {len(arrival.arrived)} of {whole} on sequence {sequence}" if whole else "fleet: nobody follows"]
    if arrival.behind:
        words.append(f"{len(arrival.behind)} poll and serve an older one")
    if arrival.unseen:
        since = max(times.parse(one.seen_at, what="seen_at") for one in arrival.unseen)
        words.append(f"{len(arrival.unseen)} not seen since {since:%H:%M} UTC")
    return "; ".join(words)
