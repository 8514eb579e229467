"""Moves in memory: what becomes of one that nobody signs, that is signed too late, or that is fought over."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from regalia.core.errors import ConflictError, PointerMovedError
from regalia.core.fields import Fields
from regalia.core.references import BundleReference
from regalia.core.statements import Move
from regalia_registry.adapters.memory.store import MemoryStore, MemoryTransaction
from regalia_registry.domain.operations import OperationState
from regalia_registry.domain.placing import Mode
from regalia_registry.ports.store import Told
from regalia_registry.services.channels import Wish, propose
from regalia_registry.services.moves import Submission
from regalia_registry.services.steps.binding import prepared_of
from tests.support.moves import ALIAS, EVERYBODY, VERSIONS, World

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


def test_a_pointer_takes_nothing_that_was_prepared_for_another_channel(world: World) -> None:
    world.another_channel("staging")
    of_prod = prepared(world, NEW)
    of_staging = world.asked(NEW, channel="staging").id
    assert world.workers[0].run_one()
    signed, before = world.signed(world.operation(of_staging)), world.pointer("staging")

    with pytest.raises(ConflictError, match="prepared another move"):
        world.send(replace(signed, operation=of_prod), channel="staging")

    assert world.operation(of_prod).state is OperationState.PREPARED
    assert world.pointer("staging") == before


OTHERS = {"channel": ("staging", NEW, Move.PROMOTE), "bundle": ("prod", OLD, Move.PROMOTE)}
OTHERS["move"] = ("prod", NEW, Move.RESTORE)


@pytest.mark.parametrize(("channel", "version", "move"), OTHERS.values(), ids=OTHERS)
def test_nothing_is_proposed_of_what_was_prepared_for_another_move(
    world: World, channel: str, version: str, move: Move
) -> None:
    world.another_channel("staging")
    operation = prepared(world, NEW)
    to = BundleReference(world.application, digest=world.bundles[version])

    with pytest.raises(ConflictError, match="prepared another move"):
        propose(world.ports, EVERYBODY, Wish(world.application, channel, to, move, root=1, operation=operation))


def test_what_was_prepared_is_proposed_with_the_word_of_its_worker(world: World) -> None:
    operation = prepared(world, NEW)
    to = BundleReference(world.application, digest=world.bundles[NEW])

    told = propose(
        world.ports, EVERYBODY, Wish(world.application, "prod", to, Move.PROMOTE, root=1, operation=operation)
    )

    [place] = prepared_of(world.operation(operation)).places
    assert [dict(one) for one in told.collections] == [dict(place.written())]
    assert told.preparation


def unprepared(world: World, move: Move) -> Submission:
    version = NEW if move is Move.PROMOTE else OLD
    return world.pointing(world.bundles[version], move)


@pytest.mark.parametrize("move", [Move.PROMOTE, Move.RESTORE])
def test_what_an_application_writes_into_is_left_by_an_operation_only(world: World, move: Move) -> None:
    if move is Move.RESTORE:
        world.settle(world.asked(NEW))
    live, before = world.place().collection, world.pointer()

    with pytest.raises(ConflictError, match=f"would leave {live}, and nothing would keep what"):
        world.send(unprepared(world, move))

    assert world.pointer() == before


@pytest.mark.parametrize("move", [Move.PROMOTE, Move.RESTORE])
def test_what_is_sealed_is_left_without_an_operation_where_that_is_meant(tmp_path: Path, move: Move) -> None:
    world = World(tmp_path, mode=Mode.FROZEN)
    if move is Move.RESTORE:
        world.settle(world.asked(NEW))

    world.send(unprepared(world, move))

    current = world.pointer()
    assert current is not None
    assert current.pointer.collections == ()


def test_a_pointer_is_renewed_without_an_operation_while_an_application_writes(world: World) -> None:
    current = world.pointer()
    assert current is not None

    world.send(world.pointing(current.pointer.bundle, Move.RENEW, current.pointer.collections))

    assert world.place() == current.pointer.collections[0]


def warm_at_another(world: World) -> str:
    """Let another channel come to the second bundle and leave it; gives the collection, which is warm."""
    world.another_channel("staging")
    world.settle(world.asked(NEW, channel="staging"))
    world.settle(world.asked(OLD, channel="staging"))
    [name] = [name for name, one in world.collections().items() if one.unbound_at is not None]
    return name


def offered(world: World, operation: str) -> str:
    [place] = prepared_of(world.operation(operation)).places
    return place.collection


def test_what_another_channel_waits_to_serve_is_not_opened_for_this_ones_application(world: World) -> None:
    warm = warm_at_another(world)
    of_staging = world.asked(NEW, channel="staging").id
    assert world.workers[0].run_one()

    of_prod = prepared(world, NEW)

    assert offered(world, of_staging) == warm
    assert offered(world, of_prod) != warm
    assert world.engine.held[warm].sealed


def test_what_became_another_channels_since_it_was_planned_is_not_opened_for_this_ones_application(
    world: World,
) -> None:
    warm = warm_at_another(world)
    of_prod, of_staging = world.asked(NEW).id, world.asked(NEW, channel="staging").id

    def at(what: str) -> None:
        if what == "standing":
            world.engine.at = lambda _what: None
            assert world.workers[1].run_one()

    world.engine.at = at
    assert world.workers[0].run_one()

    assert offered(world, of_staging) == warm
    assert offered(world, of_prod) != warm
    assert world.engine.held[warm].sealed


def test_a_plan_seals_nothing_that_its_engine_has_opened(tmp_path: Path) -> None:
    world = World(tmp_path, mode=Mode.FROZEN)
    good = world.place().collection
    world.settle(world.asked(NEW))
    world.engine.held[good].sealed = False
    before = world.collections()

    asked = world.asked(OLD, is_plan=True)
    assert world.workers[0].run_one()

    told = world.operation(asked.id)
    assert told.state is OperationState.DONE
    assert (world.engine.held[good].sealed, world.collections()) == (False, before)


def test_a_plan_does_not_call_warm_what_somebody_wrote_into_and_notes_nothing(tmp_path: Path) -> None:
    world = World(tmp_path, mode=Mode.FROZEN)
    good = world.place().collection
    world.settle(world.asked(NEW))
    world.break_open(good)
    before = world.collections()

    asked = world.asked(OLD, is_plan=True)
    assert world.workers[0].run_one()

    told = Fields(world.operation(asked.id).outcome or {}, "the plan")
    assert [step.text("action") for step in told.children("steps", maximum=9)] == ["build"]
    assert world.collections() == before


def test_what_is_asked_for_seals_what_its_engine_has_opened_and_uses_it(tmp_path: Path) -> None:
    world = World(tmp_path, mode=Mode.FROZEN)
    good = world.place().collection
    world.settle(world.asked(NEW))
    world.engine.held[good].sealed = False

    world.settle(world.asked(OLD))

    assert (world.place().collection, world.engine.held[good].sealed) == (good, True)


class Watching(MemoryStore):
    """A store that knows which threads were there when an operation was left to wait for its signature."""

    def __init__(self) -> None:
        super().__init__()
        self.threads: list[str] = []

    @contextmanager
    def note(self, *, to: Told = Told.ALL) -> Iterator[MemoryTransaction]:
        with super().note(to=to) as tx:
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
