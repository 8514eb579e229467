"""How fast a channel could go back: asked for by people, and demanded of a promotion where that is set."""

from regalia.core.names import ApplicationName
from regalia.wire.answers import ReadinessEntry
from regalia_registry.domain.access import Right
from regalia_registry.services.context import Caller, Ports
from regalia_registry.services.steps.lookups import find_pointer
from regalia_registry.services.steps.warmth import find_previous, way_back


def get_readiness(ports: Ports, caller: Caller, *, application: ApplicationName, channel: str) -> ReadinessEntry:
    """Plan the restore of the bundle that a channel named before and that is not on hold, and say what it would take.

    Raises:
        NotFoundError: There is no such channel.
    """
    caller.actor.require(Right.READ, on=application.namespace)
    with ports.store.read() as tx:
        current = find_pointer(tx, application, channel)
        require_warm = tx.placings.find(application, channel).require_warm
        previous = find_previous(tx, current)
        if previous is None:
            return ReadinessEntry(channel, require_warm=require_warm)
        plan = way_back(tx, previous)
    return ReadinessEntry(
        channel,
        require_warm=require_warm,
        version=previous.version,
        bundle=str(previous.pointer.bundle),
        state="unplaced" if plan.unplaced else "warm" if plan.is_warm else "cold",
        seconds=plan.seconds,
        unplaced=tuple(map(str, plan.unplaced)),
    )
