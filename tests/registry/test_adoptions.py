"""Adoptions in memory: a table in use is kept whatever becomes of who asked, and is a channel's once that is signed."""

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regalia.core.errors import ConflictError
from regalia_registry.domain.operations import OperationState
from regalia_registry.domain.placing import CollectionState, Mode
from tests.support.moves import ALIAS, CHANNEL, ROWS, VERSIONS, Killed, World

TABLE = "notes"
DAY, LONG = timedelta(days=1), timedelta(days=30)


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path, mode=Mode.FROZEN)
    made.use(TABLE)
    return made


def adopting(world: World, *, channel: str = CHANNEL) -> str:
    """Let an adoption come to where it waits for its signature; gives the operation."""
    asked = world.adopting(TABLE, channel=channel).id
    assert world.workers[0].run_one()
    assert world.operation(asked).state is OperationState.PREPARED, world.operation(asked).outcome
    return asked


def adopted(world: World) -> str:
    """Give the collection that the table has become, or is to become."""
    [name] = [name for name, one in world.collections().items() if one.is_adopted]
    return name


def unsigned(world: World) -> None:
    asked = adopting(world)
    world.clock.turn(DAY)
    assert world.workers[0].run_one()
    assert world.operation(asked).outcome == {
        "error": "conflict",
        "message": "nobody signed it in time",
        "hint": "ask again: the collection is adopted, and goes on",
    }


def cancelled(world: World) -> None:
    asked = adopting(world)
    world.cancel(asked)
    assert world.workers[0].run_one()
    assert world.operation(asked).state is OperationState.CANCELLED


def cancelled_at_work(world: World) -> None:
    def at(what: str) -> None:
        if what == "adopt":
            world.cancel(asked)
            raise ConflictError("somebody's transaction is in the way")

    asked = world.adopting(TABLE).id
    world.engine.at = at
    assert world.workers[0].run_one()
    world.engine.at = lambda _what: None
    assert world.operation(asked).state.is_over


GIVEN_UP = {"unsigned": unsigned, "cancelled": cancelled, "cancelled before it was done": cancelled_at_work}
given_up = pytest.mark.parametrize("give_up", GIVEN_UP.values(), ids=GIVEN_UP)


@given_up
def test_the_table_of_an_adoption_that_was_given_up_outlives_every_collection_of_garbage(
    world: World, give_up: Callable[[World], None]
) -> None:
    give_up(world)
    name = adopted(world)
    world.clock.turn(LONG)

    world.collect()
    asked = world.retire(name)

    assert "is not retired" in str(asked["message"])
    assert len(world.texts(name if name in world.engine.held else TABLE)) == ROWS


@given_up
def test_an_adoption_that_is_asked_for_again_is_taken_up_where_it_ended(
    world: World, give_up: Callable[[World], None]
) -> None:
    give_up(world)
    name = adopted(world)

    world.settle(world.adopting(TABLE))

    assert (adopted(world), world.place().collection) == (name, name)
    assert world.engine.led[TABLE] == name
    assert len(world.texts(name)) == ROWS


def test_a_worker_that_takes_over_adopts_what_the_one_before_had_begun_to(world: World) -> None:
    def at(what: str) -> None:
        if what == "adopt":
            raise Killed

    asked = world.adopting(TABLE)
    world.engine.at = at
    with pytest.raises(Killed):
        world.workers[0].run_one()
    name = adopted(world)
    world.engine.at = lambda _what: None
    world.clock.turn(world.workers[0].lease.takeover)

    assert world.workers[1].run_one()
    world.sign(asked.id)

    assert (adopted(world), world.place().collection) == (name, name)


def happening(world: World, fate: str) -> None:
    """Let something happen to whatever is at work, and whoever waits."""
    newest = world.operations()[0].id
    match fate:
        case "killed":
            raise Killed
        case "overtaken":
            world.clock.turn(world.workers[0].lease.takeover)
            world.workers[1].run_one()
        case "cancelled":
            with suppress(ConflictError):
                world.cancel(newest)
        case "refused":
            raise ConflictError("somebody's transaction is in the way")
        case _:
            world.reconciler.run()


FATES = ("killed", "overtaken", "cancelled", "refused", "reconciled", "nothing")


@given(st.lists(st.tuples(st.integers(1, 4), st.sampled_from(FATES)), max_size=4))
@settings(max_examples=25, deadline=None)
def test_whatever_happens_to_an_adoption_its_application_goes_on_and_asks_again(fates: list[tuple[int, str]]) -> None:
    with TemporaryDirectory() as folder:
        world = World(Path(folder), mode=Mode.FROZEN)
        world.use(TABLE)
        for step, fate in fates:
            with suppress(ConflictError):
                world.adopting(TABLE)
            disturb(world, step, partial(happening, world, fate))
            assert in_use(world) == ROWS
        for _ in range(2):
            world.clock.turn(LONG)
            world.collect()
            assert in_use(world) == ROWS

        world.settle(world.adopting(TABLE))
        world.reconciler.run()

        assert world.engine.led[TABLE] == world.place().collection
        assert in_use(world) == ROWS
        assert [one.name for one in world.collections().values() if one.is_adopted] == [world.place().collection]


