"""Letting a collection go: retiring it where nothing uses it, and dropping it once that is certain for everybody."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from regalia.core.digest import Digest
from regalia.core.errors import ConflictError, UnavailableError
from regalia.core.manifest import Manifest
from regalia_registry.domain.entries import Event
from regalia_registry.domain.placing import Collection, CollectionState
from regalia_registry.domain.retention import Decision, Fate, Uses, decide
from regalia_registry.ports.serving import Serving
from regalia_registry.ports.store import Transaction
from regalia_registry.ports.vectors import Provider
from regalia_registry.services.context import Bench, Caller, Ports
from regalia_registry.services.steps.records import record
from regalia_registry.services.steps.uses import Seen, aliased_on, aliases_on, uses_of

_GOING = {CollectionState.RETIRING, CollectionState.DROPPED}


def layers_of(ports: Ports, collection: Collection) -> tuple[int, int]:
    """Say how many bytes a collection's snapshot has, and how many of its files are gone; all, where it is unknown."""
    with ports.store.read() as tx:
        stored = tx.artifacts.find_by_digest(collection.namespace, digest=collection.snapshot)
    if stored is None:
        return 0, 1
    sizes: dict[Digest, int] = {one.digest: one.size_bytes for one in Manifest.parse(stored.manifest).descriptors}
    return sum(sizes.values()), sum(ports.blobs.stat(digest=one) is None for one in sizes)


def judge(ports: Ports, collection: Collection, uses: Uses, *, is_asked: bool = False) -> Decision:
    """Decide on a collection; one that could not be made again stays."""
    decision = decide(collection, uses, ports.retention, now=ports.shared_now(), is_asked=is_asked)
    if decision.fate is Fate.RETIRE and collection.state is CollectionState.READY:
        _, gone = layers_of(ports, collection)
        if gone:
            return Decision(Fate.KEEP, f"it could not be made again: files of its snapshot are gone: {gone}")
    return decision


def retire(
    ports: Ports,
    caller: Caller,
    bench: Bench,
    ids: Iterable[str],
    seen: Seen,
    *,
    is_asked: bool = False,
) -> Mapping[str, Decision]:
    """Retire those that nothing uses at this very moment; gives what was decided on each, by its id.

    Whoever binds one demands that it is ready, in a transaction too: of the two, the later one loses.
    """
    decided: dict[str, Decision] = {}
    now = ports.shared_now()
    with ports.store.write(caller.actor) as tx:
        bench.fence(tx)
        uses = uses_of(tx, seen, bundles=ports.retention.bundles)
        for one in ids:
            there = tx.collections.get(one)
            if there.state is CollectionState.DROPPED:
                continue
            decided[one] = decide(there, uses, ports.retention, now=now, is_asked=is_asked)
            if decided[one].fate is Fate.RETIRE:
                _retire(tx, there)
                record(ports, caller, tx, Event("collection.retiring", f"target/{there.target}/{there.name}"))
        if not any(decision.fate is Fate.RETIRE for decision in decided.values()):
            record(ports, caller, tx, Event("collections.kept", f"operation/{bench.holder.operation}"))
    return decided


def require_unaliased(ports: Ports, provider: Provider, collection: Collection) -> None:
    """Refuse to drop what an alias has come to lead to: its readers would go with it.

    Raises:
        ConflictError: One does.
    """
    with ports.store.read() as tx:
        aliases = aliases_on(tx, collection.target)
    aliased = aliased_on(provider, collection.target, aliases)
    alias = aliased.get((collection.target, collection.name))
    if alias is not None:
        raise ConflictError(f'the alias "{alias}" leads to it', hint="move its channel, and collect garbage again")


def drop(ports: Ports, caller: Caller, bench: Bench, provider: Provider, collection: Collection) -> None:
    """Drop a retiring collection, and see that it is gone; its name stays in the catalog, and is never used again.

    Aliases of ours that no channel moves any more, and that lead to it still, go before it.

    Raises:
        ConflictError: It is not retiring, or somebody's view or key depends on it; or something else has its name: ours
            is gone, and the other is left alone.
        UnavailableError: It is still there.
    """
    with ports.store.read() as tx:
        state = tx.collections.get(collection.id).state
    if state not in _GOING:
        raise ConflictError(f'"{collection.name}" is {state}, and is not dropped', hint="reg gc --dry-run says why")
    bench.tell({"step": "dropping", "target": collection.target, "collection": collection.name})
    found: ConflictError | None = None
    try:
        _remove_aliases(bench, provider, collection)
        provider.collections.drop(collection.name, mark=collection.mark)
    except ConflictError as error:
        found = error
    if any(one.mark == collection.mark for one in provider.collections.list()):
        if found is not None:
            raise found
        raise UnavailableError(f'"{collection.name}" is still there', hint="look at the engine; reg gc tries again")
    with ports.store.write(caller.actor) as tx:
        bench.fence(tx)
        there = tx.collections.get(collection.id)
        tx.collections.update(replace(there, state=CollectionState.DROPPED), expected=CollectionState.RETIRING)
        record(ports, caller, tx, Event("collection.retired", f"target/{collection.target}/{collection.name}"))
    if found is not None:
        raise found


def _remove_aliases(bench: Bench, provider: Provider, collection: Collection) -> None:
    """Remove those that were given up: whoever drops it has seen that no channel's leads there."""
    if not isinstance(provider, Serving):
        return
    for alias in provider.aliases.leading_to(collection.name):
        bench.tell({"step": "removing an alias", "target": collection.target, "alias": alias})
        provider.aliases.remove(alias)


def _retire(tx: Transaction, there: Collection) -> None:
    if not tx.collections.update(replace(there, state=CollectionState.RETIRING), expected=there.state):
        raise UnavailableError(f'"{there.name}" was changed meanwhile', hint="try again in a moment")
