"""Preparing a move: every collection that its channel will name is there, sealed and proved. Run by a worker.

Nothing that agents read changes here: the channel moves once its signed pointer is committed, in `moves`.
"""

from collections.abc import Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

from regalia.core import times
from regalia.core.errors import ConflictError, DigestError, RegaliaError, UnavailableError
from regalia.core.names import ArtifactName, Kind
from regalia.core.statements import Move
from regalia.core.strict_json import JsonObject
from regalia_registry.domain.access import Actor
from regalia_registry.domain.operations import Operation, OperationState, Target
from regalia_registry.domain.placing import Collection, CollectionState, Mode
from regalia_registry.domain.plans import MoveWish, Plan, Step
from regalia_registry.ports.serving import Serving, Standing
from regalia_registry.ports.store import Transaction
from regalia_registry.ports.vectors import Provider
from regalia_registry.services.context import Bench, Paused, Ports
from regalia_registry.services.steps.building import Building
from regalia_registry.services.steps.course import OFFER, OPEN, PLAN, crossing
from regalia_registry.services.steps.movejournal import MoveJournal, closed_by
from regalia_registry.services.steps.obstacles import require_possible
from regalia_registry.services.steps.planning import plan_of
from regalia_registry.services.steps.pointers import open_collections, taken_collections
from regalia_registry.services.steps.sealing import is_intact, looks_intact, seals_of
from regalia_registry.services.steps.settling import end_prepared
from regalia_registry.services.steps.snapshots import open_snapshot
from regalia_registry.services.steps.targets import get_target, require_use
from regalia_registry.services.steps.vouching import vouch

_WAITS = {Move.PROMOTE: timedelta(hours=24), Move.RESTORE: timedelta(hours=1), Move.REBIND: timedelta(hours=1)}


def prepare_move(ports: Ports, actor: Actor, operation: Operation, bench: Bench) -> JsonObject | Paused:
    """Bring a move on: to where it waits for its signature, or, once that is committed, to its end.

    Raises:
        ConflictError: The plan can't be carried out as a whole, or nobody signed in time; nothing has moved.
    """
    ended = end_prepared(ports, actor, operation, bench, kept="what was made is there, and warm")
    if ended is not None:
        return ended
    wish = MoveWish.parse(operation.request)
    with crossing(PLAN, operation.id), ports.store.read() as tx:
        plan = plan_of(tx, wish)
        left = open_collections(tx, wish.application, wish.channel) if wish.seals_first else []
        names = {step.placing.target for step in plan.steps} | {one.target for one in left}
        targets = {name: require_use(tx, name, namespace=operation.namespace) for name in names}
    _require_placed(plan, wish)
    with ExitStack() as opened:
        providers = {name: opened.enter_context(closing(_connect(bench, target))) for name, target in targets.items()}
        preparing = _Preparing(ports, operation, bench, MoveJournal.of(ports, operation, bench), targets, providers)
        plan = preparing.seen(plan)
        bench.tell({"step": "planned", **plan.written()})
        require_possible(ports, wish, plan, providers)
        if wish.is_plan:
            return plan.written()
        chosen = {step: preparing.collection(step) for step in plan.steps}
        if wish.move is None:
            return {**plan.written(), "collections": [one.name for one in chosen.values()]}
        preparing.require_intact(list(chosen.values()))
        with crossing(OPEN, operation.id):
            opened_ones = [preparing.opened(step, one) for step, one in chosen.items()]
        with crossing(OFFER, operation.id):
            preparing.close_first(left)
    places = [one.place(step.member.slot, step.member.digest) for step, one in zip(chosen, opened_ones, strict=True)]
    outcome: JsonObject = {**plan.written(), "collections": [{**place.written()} for place in places]}
    outcome["vouched"] = vouch(ports, operation, places)
    until = ports.shared_now() + _WAITS[wish.move]
    return Paused(OperationState.PREPARED, {**outcome, "until": times.write(until)}, until)


def unmake_collections(ports: Ports, operation: Operation, bench: Bench) -> None:
    """Drop what a move that was given up had begun, and let writers in that it had stopped; what is proved stays.

    Raises:
        UnavailableError: Something is still there, or closed; the message names it.
    """
    _let_in(ports, operation, bench)
    with ports.store.read() as tx:
        begun = [one for one in tx.collections.of_operation(operation.id) if one.state is CollectionState.BUILDING]
    for one in begun:
        try:
            with ports.store.read() as tx:
                target = get_target(tx, one.target)
            with closing(bench.targets.connect(target, holder=bench.holder)) as provider:
                provider.collections.drop(one.name, mark=one.mark)
        except RegaliaError as error:
            raise UnavailableError(
                f'its half-made collection "{one.name}" is left in the target "{one.target}": {error.message}',
                hint="nothing reads it, and reg gc drops it",
            ) from error
        with ports.store.note() as tx:
            bench.fence(tx)
            tx.collections.update(replace(one, state=CollectionState.DROPPED), expected=CollectionState.BUILDING)


