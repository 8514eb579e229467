"""Adopting a collection that an application made and writes into: from then on a channel serves it. Run by a worker."""

from contextlib import closing
from dataclasses import replace
from datetime import timedelta

from regalia.core import times
from regalia.core.bundle import BundleIndex
from regalia.core.errors import ConflictError, NotFoundError, UnsupportedError
from regalia.core.strict_json import JsonObject, JsonValue
from regalia_registry.domain.access import Actor
from regalia_registry.domain.adoption import AdoptWish
from regalia_registry.domain.operations import Operation, OperationState, Target
from regalia_registry.domain.placing import ADOPTED, Collection, CollectionState, Mode, Placing, written
from regalia_registry.domain.plans import Member
from regalia_registry.domain.refusals import alias_taken
from regalia_registry.ports.serving import Adopting, Adoption, Serving
from regalia_registry.ports.store import Transaction
from regalia_registry.ports.vectors import Provider
from regalia_registry.services.context import Bench, Paused, Ports
from regalia_registry.services.steps.beginning import begin_collection
from regalia_registry.services.steps.planning import snapshots_of
from regalia_registry.services.steps.pointers import bound_collections
from regalia_registry.services.steps.settling import end_prepared
from regalia_registry.services.steps.targets import require_use
from regalia_registry.services.steps.uses import all_collections
from regalia_registry.services.steps.vouching import vouch

_WAITS = timedelta(hours=24)
_GOING_ON = {CollectionState.BUILDING, CollectionState.READY}
_BEGUN = "it is ours already, and no channel serves it: nothing changes for its applications"


def adopt_collection(ports: Ports, actor: Actor, operation: Operation, bench: Bench) -> JsonObject | Paused:
    """Adopt a collection, and offer the channel's pointer that names it; or tell what that would mean.

    What is adopted stays so, whoever signs: its application goes on under the name that it says.

    Raises:
        ConflictError: It is ours already, or nobody signed in time.
        UnsupportedError: It can't be adopted, and why.
    """
    ended = end_prepared(ports, actor, operation, bench, kept="the collection is adopted, and goes on")
    if ended is not None:
        return ended
    wish = AdoptWish.parse(operation.request)
    with ports.store.read() as tx:
        target = require_use(tx, wish.target, namespace=operation.namespace)
        member = _member(tx, wish)
    bench.tell({"step": "connecting", "target": target.name})
    with closing(bench.targets.connect(target, holder=bench.holder)) as provider:
        adoption = _adoption_of(provider, target)
        begun = _begun(ports, operation, provider, wish)
        if wish.move.is_plan:
            return {"consequences": [_BEGUN] if begun else [*adoption.consequences(wish.collection)]}
        if begun is not None:
            with ports.store.read() as tx:
                _require_free(tx, wish, _alias_of(wish, begun))
        else:
            begun = _begin(ports, operation, bench, wish, member, target, provider)
        bench.tell({"step": "adopting", "collection": wish.collection})
        adoption.adopt(wish.collection, into=begun.name, mark=begun.mark)
        table = provider.collections.describe(begun.name).schema.engine.get("table")
    adopted = replace(
        begun,
        state=CollectionState.READY,
        table=table if isinstance(table, str) else None,
        verified_at=ports.shared_now(),
    )
    return _offered(ports, operation, bench, wish, member, adopted)


def _member(tx: Transaction, wish: AdoptWish) -> Member:
    """Find the snapshot that the channel's bundle pins in the slot."""
    current = tx.channels.find(wish.move.application, wish.move.channel)
    if current is None or current.pointer.bundle != wish.move.bundle:
        raise ConflictError(f'"{wish.move.subject}" has moved meanwhile', hint="ask again")
    bundle = tx.bundles.get_by_digest(wish.move.application, digest=wish.move.bundle)
    members = snapshots_of(tx, BundleIndex.parse(bundle.index))
    found = next((one for one in members if one.slot == wish.slot), None)
    if found is None:
        raise NotFoundError(
            f'the bundle of "{wish.move.subject}" has no "{wish.slot}"',
            hint="take a snapshot of the collection, make a bundle with it, and promote that first",
        )
    others = [one for one in members if one.slot != wish.slot]
    placed = {place.slot for place in current.pointer.collections}
    lacking = [str(one.slot) for one in others if one.slot not in placed]
    if lacking:
        raise ConflictError(
            f'"{wish.move.subject}" does not place {", ".join(lacking)}', hint="place the others first: reg channel set"
        )
    return found


