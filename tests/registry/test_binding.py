"""Binding prepared collections in the transaction that moves a channel: all of them as they were proved, or none."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from regalia.core import times
from regalia.core.errors import ConflictError
from regalia.core.names import Kind, Slot
from regalia.core.statements import Move
from regalia.core.strict_json import JsonObject
from regalia.core.values import replace as changed
from regalia_registry.adapters.memory.store import MemoryStore
from regalia_registry.domain.operations import Operation, OperationState
from regalia_registry.domain.placing import Collection, CollectionState
from regalia_registry.domain.plans import MoveWish
from regalia_registry.domain.records import StoredPointer
from regalia_registry.services.steps.binding import bind, prepared_of, unbind
from tests.support.records import APPLICATION, NOW, collection, digest, pointer

KB = Slot(Kind.SNAPSHOT, "kb")
LATER = NOW + timedelta(hours=1)
UNTIL = LATER + timedelta(seconds=1)
OLD, NEW = (
    replace(collection(number), state=CollectionState.READY, sealed=True, bound_at=bound_at)
    for number, bound_at in ((1, NOW), (2, None))
)


def serving(one: Collection) -> StoredPointer:
    stored = pointer(1, named="2.3.0")
    return replace(stored, pointer=changed(stored.pointer, collections=(one.place(KB, one.snapshot),)))


def prepared(*, mode: str = "frozen") -> Operation:
    outcome: JsonObject = {
        "steps": [{"slot": str(KB), "mode": mode}],
        "collections": [{**NEW.place(KB, NEW.snapshot).written()}],
        "vouched": "",
        "until": times.write(UNTIL),
    }
    wish = MoveWish(APPLICATION, "prod", digest("2.4.0"), Move.RESTORE)
    asked = Operation("op-1", wish.kind, "acme", wish.subject, wish.written(), NOW, "jane")
    return replace(asked, state=OperationState.PREPARED, epoch=2, outcome=outcome, channel="acme/support-agent:prod")


@pytest.fixture
def store() -> MemoryStore:
    made = MemoryStore()
    with made.note() as tx:
        tx.operations.add(prepared())
        tx.collections.add(OLD)
        tx.collections.add(NEW)
    return made


def bound(store: MemoryStore, operation: Operation | None = None, *, left: Collection = OLD) -> None:
    with store.note() as tx:
        if operation is not None:
            tx.operations.update(operation, epoch=operation.epoch)
        bind(tx, prepared_of(operation or prepared()), left=serving(left), now=LATER)


def collections(store: MemoryStore) -> list[Collection]:
    with store.read() as tx:
        return list(tx.collections.list(after=None, limit=9))


def test_what_is_taken_into_use_is_bound_and_what_is_left_is_not(store: MemoryStore) -> None:
    bound(store)

    assert collections(store) == [replace(OLD, unbound_at=LATER), replace(NEW, bound_at=LATER)]


def test_the_operation_is_over_its_commit_and_lets_go_of_its_channel(store: MemoryStore) -> None:
    bound(store)

    with store.read() as tx:
        there = tx.operations.get("op-1")
    assert (there.state, there.channel, there.lease_until) == (OperationState.COMMITTED, None, LATER)
    assert there.outcome == {**(prepared().outcome or {}), "left": str(serving(OLD).identity)}


def test_what_the_channel_goes_on_to_name_stays_bound(store: MemoryStore) -> None:
    bound(store, left=NEW)

    assert collections(store)[1] == replace(NEW, bound_at=LATER)


def test_what_is_bound_again_was_never_let_go_of(store: MemoryStore) -> None:
    with store.note() as tx:
        tx.collections.update(replace(NEW, bound_at=NOW, unbound_at=NOW), expected=CollectionState.READY)

    bound(store)

    assert collections(store)[1] == replace(NEW, bound_at=LATER)


UNFIT: dict[str, Callable[[Collection], Collection]] = {
    "retiring": lambda one: replace(one, state=CollectionState.RETIRING),
    "dropped": lambda one: replace(one, state=CollectionState.DROPPED),
    "open": lambda one: replace(one, sealed=False),
}


@pytest.mark.parametrize("unfit", UNFIT.values(), ids=UNFIT)
def test_what_is_not_what_was_proved_is_not_bound(
    store: MemoryStore, unfit: Callable[[Collection], Collection]
) -> None:
    with store.note() as tx:
        tx.collections.update(unfit(NEW), expected=CollectionState.READY)
        before = tx.collections.list(after=None, limit=9)

    with pytest.raises(ConflictError, match="is not what was proved any more"):
        bound(store)

    assert collections(store) == list(before)


def test_what_an_application_will_write_into_is_open_when_it_is_bound(store: MemoryStore) -> None:
    with store.note() as tx:
        tx.collections.update(replace(NEW, sealed=False), expected=CollectionState.READY)

    bound(store, prepared(mode="live"))

    assert collections(store)[1] == replace(NEW, sealed=False, bound_at=LATER)


@pytest.mark.parametrize("ended", ["cancelled", "taken over"])
def test_an_operation_that_was_ended_meanwhile_binds_nothing(store: MemoryStore, ended: str) -> None:
    with store.note() as tx:
        there = tx.operations.get("op-1")
        changed_to = there.asked_to_end(LATER) if ended == "cancelled" else replace(there, epoch=3)
        tx.operations.update(changed_to, epoch=2)

    with pytest.raises(ConflictError, match="was ended meanwhile"):
        bound(store)

    assert collections(store) == [OLD, NEW]


def test_a_channel_that_names_nothing_any_more_lets_go_of_all(store: MemoryStore) -> None:
    with store.note() as tx:
        unbind(tx, serving(OLD), named=(), now=LATER)

    assert collections(store) == [replace(OLD, unbound_at=LATER), NEW]
