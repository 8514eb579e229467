"""Retiring a collection: only one that an operation of this namespace made, and that nothing uses. By a worker.

One that was made for a channel has a row: it is retired first, and dropped a lease later. One that a load made is its
maker's, who may write into it: it has none, and nothing but this retires it.
"""

from contextlib import closing
from dataclasses import dataclass

from regalia.core.errors import ConflictError, NotFoundError
from regalia.core.fields import Fields
from regalia.core.strict_json import JsonObject
from regalia_registry.domain.access import Actor
from regalia_registry.domain.entries import Event
from regalia_registry.domain.operations import Operation, OperationKind, OperationState, Target
from regalia_registry.domain.placing import Collection, CollectionState
from regalia_registry.domain.questions import RetireWish
from regalia_registry.domain.retention import Decision, Fate
from regalia_registry.ports.store import Transaction
from regalia_registry.ports.vectors import CollectionEntry, Provider
from regalia_registry.services.context import Bench, Caller, Paused, Ports
from regalia_registry.services.steps.dropping import drop, judge, require_unaliased, retire
from regalia_registry.services.steps.pointers import current_pointers
from regalia_registry.services.steps.records import record
from regalia_registry.services.steps.targets import require_use
from regalia_registry.services.steps.uses import Seen, aliased_on, aliases_on, reported_by_agents, uses_of

_PUBLIC = "public"  # PostgreSQL's schema for names without one
_LEFT_ALONE = "what this registry did not make is dropped with the engine's own tools"


def retire_collection(ports: Ports, actor: Actor, operation: Operation, bench: Bench) -> JsonObject | Paused:
    """Drop a collection that we made; the record says that it is gone once it is.

    What is to be dropped stands in the journal before it is, so that a worker that takes over ends the same way.

    Raises:
        NotFoundError: The target has no such collection.
        ConflictError: It is not ours, its load is not over, or something uses it.
    """
    wish = RetireWish.parse(operation.request)
    with ports.store.read() as tx:
        target = require_use(tx, wish.target, namespace=operation.namespace)
        row = _row(tx, wish)
    if row is not None:
        return _retire_row(_Retiring(ports, Caller(actor, operation.id), bench, target), operation, row)
    bench.tell({"step": "connecting", "target": wish.target})
    with closing(bench.targets.connect(target, holder=bench.holder)) as provider:
        if operation.journal is None:
            collection, mark = _ours(ports, operation.namespace, provider, wish)
            bench.keep({"collection": collection, "mark": mark})
        else:
            journal = Fields(operation.journal, "the operation's journal")
            collection, mark = journal.text("collection"), journal.text("mark")
        bench.tell({"step": "dropping"})
        with ports.store.read() as tx:
            _require_unnamed(tx, collection)
        provider.collections.drop(collection, mark=mark)
    with ports.store.write(actor) as tx:
        bench.fence(tx)
        record(
            ports, Caller(actor, operation.id), tx, Event("collection.retired", f"target/{wish.target}/{collection}")
        )
    return {"target": wish.target, "collection": collection, "retired": True}


@dataclass(frozen=True, slots=True)
class _Retiring:
    """What one attempt works with."""

    ports: Ports
    caller: Caller
    bench: Bench
    target: Target


def _row(tx: Transaction, wish: RetireWish) -> Collection | None:
    """Find the row of a collection, which is called by its schema or by its table in it."""
    found = tx.collections.find(wish.target, wish.collection)
    return found or tx.collections.find(wish.target, wish.collection.rpartition(".")[0])


def _retire_row(retiring: _Retiring, operation: Operation, row: Collection) -> JsonObject | Paused:
    """Retire a collection that was made for a channel, or, a lease later, drop it."""
    told: JsonObject = {"target": row.target, "collection": row.name, "retired": True}
    ports, caller, bench = retiring.ports, retiring.caller, retiring.bench
    if row.namespace != operation.namespace:
        raise ConflictError(f'"{row.name}" was made by no operation of "{operation.namespace}"', hint=_LEFT_ALONE)
    if row.state is CollectionState.DROPPED:
        return told
    bench.tell({"step": "connecting", "target": row.target})
    with closing(bench.targets.connect(retiring.target, holder=bench.holder)) as provider:
        if operation.journal is not None:
            require_unaliased(ports, provider, row)
            drop(ports, caller, bench, provider, row)
            return told
        with ports.store.read() as tx:
            aliases = aliases_on(tx, row.target)
            reported = reported_by_agents(tx)
        seen = Seen(aliased_on(provider, row.target, aliases), reported)
    with ports.store.read() as tx:
        uses = uses_of(tx, seen, bundles=ports.retention.bundles)
    _require_free(row, judge(ports, row, uses, is_asked=True))
    decided = retire(ports, caller, bench, [row.id], seen, is_asked=True)
    if row.id in decided:
        _require_free(row, decided[row.id])
    bench.keep({"dropping": row.id})
    return Paused(OperationState.RUNNING, told, ports.shared_now() + bench.lease.takeover)


def _require_free(row: Collection, decision: Decision) -> None:
    if decision.fate is Fate.KEEP:
        raise ConflictError(
            f'"{row.name}" is not retired: {decision.reason}', hint="reg gc --dry-run says of each collection why"
        )


def _ours(ports: Ports, namespace: str, provider: Provider, wish: RetireWish) -> tuple[str, str]:
    """Give the collection's own name and its mark, once all allows to drop it."""
    found = _found(provider, wish)
    if not found.mark:
        raise ConflictError(f'"{wish.collection}" was not made by this registry', hint=_LEFT_ALONE)
    with ports.store.read() as tx:
        made = _operation(tx, found.mark, namespace)
    if made is None:
        raise ConflictError(f'"{wish.collection}" was made by no operation of "{namespace}"', hint=_LEFT_ALONE)
    if not made.state.is_over:
        raise ConflictError(
            f'"{wish.collection}" is being loaded', hint=f"reg operation cancel {made.id}, and retire it then"
        )
    collection = Fields(made.journal or {}, "the load's journal").text("collection")
    if collection not in {found.name, found.name.rpartition(".")[0]}:
        raise ConflictError(f'"{wish.collection}" is not what its operation made', hint=_LEFT_ALONE)
    return collection, found.mark


def _found(provider: Provider, wish: RetireWish) -> CollectionEntry:
    """Find it by the name that the target lists, by its schema's, or by that of a table in `public`."""
    listed = provider.collections.list()
    for name in (wish.collection, f"{_PUBLIC}.{wish.collection}"):
        for one in listed:
            if name in {one.name, one.name.rpartition(".")[0]}:
                return one
    raise NotFoundError(
        f'"{wish.target}" has no collection "{wish.collection[:80]}"', hint=f"reg collection list {wish.target}"
    )


def _operation(tx: Transaction, mark: str, namespace: str) -> Operation | None:
    try:
        found = tx.operations.get(mark)
    except NotFoundError:
        return None
    return found if (found.namespace, found.kind) == (namespace, OperationKind.LOAD) else None


def _require_unnamed(tx: Transaction, collection: str) -> None:
    """Look at the current pointers of every application, whatever target they name: two may be one place.

    The name alone tells: what a load makes ends in characters of its operation.
    """
    for stored in current_pointers(tx):
        pointer = stored.pointer
        if any(place.collection == collection for place in pointer.collections):
            raise ConflictError(
                f'"{pointer.application}:{pointer.channel}" serves from "{collection}"',
                hint="move the channel to other collections first",
            )
