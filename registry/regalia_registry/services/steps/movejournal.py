"""What a move's workers leave to each other: which collection each slot got, and how far it is loaded."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from regalia.core.errors import UnavailableError
from regalia.core.fields import Fields
from regalia.core.statements import MAX_COLLECTIONS
from regalia.core.strict_json import JsonObject, JsonValue
from regalia_registry.domain.operations import Operation, Target
from regalia_registry.domain.placing import Collection, CollectionState
from regalia_registry.domain.plans import Step
from regalia_registry.ports.store import Transaction
from regalia_registry.ports.vectors import Provider
from regalia_registry.services.context import Bench, Ports
from regalia_registry.services.steps.beginning import begin_collection
from regalia_registry.services.steps.snapshots import OpenedSnapshot

_THERE = {CollectionState.BUILDING, CollectionState.READY}


def closed_by(operation: Operation) -> tuple[str, ...]:
    """Name the live collections whose writers a move has stopped, by id, before its channel leaves them."""
    fields = Fields(operation.journal or {}, "the move's journal")
    return fields.texts("closed", maximum=MAX_COLLECTIONS) if fields.has("closed") else ()


@dataclass
class MoveJournal:
    """The collections that an operation makes, by slot, and what is known of their loading, by collection.

    `failed` are those that came out wrong, by slot: a second one is not tried a third time. `closed` are live ones of
    the channel whose writers were stopped before it leaves them.
    """

    ports: Ports
    operation: Operation
    bench: Bench
    made: dict[str, str]
    failed: dict[str, str]
    loads: dict[str, JsonObject]
    closed: tuple[str, ...] = ()

    @classmethod
    def of(cls, ports: Ports, operation: Operation, bench: Bench) -> "MoveJournal":
        """Read what the worker before has left."""
        fields = Fields(operation.journal or {"made": {}, "failed": {}, "loads": {}}, "the move's journal")
        made, failed, loads = fields.child("made"), fields.child("failed"), fields.child("loads")
        return cls(
            ports,
            operation,
            bench,
            {slot: made.text(slot) for slot in made.raw},
            {slot: failed.text(slot) for slot in failed.raw},
            {one: loads.child(one).raw for one in loads.raw},
            closed_by(operation),
        )

    def collection(self, step: Step, target: Target, snapshot: OpenedSnapshot, provider: Provider) -> Collection:
        """Give the collection that is being made for a slot, or choose a name that was never used, and keep it."""
        made = self.made.get(str(step.member.slot))
        if made is not None:
            with self.ports.store.read() as tx:
                there = tx.collections.get(made)
            if there.state in _THERE:
                return there
        logical, schema = step.placing.logical, snapshot.schema.digest
        chosen = begin_collection(
            self.ports, self.operation, target, provider, step.member, logical=logical, schema=schema
        )
        self.made[str(step.member.slot)] = chosen.id
        with self.ports.store.note() as tx:
            self.bench.fence(tx)
            tx.collections.add(chosen)
            there_now = tx.operations.get(self.operation.id)
            tx.operations.update(replace(there_now, journal=self._written()), epoch=there_now.epoch)
        return chosen

    def change(self, collection: Collection, change: Callable[[Transaction, Collection], Collection]) -> Collection:
        """Change how a collection stands, while the operation is ours; `change` is given how it stands now. Gives it.

        Raises:
            UnavailableError: It is being retired, or `change` says so; what comes next finds another.
        """
        with self.ports.store.note() as tx:
            self.bench.fence(tx)
            there = tx.collections.get(collection.id)
            if there.state is not collection.state:
                raise UnavailableError(f'"{there.name}" is being retired', hint="another is made in its place")
            changed = change(tx, there)
            tx.collections.update(changed, expected=there.state)
        return changed

    def keep_closed(self, collections: Sequence[str]) -> None:
        """Record whose writers are about to be stopped."""
        self.closed = tuple(collections)
        self.bench.keep(self._written())

    def give_up(self, step: Step, collection: Collection) -> bool:
        """Put a collection aside that came out wrong, for a look; False where it is the second one."""
        slot = str(step.member.slot)
        is_first = slot not in self.failed
        self.failed[slot] = self.made.pop(slot)
        self.bench.keep(self._written())
        now = self.ports.shared_now()
        self.change(collection, lambda _, one: replace(one, state=CollectionState.RETIRING, unbound_at=now))
        return is_first

    def bench_of(self, slot: str, collection: Collection) -> Bench:
        """Give a bench whose progress names the slot, and whose journal is the part of this collection."""

        def tell(body: JsonObject) -> None:
            self.bench.tell({**body, "slot": slot})

        def keep(journal: JsonObject) -> None:
            self.loads[collection.id] = journal
            self.bench.keep(self._written())

        folder = self.bench.folder / collection.id
        folder.mkdir()
        return replace(self.bench, folder=folder, tell=tell, keep=keep)

    def _written(self) -> JsonObject:
        closed: list[JsonValue] = [*self.closed]
        return {"made": dict(self.made), "failed": dict(self.failed), "loads": dict(self.loads), "closed": closed}
