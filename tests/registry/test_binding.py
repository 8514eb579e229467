"""Binding prepared collections in the transaction that moves a channel: all of them as they were proved, or none."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from regalia.core import times
from regalia.core.errors import ConflictError, NotFoundError
from regalia.core.names import ApplicationName, Kind, Slot
from regalia.core.statements import Move
from regalia.core.strict_json import JsonObject
from regalia.core.values import replace as changed
from regalia_registry.adapters.memory.store import MemoryStore
from regalia_registry.domain.operations import Operation, OperationKind, OperationState
from regalia_registry.domain.placing import ChannelPlacings, Collection, CollectionState, Mode, Placing, written
from regalia_registry.domain.plans import MoveWish
from regalia_registry.domain.records import StoredPointer
from regalia_registry.services.steps.binding import bind, find_prepared, prepared_of, unbind
from tests.support.records import APPLICATION, NOW, collection, digest, move, placing, pointer

KB = Slot(Kind.SNAPSHOT, "kb")
LATER = NOW + timedelta(hours=1)
UNTIL = LATER + timedelta(seconds=1)
OLD, NEW = (
    replace(collection(number), state=CollectionState.READY, sealed=True, bound_at=bound_at)
    for number, bound_at in ((1, NOW), (2, None))
)


WISH = MoveWish(APPLICATION, "prod", digest("2.4.0"), Move.RESTORE)
NOTES = Placing(KB, "local", "notes", Mode.LIVE, "notes")


def serving(one: Collection, channel: str = "prod") -> StoredPointer:
    stored = pointer(1, named="2.3.0", channel=channel)
    return replace(stored, pointer=changed(stored.pointer, collections=(one.place(KB, one.snapshot),)))


def prepared(*, mode: str = "frozen") -> Operation:
    outcome: JsonObject = {
        "steps": [{"slot": str(KB), "mode": mode}],
        "collections": [{**NEW.place(KB, NEW.snapshot).written()}],
        "vouched": "",
        "until": times.write(UNTIL),
    }
    asked = Operation("op-1", WISH.kind, "acme", WISH.subject, WISH.written(), NOW, "jane")
    return replace(asked, state=OperationState.PREPARED, epoch=2, outcome=outcome, channel="acme/support-agent:prod")


@pytest.fixture
def store() -> MemoryStore:
    made = MemoryStore()
    with made.note() as tx:
        tx.operations.add(prepared())
        tx.collections.add(OLD)
        tx.collections.add(NEW)
    return made


def bound(
    store: MemoryStore, operation: Operation | None = None, *, left: Collection = OLD, now: datetime = LATER
) -> None:
    with store.note() as tx:
        if operation is not None:
            tx.operations.update(operation, epoch=operation.epoch)
        bind(tx, prepared_of(operation or prepared()), left=serving(left), now=now)


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


def test_what_waits_until_a_moment_is_bound_before_it_and_not_from_then_on(store: MemoryStore) -> None:
    with pytest.raises(ConflictError, match="nobody signed it in time"):
        bound(store, now=UNTIL)
    assert collections(store) == [OLD, NEW]

    bound(store, now=UNTIL - timedelta(seconds=1))

    assert collections(store)[1].bound_at == UNTIL - timedelta(seconds=1)


def opened(store: MemoryStore, *, served_by: str) -> None:
    """Let an application write into the collection that was prepared, which a channel serves already."""
    with store.note() as tx:
        tx.collections.update(replace(NEW, sealed=False, marker="adopted"), expected=CollectionState.READY)
    move(store, serving(NEW, served_by), expected=None)


def test_what_another_channels_application_writes_into_is_not_bound(store: MemoryStore) -> None:
    opened(store, served_by="staging")
    before = collections(store)

    with pytest.raises(ConflictError, match=f'another channel serves "{NEW.name}" already'):
        bound(store, prepared(mode="live"))

    assert collections(store) == before


def test_what_its_own_channel_serves_already_is_bound_again(store: MemoryStore) -> None:
    opened(store, served_by="prod")

    bound(store, prepared(mode="live"), left=NEW)

    assert collections(store)[1].bound_at == LATER


def test_a_sealed_collection_serves_many_channels(store: MemoryStore) -> None:
    move(store, serving(NEW, "staging"), expected=None)

    bound(store)

    assert collections(store)[1].bound_at == LATER


def test_where_a_slot_is_placed_changes_with_what_is_bound_and_the_others_stay(store: MemoryStore) -> None:
    faq = placing("faq")
    with store.note() as tx:
        tx.placings.put(ChannelPlacings(APPLICATION, "prod", (faq, placing("kb", alias="docs")), require_warm=True))
    adopting = prepared()

    bound(store, replace(adopting, outcome={**(adopting.outcome or {}), "placing": written(NOTES)}))

    with store.read() as tx:
        assert tx.placings.find(APPLICATION, "prod") == ChannelPlacings(
            APPLICATION, "prod", (faq, NOTES), require_warm=True
        )


def test_what_is_bound_for_a_move_changes_no_placing(store: MemoryStore) -> None:
    there = ChannelPlacings(APPLICATION, "prod", (placing("kb", alias="docs"),))
    with store.note() as tx:
        tx.placings.put(there)

    bound(store)

    with store.read() as tx:
        assert tx.placings.find(APPLICATION, "prod") == there


def test_what_was_prepared_is_found_by_the_very_move_that_asked_for_it(store: MemoryStore) -> None:
    with store.read() as tx:
        assert find_prepared(tx, "op-1", WISH) == prepared_of(prepared())


OTHERS = {
    "channel": replace(WISH, channel="staging"),
    "bundle": replace(WISH, bundle=digest("2.5.0")),
    "move": replace(WISH, move=Move.PROMOTE),
}


@pytest.mark.parametrize("asked", OTHERS.values(), ids=OTHERS)
def test_what_was_prepared_is_no_other_moves(store: MemoryStore, asked: MoveWish) -> None:
    with store.read() as tx, pytest.raises(ConflictError, match='the operation "op-1" prepared another move'):
        find_prepared(tx, "op-1", asked)


def test_what_another_application_has_prepared_is_as_if_it_were_not_there(store: MemoryStore) -> None:
    asked = replace(WISH, application=ApplicationName("acme", "another-agent"))

    with store.read() as tx, pytest.raises(NotFoundError, match='there is no operation "op-1"'):
        find_prepared(tx, "op-1", asked)


def test_an_operation_that_moves_no_channel_has_prepared_nothing(store: MemoryStore) -> None:
    with store.note() as tx:
        tx.operations.add(Operation("op-2", OperationKind.GC, "*", "registry/gc", {"plan": False}, NOW, "jane"))

    with store.read() as tx, pytest.raises(NotFoundError, match='there is no operation "op-2"'):
        find_prepared(tx, "op-2", WISH)


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