def _adoption_of(provider: Provider, target: Target) -> Adoption:
    if not isinstance(provider, Adopting):
        raise UnsupportedError(
            f'collections of "{target.name}" can\'t be adopted', hint="take a snapshot of it, and place that"
        )
    return provider.adoption


def _begun(ports: Ports, operation: Operation, provider: Provider, wish: AdoptWish) -> Collection | None:
    """Find what was adopted under this name, or begun to be, by a worker before or for a pointer that nobody signed."""
    with ports.store.read() as tx:
        there = [one for one in all_collections(tx) if one.is_adopted and one.state in _GOING_ON]
        ours = [one for one in there if (one.target, one.namespace) == (wish.target, operation.namespace)]
        asked = {one.id: AdoptWish.parse(tx.operations.get(one.operation).request).alias for one in ours}
        served = bound_collections(tx)
    is_anothers = _is_anothers(provider, wish.alias)
    for one in sorted(ours, key=lambda one: (one.state is CollectionState.BUILDING, one.id)):
        is_to_come = one.state is CollectionState.BUILDING or not is_anothers
        if one.name == wish.collection or (asked[one.id] == wish.alias and is_to_come):
            return None if (one.target, one.name) in served else one
    return None


def _is_anothers(provider: Provider, alias: str) -> bool:
    """Say whether something has the name that is no alias of ours: what its application made, or has made since."""
    if isinstance(provider, Serving):
        try:
            provider.aliases.get(alias)
        except ConflictError:
            return True
    return False


def _begin(
    ports: Ports,
    operation: Operation,
    bench: Bench,
    wish: AdoptWish,
    member: Member,
    target: Target,
    provider: Provider,
) -> Collection:  # all that a collection's row says
    """Choose the name that it will have, before anything is changed; from then on nothing of ours drops it.

    Raises:
        ConflictError: Another channel moves an alias of its name.
        UnsupportedError: It can't be adopted, and why.
    """
    adoption = _adoption_of(provider, target)
    adoption.consequences(wish.collection)
    schema = provider.collections.describe(wish.collection).schema.digest
    made = begin_collection(ports, operation, target, provider, member, logical=wish.logical, schema=schema)
    chosen = replace(made, name=adoption.renamed(wish.collection, into=made.name), marker=ADOPTED)
    with ports.store.note() as tx:
        bench.fence(tx)
        _require_free(tx, wish, _alias_of(wish, chosen))
        tx.collections.add(chosen)
    return chosen


def _alias_of(wish: AdoptWish, chosen: Collection) -> str | None:
    """Give the name that is an alias from then on; None where the engine can't rename."""
    return None if chosen.name == wish.collection else wish.alias


def _require_free(tx: Transaction, wish: AdoptWish, alias: str | None) -> None:
    for channel in tx.placings.list():
        is_this = (channel.application, channel.channel) == (wish.move.application, wish.move.channel)
        for one in channel.placings:
            is_taken = alias is not None and (one.target, one.alias) == (wish.target, alias)
            if is_taken and not (is_this and one.slot == wish.slot):
                raise alias_taken(wish.target, str(alias))


def _offered(
    ports: Ports, operation: Operation, bench: Bench, wish: AdoptWish, member: Member, adopted: Collection
) -> Paused:
    """Offer the places that the channel's pointer will name; its slot is a live one once that is signed."""
    with ports.store.note() as tx:
        bench.fence(tx)
        tx.collections.update(adopted, expected=CollectionState.BUILDING)
        current = tx.channels.find(wish.move.application, wish.move.channel)
        others = [] if current is None else [one for one in current.pointer.collections if one.slot != wish.slot]
        rows = {str(one.slot): tx.collections.find(one.target, one.collection) for one in others}
    places = sorted([*others, adopted.place(wish.slot, member.digest)], key=lambda one: str(one.slot))
    steps: list[JsonValue] = [
        {"slot": slot, "mode": str(Mode.FROZEN if row is not None and row.sealed else Mode.LIVE)}
        for slot, row in rows.items()
    ]
    steps.append({"slot": str(wish.slot), "mode": str(Mode.LIVE)})
    until = ports.shared_now() + _WAITS
    collections: list[JsonValue] = [{**place.written()} for place in places]
    placing = Placing(wish.slot, wish.target, wish.logical, Mode.LIVE, _alias_of(wish, adopted))
    outcome: JsonObject = {"steps": steps, "collections": collections, "placing": written(placing)}
    vouched = vouch(ports, operation, places)
    return Paused(OperationState.PREPARED, {**outcome, "until": times.write(until), "vouched": vouched}, until)