def disturb(world: World, step: int, do: Callable[[], None]) -> None:
    """Let a worker do an operation, and something happen before what it does to the engine at a step."""
    left = [step]

    def at(_what: str) -> None:
        left[0] -= 1
        if left[0] == 0:
            do()

    world.engine.at = at
    with suppress(Killed):
        world.workers[0].run_one()
    world.engine.at = lambda _what: None


def in_use(world: World) -> int:
    """Count the rows that an application finds under the name that it says."""
    return len(world.texts(TABLE if TABLE in world.engine.held else world.engine.led[TABLE]))


def test_a_plan_of_what_was_adopted_and_never_signed_says_that_nothing_changes(world: World) -> None:
    unsigned(world)

    asked = world.adopting(TABLE, is_plan=True)
    assert world.workers[0].run_one()

    told = world.operation(asked.id)
    assert (told.state, told.outcome) == (
        OperationState.DONE,
        {"consequences": ["it is ours already, and no channel serves it: nothing changes for its applications"]},
    )


def test_a_channel_serves_a_live_collection_once_the_adoption_is_signed_and_no_sooner(world: World) -> None:
    before = world.placing()
    asked = adopting(world)
    unsigned_yet = world.placing()

    world.sign(asked)

    assert (before.mode, unsigned_yet) == (Mode.FROZEN, before)
    assert (world.placing().mode, world.placing().alias) == (Mode.LIVE, TABLE)


def test_what_an_application_writes_goes_on_through_its_adoption_and_is_kept_when_the_channel_leaves(
    world: World,
) -> None:
    world.settle(world.adopting(TABLE))
    live = world.place().collection
    assert world.write()

    world.settle(world.asked(VERSIONS[1]))

    left = world.collections()[live]
    assert (left.sealed, left.leftover) == (True, "acme/snapshot/kb-leftover@1.0.0")
    assert len(world.texts(live)) == ROWS + 1


def test_an_alias_that_another_channel_moves_is_refused_before_anything_is_changed(world: World) -> None:
    world.another_channel("staging")
    world.place_another("staging", alias=TABLE)
    before = world.collections()

    asked = world.adopting(TABLE)
    assert world.workers[0].run_one()

    told = world.operation(asked.id)
    assert told.state is OperationState.FAILED
    assert (told.outcome or {})["message"] == f'another channel moves the alias "{TABLE}" on "engine"'
    assert world.collections() == before
    assert world.engine.held[TABLE].mark == ""


def test_an_alias_that_another_channel_took_meanwhile_is_refused_before_anybody_signs(world: World) -> None:
    unsigned(world)
    world.another_channel("staging")
    world.place_another("staging", alias=TABLE)

    asked = world.adopting(TABLE)
    assert world.workers[0].run_one()

    told = world.operation(asked.id)
    assert told.state is OperationState.FAILED
    assert (told.outcome or {})["message"] == f'another channel moves the alias "{TABLE}" on "engine"'


def test_an_alias_that_another_channel_took_since_is_refused_to_who_signs(world: World) -> None:
    world.another_channel("staging")
    asked = adopting(world)
    before = world.pointer()
    world.place_another("staging", alias=TABLE)

    with pytest.raises(ConflictError, match=f'another channel moves the alias "{TABLE}"'):
        world.sign(asked)

    assert world.pointer() == before
    assert world.placing().mode is Mode.FROZEN


def test_a_table_that_was_made_anew_since_is_another_one(world: World) -> None:
    unsigned(world)
    before = adopted(world)
    del world.engine.led[TABLE]
    world.use(TABLE)

    world.settle(world.adopting(TABLE))

    assert world.place().collection not in {before, TABLE}
    assert world.engine.held[before].mark


def test_of_two_channels_that_adopt_one_table_the_one_that_signs_first_has_it(world: World) -> None:
    world.another_channel("staging")
    first, second = adopting(world), adopting(world, channel="staging")
    before = world.pointer("staging")
    world.sign(first)

    with pytest.raises(ConflictError, match="another channel serves"):
        world.sign(second)

    assert world.pointer("staging") == before
    assert world.place().collection == adopted(world)


def test_what_a_channel_serves_is_adopted_by_no_other(world: World) -> None:
    world.another_channel("staging")
    world.settle(world.adopting(TABLE))

    asked = world.adopting(world.place().collection, channel="staging")
    assert world.workers[0].run_one()

    told = world.operation(asked.id)
    assert told.state is OperationState.FAILED
    assert "is ours already" in str((told.outcome or {})["message"])


def test_the_alias_that_the_slot_had_goes_on_with_what_it_shows(world: World) -> None:
    before = world.place().collection

    world.settle(world.adopting(TABLE))
    world.reconciler.run()

    assert world.engine.led[ALIAS] == before
    assert world.collections()[before].state is CollectionState.READY
