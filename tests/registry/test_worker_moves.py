"""A worker and moves: what has moved its channel goes on for ever, and what must go back is kept waiting by nothing."""

import threading
import time
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from regalia.core.errors import UnavailableError
from regalia_registry.domain.operations import Operation, OperationState, SnapshotWish
from regalia_registry.domain.placing import Mode
from regalia_registry.services import operations
from tests.support.moves import EVERYBODY, TARGET, VERSIONS, World

OLD, NEW = VERSIONS
DAY, HOUR = timedelta(days=1), timedelta(hours=1)


def away(what: str) -> None:
    if what == "connect":
        raise UnavailableError("the engine is gone")


def test_a_pointer_that_came_while_its_operation_was_ended_for_want_of_one_is_not_forgotten(tmp_path: Path) -> None:
    world = World(tmp_path, mode=Mode.LIVE)
    asked = world.asked(NEW, seals_first=True).id
    assert world.workers[0].run_one()
    signed = world.signed(world.operation(asked))

    def at(what: str) -> None:
        if what == "unseal":  # the worker has it for good, and lets the writers in
            world.engine.at = lambda _what: None
            world.clock.turn(-HOUR)  # of the replica that the signer speaks to
            world.send(signed)
            world.clock.turn(HOUR)

    world.clock.turn(DAY)
    world.engine.at = at
    assert world.workers[0].run_one()
    committed = world.operation(asked)

    assert world.workers[0].run_one()

    assert (committed.state, committed.outcome is not None) == (OperationState.COMMITTED, True)
    assert (world.operation(asked).state, world.version()) == (OperationState.DONE, NEW)


def committed(world: World) -> str:
    """Move the channel, and leave what comes after it to a worker; gives the operation."""
    asked = world.asked(NEW).id
    assert world.workers[0].run_one()
    world.sign(asked)
    return asked


def pause(world: World, waiting: Operation) -> timedelta:
    assert waiting.state is OperationState.COMMITTED
    assert waiting.lease_until is not None
    return waiting.lease_until - world.clock.now()


def test_what_has_moved_and_fails_is_tried_again_after_pauses_that_double_to_eight_minutes(tmp_path: Path) -> None:
    world = World(tmp_path, mode=Mode.FROZEN)
    asked = committed(world)
    world.engine.at = away
    pauses = []
    for _ in range(8):
        assert world.workers[0].run_one()
        pauses.append(pause(world, world.operation(asked)))
        world.clock.turn(pauses[-1])

    world.engine.at = lambda _what: None
    assert world.workers[0].run_one()

    assert [one.total_seconds() for one in pauses] == [15, 30, 60, 120, 240, 480, 480, 480]
    assert world.operation(asked).state is OperationState.DONE


def test_nobody_tries_again_before_the_pause_is_over(tmp_path: Path) -> None:
    world = World(tmp_path, mode=Mode.FROZEN)
    asked = committed(world)
    world.engine.at = away
    assert world.workers[0].run_one()

    world.clock.turn(pause(world, world.operation(asked)) - timedelta(seconds=1))

    assert not world.workers[1].run_one()
    world.clock.turn(timedelta(seconds=1))
    assert world.workers[1].run_one()


class Slow:
    """An engine that gives and takes no rows until it is told to; a warm collection needs none."""

    def __init__(self, world: World) -> None:
        self.waiting, self.going_on = threading.Semaphore(0), threading.Event()
        self._world = world
        world.engine.at = self._at

    def close(self) -> None:
        self.going_on.set()
        self._world.workers[0].stopping.set()

    def _at(self, what: str) -> None:
        if what in {"open", "load"}:
            self.waiting.release()
            assert self.going_on.wait(timeout=120)


def comes_to_be_prepared(world: World, operation: str) -> bool:
    for _ in range(6000):
        if world.operation(operation).state is OperationState.PREPARED:
            return True
        time.sleep(0.01)
    return False


@pytest.mark.parametrize("move", ["restore", "rebind"])
def test_long_snapshots_and_long_promotions_keep_no_restore_waiting(tmp_path: Path, move: str) -> None:
    world = World(tmp_path, mode=Mode.LIVE if move == "rebind" else Mode.FROZEN)
    world.settle(world.rebinding() if move == "rebind" else world.asked(NEW))
    for channel in ("staging", "canary"):
        world.place_another(channel, mode=Mode.LIVE)
    running = threading.Thread(target=world.workers[0].run, name="everything")
    with closing(Slow(world)) as slow:
        running.start()
        for name in ("first", "second"):
            operations.start(world.ports, EVERYBODY, namespace="acme", wish=SnapshotWish(TARGET, "docs", name))
        assert slow.waiting.acquire(timeout=60)
        for channel in ("staging", "canary"):
            world.asked(NEW, channel=channel)
        assert slow.waiting.acquire(timeout=60)

        asked = world.rebinding().id if move == "rebind" else world.asked(OLD).id
        is_prepared = comes_to_be_prepared(world, asked)
    running.join(timeout=60)

    assert is_prepared
