"""Retiring a collection: only one that an operation of this namespace made, and that no channel names. By a worker."""

from contextlib import closing

from regalia.core.errors import ConflictError, NotFoundError
from regalia.core.fields import Fields
from regalia.core.strict_json import JsonObject
from regalia_registry.domain.access import Actor
from regalia_registry.domain.entries import Event
from regalia_registry.domain.operations import Operation, OperationKind
from regalia_registry.domain.questions import RetireWish
from regalia_registry.ports.store import Transaction
from regalia_registry.ports.vectors import CollectionEntry, Provider
from regalia_registry.services.context import Bench, Caller, Ports
from regalia_registry.services.steps.records import record
from regalia_registry.services.steps.targets import require_use

_PAGE = 200
_PUBLIC = "public"  # PostgreSQL's schema for names without one
_LEFT_ALONE = "what this registry did not make is dropped with the engine's own tools"


def retire_collection(ports: Ports, actor: Actor, operation: Operation, bench: Bench) -> JsonObject:
    """Drop a collection that a load made; the record says that it is gone once it is.

    What is to be dropped stands in the journal before it is, so that a worker that takes over ends the same way.

    Raises:
        NotFoundError: The target has no such collection.
        ConflictError: It is not ours, its load is not over, or a channel's pointer names it.
    """
    wish = RetireWish.parse(operation.request)
    with ports.store.read() as tx:
        target = require_use(tx, wish.target, namespace=operation.namespace)
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
    after = None
    while True:
        page = tx.channels.list_all(after=after, limit=_PAGE)
        for stored in page:
            pointer = stored.pointer
            if any(place.collection == collection for place in pointer.collections):
                raise ConflictError(
                    f'"{pointer.application}:{pointer.channel}" serves from "{collection}"',
                    hint="move the channel to other collections first",
                )
        if len(page) < _PAGE:
            return
        after = page[-1].pointer.application, page[-1].pointer.channel
