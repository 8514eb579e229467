"""The reconciler: writers are let in where they should be, and what is sealed stays so, whoever is in its way."""

from dataclasses import replace
from pathlib import Path

import pytest

from regalia.core.errors import UnavailableError
from regalia_registry.domain.operations import OperationState
from regalia_registry.domain.placing import CollectionState, Mode
from tests.support.moves import VERSIONS, World

OLD, NEW = VERSIONS


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path, mode=Mode.LIVE)


def sealed_first(world: World) -> str:
    """Let a move stop the writers of what its channel will leave, and wait for its signature; gives the operation."""
    asked = world.asked(NEW, seals_first=True).id
    assert world.workers[0].run_one()
    assert world.operation(asked).state is OperationState.PREPARED
    assert world.engine.held[world.place().collection].sealed
    return asked


def test_writers_that_a_move_has_stopped_are_let_in_by_nobody_while_it_is_open(world: World) -> None:
    done: list[str] = []
    sealed_first(world)
    world.engine.at = done.append

    world.reconciler.run()

    assert "unseal" not in done
    assert not world.write()


def test_writers_are_let_in_again_where_a_move_was_given_up_while_its_engine_did_not_answer(world: World) -> None:
    def away(what: str) -> None:
        if what == "connect":
            raise UnavailableError("the engine is gone")

    asked = sealed_first(world)
    world.cancel(asked)
    world.engine.at = away
    assert world.workers[0].run_one()
    world.engine.at = lambda _what: None
    stopped, told = world.engine.held[world.place().collection].sealed, world.operation(asked)

    world.reconciler.run()

    assert (stopped, told.state) == (True, OperationState.CANCELLED)
    assert "are still stopped: the engine is gone" in str((told.outcome or {})["message"])
    assert world.write()


def test_a_move_that_stops_the_writers_while_they_are_let_in_has_them_stopped(world: World) -> None:
    def at(what: str) -> None:
        if what == "unseal":
            world.engine.at = lambda _what: None
            sealed_first(world)

    world.engine.held[world.place().collection].sealed = True
    world.engine.at = at

    world.reconciler.run()

    assert not world.write()


STEPS = {"before it was opened": ("standing", 0), "after": ("unseal", 1)}


@pytest.mark.parametrize(("step", "opened"), STEPS.values(), ids=STEPS)
def test_what_its_channel_has_left_while_writers_were_let_in_is_sealed_and_stays_so(
    world: World, step: str, opened: int
) -> None:
    live = world.place().collection
    asked = world.asked(NEW).id
    assert world.workers[0].run_one()

    def at(what: str) -> None:
        if what == step:
            world.engine.at = lambda _what: None
            world.sign(asked)
            assert world.workers[1].run_one()
            assert world.engine.held[live].sealed

    world.engine.held[live].sealed = True
    before = world.engine.held[live].unsealings
    world.engine.at = at

    world.reconciler.run()

    assert world.place().collection != live
    assert (world.engine.held[live].sealed, world.engine.held[live].unsealings) == (True, before + opened)


def test_what_nobody_serves_any_more_is_let_be(world: World) -> None:
    live = world.place().collection
    world.settle(world.asked(NEW))
    with world.ports.store.note() as tx:
        left = world.collections()[live]
        tx.collections.update(replace(left, sealed=False), expected=CollectionState.READY)

    world.reconciler.run()

    assert world.engine.held[live].sealed


def test_what_a_channel_is_to_serve_once_it_is_signed_takes_its_applications_writes(world: World) -> None:
    world.asked(NEW)
    assert world.workers[0].run_one()
    [offered] = [name for name, one in world.collections().items() if one.is_live and name != world.place().collection]
    world.engine.held[offered].sealed = True

    world.reconciler.run()

    assert not world.engine.held[offered].sealed


def test_what_a_move_has_opened_while_it_was_looked_at_is_opened_again(tmp_path: Path) -> None:
    world = World(tmp_path, mode=Mode.FROZEN)
    name = world.place().collection
    there = world.collections()[name]

    def at(what: str) -> None:
        if what == "seal":
            with world.ports.store.note() as tx:
                tx.collections.update(replace(there, sealed=False), expected=CollectionState.READY)

    world.engine.held[name].sealed = False
    world.engine.at = at

    world.reconciler.run()

    assert not world.engine.held[name].sealed
    assert world.collections()[name] == replace(there, sealed=False)


def test_what_its_engine_has_opened_is_sealed_again_and_used_on(tmp_path: Path) -> None:
    world = World(tmp_path, mode=Mode.FROZEN)
    before = world.collections()
    world.engine.held[world.place().collection].sealed = False

    world.reconciler.run()

    assert world.engine.held[world.place().collection].sealed
    assert world.collections() == before


def test_its_connections_outlive_a_round_and_end_with_it(world: World) -> None:
    before = list(world.engine.connected)
    world.reconciler.run()
    kept = list(world.engine.connected)
    world.reconciler.run()
    assert world.engine.connected == kept

    world.reconciler.close()

    assert (len(kept), world.engine.connected) == (len(before) + 1, before)
