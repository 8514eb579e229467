"""What is left to do of a move that was prepared: once its channel has moved, it is tried until it is done."""

from contextlib import closing

from regalia.core.digest import Digest
from regalia.core.errors import ConflictError
from regalia.core.strict_json import JsonObject, JsonValue
from regalia_registry.domain.access import Actor
from regalia_registry.domain.operations import Operation, OperationState
from regalia_registry.domain.plans import MoveWish
from regalia_registry.domain.series import ALIAS_LAG, MOVE_SECONDS, SETTLE
from regalia_registry.ports.counting import observe
from regalia_registry.services.context import Bench, Ports
from regalia_registry.services.steps.aliases import lead
from regalia_registry.services.steps.course import ALIASES, LEFTOVER, crossing
from regalia_registry.services.steps.leftovers import keep_leftover
from regalia_registry.services.steps.lookups import find_pointer
from regalia_registry.services.steps.movejournal import MoveJournal
from regalia_registry.services.steps.pointers import left_open
from regalia_registry.services.steps.targets import get_target


def end_prepared(ports: Ports, actor: Actor, operation: Operation, bench: Bench, *, kept: str) -> JsonObject | None:
    """Bring a move to its end that was prepared before; None where it is still to be prepared.

    `kept` says what is there for who asks again.

    Raises:
        ConflictError: Nobody signed it in time.
        UnavailableError: It is committed, and an engine does not answer; it is tried again.
    """
    if operation.state is OperationState.COMMITTED:
        return _settled(ports, actor, operation, bench)
    if operation.state is OperationState.PREPARED:
        bench.tell({"step": "ending"})
        raise ConflictError("nobody signed it in time", hint=f"ask again: {kept}")
    return None


def _settled(ports: Ports, actor: Actor, operation: Operation, bench: Bench) -> JsonObject:
    """Bring the aliases to where the channel is, and keep what was written to what it left; gives the outcome."""
    with crossing(ALIASES, operation.id):
        aliases = _lead(ports, MoveWish.parse(operation.request), bench)
    with crossing(LEFTOVER, operation.id):
        leftovers = _keep(ports, actor, operation, bench)
    spent_s = _since_moved(ports, MoveWish.parse(operation.request))
    observe(ports.counts, MOVE_SECONDS, str(operation.kind), SETTLE, spent_s=spent_s)
    return {**(operation.outcome or {}), "aliases": aliases, "leftovers": leftovers}


def _lead(ports: Ports, wish: MoveWish, bench: Bench) -> list[JsonValue]:
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
            led = lead(ports, provider, wish.application, wish.channel, placing)
        if led is not None:
            if led.is_changed:
                observe(ports.counts, ALIAS_LAG, spent_s=_since_moved(ports, wish))
            told.append({"alias": led.alias, "collection": led.collection, "seconds": round(led.seconds, 4)})
    return told


def _since_moved(ports: Ports, wish: MoveWish) -> float:
    """Say how many seconds ago the channel moved."""
    with ports.store.read() as tx:
        current = find_pointer(tx, wish.application, wish.channel)
    return (ports.clock.now() - current.stored_at).total_seconds()


def _keep(ports: Ports, actor: Actor, operation: Operation, bench: Bench) -> list[JsonValue]:
    left = (operation.outcome or {}).get("left")
    if left is None:
        return []
    journal = MoveJournal.of(ports, operation, bench)
    with ports.store.read() as tx:
        collections = left_open(tx, Digest.parse(str(left)))
    return [keep_leftover(ports, actor, operation, bench, journal, one) for one in collections]
