"""Moves in memory: what becomes of one that nobody signs, that is signed too late, or that is fought over."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from regalia.core.errors import ConflictError, PointerMovedError
from regalia_registry.adapters.memory.store import MemoryStore, MemoryTransaction
from regalia_registry.domain.operations import OperationState
from regalia_registry.domain.placing import Mode
from tests.support.moves import ALIAS, VERSIONS, World

OLD, NEW = VERSIONS
HOURS = {"promote": 24, "restore": 1}


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path, mode=Mode.LIVE)


def prepared(world: World, version: str) -> str:
    asked = world.asked(version)
    assert world.workers[0].run_one()
    assert world.operation(asked.id).state is OperationState.PREPARED
    return asked.id


@pytest.mark.parametrize("move", HOURS)
def test_a_move_that_nobody_signs_ends_by_itself_and_lets_go_of_its_channel(world: World, move: str) -> None:
    if move == "restore":
        world.settle(world.asked(NEW))
    before = world.pointer()
    unsigned = prepared(world, OLD if move == "restore" else NEW)
    world.clock.turn(timedelta(hours=HOURS[move], seconds=-2))
    too_soon = world.workers[1].run_one()

    world.clock.turn(timedelta(seconds=2))
    assert world.workers[1].run_one()

    ended = world.operation(unsigned)
    assert (too_soon, ended.state, ended.channel) == (False, OperationState.FAILED, None)
    assert (ended.outcome or {})["message"] == "nobody signed it in time"
    assert world.pointer() == before


def test_who_comes_back_after_the_wait_is_told_to_ask_again(world: World) -> None:
    unsigned = prepared(world, NEW)
    signed = world.signed(world.operation(unsigned))
    world.clock.turn(timedelta(hours=24))
    world.workers[0].run_one()

    with pytest.raises(ConflictError, match="is failed, and waits for no pointer") as caught:
        world.send(signed)

    assert "ask again, what was made is there" in caught.value.hint
    assert world.version() == OLD


def test_who_signs_after_the_channel_moved_has_signed_nothing(world: World) -> None:
    first = prepared(world, NEW)
    slow = world.signed(world.operation(first))
    world.clock.turn(timedelta(minutes=1))
    world.send(world.signed(world.operation(first)))
    world.workers[0].run_one()
    before = world.pointer()

    with pytest.raises(ConflictError):
        world.send(slow)

    assert world.pointer() == before
    assert world.engine.led[ALIAS] == world.place().collection


def test_a_pointer_that_was_built_on_another_one_is_void_for_good(world: World) -> None:
    stale = world.signed(world.operation(prepared(world, NEW)))
    world.cancel(world.operations()[0].id)
    world.workers[0].run_one()
    world.settle(world.asked(NEW))
    world.settle(world.asked(OLD))
    again = prepared(world, NEW)

    with pytest.raises(PointerMovedError):
        world.send(replace(stale, operation=again))

    assert world.version() == OLD
    assert world.operation(again).state is OperationState.PREPARED


class Watching(MemoryStore):
    """A store that knows which threads were there when an operation was left to wait for its signature."""

    def __init__(self) -> None:
        super().__init__()
        self.threads: list[str] = []

    @contextmanager
    def note(self) -> Iterator[MemoryTransaction]:
        with super().note() as tx:
            yield tx
            waiting = [one for one in tx.operations.list("acme", after=None, limit=9) if one.state == "prepared"]
            if waiting:
                self.threads += [thread.name for thread in threading.enumerate()]


def test_nobody_renews_a_lease_behind_the_word_that_it_waits_for_a_day(tmp_path: Path) -> None:
    store = Watching()
    world = World(tmp_path, mode=Mode.FROZEN, store=store)

    prepared(world, NEW)

    assert store.threads
    assert "lease" not in store.threads


def test_a_catalog_that_calls_one_collection_another_gets_neither_reused(tmp_path: Path) -> None:
    store = MemoryStore()
    world = World(tmp_path, mode=Mode.FROZEN, store=store)
    world.settle(world.asked(NEW))
    with store.note() as tx:
        old, new = tx.collections.list(after=None, limit=9)
    stored = store._tables.collections  # as whoever owns the database
    stored[old.id], stored[new.id] = (
        replace(old, content_root=new.content_root),
        replace(new, content_root=old.content_root),
    )

    world.settle(world.asked(OLD))

    with store.read() as tx:
        made = tx.collections.list(after=None, limit=9)
    pointer = world.pointer()
    assert pointer is not None
    [place] = pointer.pointer.collections
    assert place.collection not in {old.name, new.name}
    assert len(made) == 3
