"""What was written to a collection that its channel has left: kept, or told as lost, and tried until that is sure."""

from pathlib import Path

import pytest

from regalia.core.errors import ConflictError, RegaliaError, UnavailableError
from regalia.core.strict_json import JsonValue
from regalia_registry.domain.operations import OperationState
from regalia_registry.domain.placing import Mode
from tests.support.moves import ROWS, VERSIONS, World

KEPT = "acme/snapshot/kb-leftover@1.0.0"


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path, mode=Mode.LIVE)


@pytest.fixture
def left(world: World) -> str:
    """Write into the channel's collection, and let the channel leave it; gives the collection."""
    name = world.place().collection
    assert world.write()
    asked = world.asked(VERSIONS[1])
    assert world.workers[0].run_one()
    world.sign(asked.id)
    return name


def settled(world: World) -> JsonValue:
    """Let a worker end the move; gives what became of what was left."""
    assert world.workers[0].run_one()
    move = world.operations()[0]
    assert move.state is OperationState.DONE
    return (move.outcome or {})["leftovers"]


def test_what_was_written_is_kept_and_counted(world: World, left: str) -> None:
    told = settled(world)

    assert told == [
        {"collection": left, "target": "engine", "rows": ROWS + 1, "written": 1, "removed": 0, "snapshot": KEPT}
    ]
    assert (world.collections()[left].sealed, world.collections()[left].leftover) == (True, KEPT)


def test_what_somebody_dropped_is_told_as_lost_and_no_move_takes_it(world: World, left: str) -> None:
    del world.engine.held[left]

    told = settled(world)

    assert told == [{"collection": left, "target": "engine", "lost": f'there is no collection "{left}"'}]
    assert not world.collections()[left].awaits_leftover
    assert not world.collections()[left].is_warm


def test_what_somebody_made_something_else_of_is_told_as_lost_and_let_be(world: World, left: str) -> None:
    world.engine.held[left].mark = "somebody's"

    told = settled(world)

    assert told == [{"collection": left, "target": "engine", "lost": f'the collection "{left}" is not ours'}]
    assert not world.engine.held[left].sealed


BUSY = {
    "silent": UnavailableError("the engine is gone"),
    "busy": ConflictError("a table of somebody's stands beside it"),
}


@pytest.mark.parametrize("error", BUSY.values(), ids=BUSY)
@pytest.mark.parametrize("step", ["standing", "seal", "open"])
def test_what_an_engine_does_not_give_now_is_not_lost_but_asked_for_again(
    world: World, left: str, step: str, error: RegaliaError
) -> None:
    def at(what: str) -> None:
        if what == step:
            raise error

    world.engine.at = at
    assert world.workers[0].run_one()
    world.engine.at = lambda _what: None
    waiting = world.operations()[0]
    assert (waiting.state, world.collections()[left].awaits_leftover) == (OperationState.COMMITTED, True)
    assert waiting.lease_until is not None
    world.clock.turn(waiting.lease_until - world.clock.now())

    assert settled(world) == [
        {"collection": left, "target": "engine", "rows": ROWS + 1, "written": 1, "removed": 0, "snapshot": KEPT}
    ]


def test_what_no_snapshot_can_hold_is_told_and_stays_sealed_for_good(world: World, left: str) -> None:
    world.engine.refusals[left] = ("its keys are no keys",)

    told = settled(world)

    assert told == [
        {
            "collection": left,
            "target": "engine",
            "unkept": f'"{left}" can\'t be a snapshot: its keys are no keys',
        }
    ]
    assert world.collections()[left].awaits_leftover
    assert world.engine.held[left].sealed
    assert len(world.texts(left)) == ROWS + 1
