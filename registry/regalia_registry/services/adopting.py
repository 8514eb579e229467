"""Adopting a collection that an application made and writes into: from then on a channel serves it. Run by a worker."""

import base64
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
from regalia_registry.domain.placing import Collection, CollectionState, Mode, Placing
from regalia_registry.domain.plans import Member
from regalia_registry.ports.serving import Adopting, Adoption, Serving
from regalia_registry.ports.store import Transaction
from regalia_registry.ports.vectors import Provider
from regalia_registry.services.context import Bench, Paused, Ports
from regalia_registry.services.steps.planning import snapshots_of
from regalia_registry.services.steps.settling import settle
from regalia_registry.services.steps.targets import require_use
from regalia_registry.services.steps.vouching import vouch

_WAITS = timedelta(hours=24)
_SUFFIX_BYTES = 5
_ADOPTED = "adopted"  # a marker that no engine gives: its application has written into it all along


def adopt_collection(ports: Ports, actor: Actor, operation: Operation, bench: Bench) -> JsonObject | Paused:
    """Adopt a collection, and offer the channel's pointer that names it; or tell what that would mean.

    What is adopted stays so, whoever signs: its application goes on under the name that it says.

    Raises:
        ConflictError: It is ours already, or nobody signed in time.
        UnsupportedError: It can't be adopted, and why.
    """
    if operation.state is OperationState.COMMITTED:
        return settle(ports, actor, operation, bench)
    if operation.state is OperationState.PREPARED:
        bench.tell({"step": "ending"})
        raise ConflictError("nobody signed it in time", hint="ask again: the collection is adopted, and goes on")
    wish = AdoptWish.parse(operation.request)
    with ports.store.read() as tx:
        target = require_use(tx, wish.target, namespace=operation.namespace)
        member = _member(tx, wish)
    bench.tell({"step": "connecting", "target": target.name})
    with closing(bench.targets.connect(target, holder=bench.holder)) as provider:
        adoption = _adoption_of(provider, target)
        made = _made_before(ports, operation)
        if made is None:
            consequences: list[JsonValue] = [*adoption.consequences(wish.collection)]
            if wish.move.is_plan:
                return {"consequences": consequences}
            made = _planned(ports, operation, bench, wish, member, target, provider)
        bench.tell({"step": "adopting", "collection": wish.collection})
        name = adoption.adopt(wish.collection, into=made.name, mark=made.mark)
        schema = provider.collections.describe(name).schema
        table = schema.engine.get("table")
        has_alias = isinstance(provider, Serving) and name == made.name
    adopted = replace(
        made,
        name=name,
        state=CollectionState.READY,
        table=table if isinstance(table, str) else None,
        schema_digest=schema.digest,
        marker=_ADOPTED,
        verified_at=ports.clock.now(),
    )
    return _offered(ports, operation, bench, wish, adopted, wish.alias if has_alias else None)


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


def _made_before(ports: Ports, operation: Operation) -> Collection | None:
    """Find what a worker before has begun to adopt."""
    with ports.store.read() as tx:
        return next(iter(tx.collections.of_operation(operation.id)), None)


def _planned(
    ports: Ports,
    operation: Operation,
    bench: Bench,
    wish: AdoptWish,
    member: Member,
    target: Target,
    provider: Provider,
) -> Collection:  # all that a collection's row says
    """Choose the name that it will have, before anything is changed."""
    suffix = base64.b32encode(ports.ids.secret(_SUFFIX_BYTES)).decode("ascii").lower()
    chosen = Collection(
        id=ports.ids.new(),
        namespace=operation.namespace,
        target=target.name,
        provider=target.provider,
        logical=wish.logical,
        name=provider.physical_name(wish.logical, suffix),
        snapshot=member.digest,
        content_root=member.content_root,
        schema_digest=provider.collections.describe(wish.collection).schema.digest,
        rows=member.rows,
        operation=operation.id,
        made_at=ports.clock.now(),
    )
    with ports.store.note() as tx:
        bench.fence(tx)
        tx.collections.add(chosen)
    return chosen


def _offered(
    ports: Ports, operation: Operation, bench: Bench, wish: AdoptWish, adopted: Collection, alias: str | None
) -> Paused:
    """Make the channel's slot a live one, and offer the places that its pointer will name."""
    with ports.store.note() as tx:
        bench.fence(tx)
        tx.collections.update(adopted, expected=CollectionState.BUILDING)
        placings = tx.placings.find(wish.move.application, wish.move.channel)
        placing = Placing(wish.slot, wish.target, wish.logical, Mode.LIVE, alias)
        kept = [one for one in placings.placings if one.slot != wish.slot]
        sorted_ones = tuple(sorted([*kept, placing], key=lambda one: str(one.slot)))
        tx.placings.put(replace(placings, placings=sorted_ones))
        current = tx.channels.find(wish.move.application, wish.move.channel)
        others = [] if current is None else [one for one in current.pointer.collections if one.slot != wish.slot]
        places = sorted([*others, adopted.place(wish.slot, adopted.snapshot)], key=lambda one: str(one.slot))
        rows = {str(one.slot): tx.collections.find(one.target, one.collection) for one in others}
    steps: list[JsonValue] = [
        {"slot": slot, "mode": str(Mode.FROZEN if row is not None and row.sealed else Mode.LIVE)}
        for slot, row in rows.items()
    ]
    steps.append({"slot": str(wish.slot), "mode": str(Mode.LIVE)})
    until = ports.clock.now() + _WAITS
    written: list[JsonValue] = [{**place.written()} for place in places]
    outcome: JsonObject = {"steps": steps, "collections": written, "until": times.write(until)}
    outcome["vouched"] = vouch(ports, operation, places)
    return Paused(OperationState.PREPARED, outcome, until)
