"""What applications wrote into live collections that their channel has left: sealed, and kept as a snapshot."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace

from regalia.core.digest import Digest
from regalia.core.errors import ConflictError, NotFoundError, UnsupportedError
from regalia.core.kinds.snapshot import Embedding
from regalia.core.strict_json import JsonObject
from regalia_registry.domain.access import Actor
from regalia_registry.domain.operations import Operation, SnapshotWish
from regalia_registry.domain.placing import Collection, CollectionState
from regalia_registry.ports.store import Transaction
from regalia_registry.ports.vectors import Provider
from regalia_registry.services.context import Bench, Ports
from regalia_registry.services.steps.movejournal import MoveJournal
from regalia_registry.services.steps.pointers import bound_collections
from regalia_registry.services.steps.sealing import seals_of
from regalia_registry.services.steps.snapshots import OpenedSnapshot, open_snapshot
from regalia_registry.services.steps.snapshotting import take
from regalia_registry.services.steps.targets import get_target

_SUFFIX = "-leftover"


def left_open(tx: Transaction, left: Digest) -> list[Collection]:
    """List the live collections of a pointer that no channel names any more, and that nothing was kept of yet."""
    pointer = tx.channels.find_pointer(left)
    served = bound_collections(tx)
    found = [
        tx.collections.find(place.target, place.collection)
        for place in (() if pointer is None else pointer.pointer.collections)
        if (place.target, place.collection) not in served
    ]
    return [
        one
        for one in found
        if one is not None and one.state is CollectionState.READY and not one.sealed and one.leftover is None
    ]


def keep_leftover(
    ports: Ports, actor: Actor, operation: Operation, bench: Bench, journal: MoveJournal, left: Collection
) -> JsonObject:
    """Seal a collection that was left, and take a snapshot of what is in it; gives what was written, counted.

    Where nothing was written, it is what was released, and warm again. What is not there any more, or not ours, is told
    as lost; what no snapshot can hold is told, and stays, sealed.

    Raises:
        UnavailableError: The engine does not answer; it is tried again, and the collection is not retired before.
        ConflictError: Another worker has it, something stands beside it, or its rows moved; it is tried again too.
    """
    with ports.store.read() as tx:
        target = get_target(tx, left.target)
        stored = tx.artifacts.find_by_digest(left.namespace, digest=left.snapshot)
    base = None if stored is None else open_snapshot(ports, stored.artifact, version=stored.version)
    with closing(bench.targets.connect(target, holder=bench.holder)) as provider:
        lost = _lost(provider, left)
        if lost is None:
            seals_of(provider).seal(left.name, mark=left.mark)
            marker = seals_of(provider).standing(left.name, mark=left.mark).marker
    told: JsonObject = {"collection": left.name, "target": left.target}
    if lost is not None:
        _change(ports, bench, left, Collection.drifted)
        return {**told, "lost": lost}
    wish = SnapshotWish(left.target, left.name, f"{_name_of(base, left)}{_SUFFIX}", _embedding_of(base))
    about = replace(operation, request=wish.written(), journal=journal.loads.get(left.id))
    try:
        taken = take(ports, actor, about, journal.bench_of(left.logical, left), target, wish, base)
    except UnsupportedError as error:
        return {**told, "unkept": error.message}
    is_as_released = base is not None and taken["digest"] == str(base.stored.digest)
    kept = None if is_as_released else str(taken["reference"])
    _change(ports, bench, left, lambda there: replace(there, sealed=True, marker=marker, leftover=kept))
    removed = 0 if base is None else base.config.count - int(str(taken["rows_kept"]))
    counted: JsonObject = {"rows": taken["count"], "written": taken["rows_stored"], "removed": removed}
    return {**told, **counted, "snapshot": kept}


def _lost(provider: Provider, left: Collection) -> str | None:
    """Say why nothing can be kept: it was dropped, or changed into something else, by another hand.

    Raises:
        ConflictError: It is there, with something in the way.
    """
    try:
        seals_of(provider).standing(left.name, mark=left.mark)
    except (ConflictError, NotFoundError) as error:
        if any(one.mark == left.mark for one in provider.collections.list()):
            raise
        return error.message
    return None


def _change(ports: Ports, bench: Bench, left: Collection, change: Callable[[Collection], Collection]) -> None:
    with ports.store.note() as tx:
        bench.fence(tx)
        tx.collections.update(change(tx.collections.get(left.id)), expected=CollectionState.READY)


def _name_of(base: OpenedSnapshot | None, left: Collection) -> str:
    return left.logical.replace("_", "-") if base is None else base.config.name


def _embedding_of(base: OpenedSnapshot | None) -> Embedding | None:
    return None if base is None else base.config.embedding
