"""What is left to do once a channel has moved: it can wait, and it is done for ever."""

from contextlib import closing

from regalia.core.strict_json import JsonObject, JsonValue
from regalia_registry.domain.operations import Operation
from regalia_registry.domain.plans import MoveWish
from regalia_registry.services.context import Bench, Ports
from regalia_registry.services.steps.aliases import lead
from regalia_registry.services.steps.targets import get_target


def settle(ports: Ports, operation: Operation, bench: Bench) -> JsonObject:
    """Bring the aliases to where the channel is; gives the move's outcome.

    Raises:
        UnavailableError: An alias can't be set now; it is tried again.
    """
    wish = MoveWish.parse(operation.request)
    with ports.store.read() as tx:
        placings = tx.placings.find(wish.application, wish.channel).placings
    told: list[JsonValue] = []
    for placing in placings:
        if placing.alias is None:
            continue
        bench.tell({"step": "alias", "alias": placing.alias, "target": placing.target})
        with ports.store.read() as tx:
            target = get_target(tx, placing.target)
        with closing(bench.targets.connect(target, holder=bench.holder)) as provider:
            led = lead(ports.store, provider, wish.application, wish.channel, placing)
        if led is not None:
            told.append({"alias": led.alias, "collection": led.collection, "seconds": round(led.seconds, 4)})
    return {**(operation.outcome or {}), "aliases": told}