def _let_in(ports: Ports, operation: Operation, bench: Bench) -> None:
    wish = MoveWish.parse(operation.request)
    for closed in closed_by(operation):
        with ports.store.read() as tx:
            one = tx.collections.get(closed)
            target = get_target(tx, one.target)
            served = {there.id for there in open_collections(tx, wish.application, wish.channel)}
        if closed in served:
            try:
                with closing(bench.targets.connect(target, holder=bench.holder)) as provider:
                    seals_of(provider).unseal(one.name, mark=one.mark)
            except RegaliaError as error:
                raise UnavailableError(
                    f'writers of "{one.name}" in "{one.target}" are still stopped: {error.message}',
                    hint="a worker lets them in once the engine answers",
                ) from error


@dataclass(frozen=True, slots=True)
class _Preparing:
    """One attempt of one worker."""

    ports: Ports
    operation: Operation
    bench: Bench
    journal: MoveJournal
    targets: Mapping[str, Target]
    providers: Mapping[str, Provider]

    def seen(self, plan: Plan) -> Plan:
        """Look at what the catalog calls warm: a step whose collection is not as it was makes another."""
        return replace(plan, steps=tuple(map(self._seen, plan.steps)))

    def collection(self, step: Step) -> Collection:
        """Give the collection of a slot: the warm one, else a new one."""
        return self._built(step) if step.warm is None else step.warm

    def require_intact(self, collections: list[Collection]) -> None:
        """Look at all of them once more, right before they are offered to be signed.

        Raises:
            ConflictError: Somebody opened one of them.
        """
        for one in collections:
            if not self._is_intact(one):
                raise ConflictError(f'somebody wrote into "{one.name}" meanwhile', hint="ask again: it is made anew")

    def close_first(self, collections: list[Collection]) -> None:
        """Stop the writers of what the channel will leave: nothing is written between the commit and the seal."""
        if collections:
            self.journal.keep_closed([one.id for one in collections])
        for one in collections:
            self.bench.tell({"step": "sealing first", "collection": one.name})
            seals_of(self.providers[one.target]).seal(one.name, mark=one.mark)

    def opened(self, step: Step, collection: Collection) -> Collection:
        """Let the application write into a live collection: the last thing before it may be served.

        Its row says so first: the reconciler seals what is open and should not be.
        """
        if step.placing.mode is Mode.FROZEN:
            return collection
        opened = self.journal.change(collection, self._opened)
        seals_of(self.providers[collection.target]).unseal(collection.name, mark=collection.mark)
        return opened

    def _opened(self, tx: Transaction, there: Collection) -> Collection:
        """Take a collection for this channel alone, where no other has come to it meanwhile."""
        if not there.is_warm or (there.target, there.name) in taken_collections(tx):
            raise UnavailableError(f'"{there.name}" is another channel\'s now', hint="another is made in its place")
        return replace(there, sealed=False)

    def _seen(self, step: Step) -> Step:
        if step.warm is None or not isinstance(self.providers[step.placing.target], Serving):
            return step
        if self._is_intact(step.warm):
            return step
        self.bench.tell({"step": "drifted", "slot": str(step.member.slot), "collection": step.warm.name})
        return replace(step, warm=None, seconds=None)

    def _built(self, step: Step) -> Collection:
        """Build a collection; one that comes out wrong is put aside, and built once more under another name."""
        artifact = ArtifactName(self.operation.namespace, Kind.SNAPSHOT, step.member.name)
        snapshot = open_snapshot(self.ports, artifact, version=step.member.version)
        provider = self.providers[step.placing.target]
        while True:
            collection = self.journal.collection(step, self.targets[step.placing.target], snapshot, provider)
            if collection.is_warm and self._is_intact(collection):
                return collection
            began = self.ports.clock.monotonic()
            building = Building(
                self.ports, self.journal.bench_of(str(step.member.slot), collection), snapshot, provider, collection
            )
            try:
                standing = building.run(self.journal.loads.get(collection.id))
            except (ConflictError, DigestError) as error:
                self.bench.tell({"step": "came out wrong", "collection": collection.name, "why": error.message})
                if not self.journal.give_up(step, collection):
                    raise
                continue
            seconds = max(1, round(self.ports.clock.monotonic() - began))
            made = partial(self._made, building.table, standing, seconds, self.ports.shared_now())
            return self.journal.change(collection, made)

    def _made(
        self, table: str | None, standing: Standing, seconds: int, now: datetime, _: Transaction, there: Collection
    ) -> Collection:
        """Give a collection as it is once it is proved."""
        return replace(
            there,
            state=CollectionState.READY,
            table=table,
            sealed=standing.sealed,
            marker=standing.marker,
            seconds=seconds,
            verified_at=now,
        )

    def _is_intact(self, collection: Collection) -> bool:
        """Say whether a collection is what it was when it was proved; a plan changes nothing to know that."""
        provider = self.providers[collection.target]
        if MoveWish.parse(self.operation.request).is_plan:
            return looks_intact(provider, collection)
        return is_intact(self.ports.store, provider, collection, fence=self.bench.fence)


def _connect(bench: Bench, target: Target) -> Provider:
    bench.tell({"step": "connecting", "target": target.name})
    return bench.targets.connect(target, holder=bench.holder)


def _require_placed(plan: Plan, wish: MoveWish) -> None:
    if plan.unplaced:
        slots = ", ".join(map(str, plan.unplaced))
        placing = f"--snapshot {plan.unplaced[0].name}=TARGET"
        raise ConflictError(
            f'"{wish.subject}" does not place {slots}', hint=f"reg channel set {wish.subject} {placing}, or --unplaced"
        )
