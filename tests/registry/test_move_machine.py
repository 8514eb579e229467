"""Moves of a channel as a state machine: workers, signers, writers and the reconciler, each in the others' way.

The engine fences, as PostgreSQL does. Some of this must hold at every moment, the rest once all have come to rest.
"""

import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from regalia.core.errors import ConflictError
from regalia_registry.domain.operations import Operation, OperationState
from regalia_registry.domain.placing import CollectionState, Mode
from regalia_registry.services import moves
from regalia_registry.services.steps.binding import prepared_of
from tests.support.moves import ALIAS, ROWS, VERSIONS, Killed, World

_MOVED = {OperationState.COMMITTED, OperationState.DONE}
_TAKEOVER = timedelta(minutes=2)
_WAITS = (timedelta(seconds=1), _TAKEOVER, timedelta(hours=2))
_LATE = timedelta(hours=25)
FATES = ("killed", "overtaken", "cancelled", "superseded", "written", "signed", "sent", "reconciled")


class Moves(RuleBasedStateMachine):
    """One channel, everybody at it."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.submissions: list[moves.Submission] = []
        self.broken: set[str] = set()

    @initialize(mode=st.sampled_from(Mode))
    def found(self, mode: Mode) -> None:
        self.world = World(self.folder, mode=mode)

    @property
    def newest(self) -> Operation:
        return self.world.operations()[0]

    @precondition(lambda self: self.newest.state.is_over)
    @rule(seals_first=st.booleans())
    def ask(self, *, seals_first: bool = False) -> None:
        """Ask for the bundle that the channel does not name."""
        asked = next(version for version in VERSIONS if version != self.world.version())
        self.world.asked(asked, seals_first=seals_first)

    @precondition(lambda self: not self.newest.state.is_over)
    @rule(version=st.sampled_from(VERSIONS), supersede=st.booleans())
    def ask_besides(self, version: str, *, supersede: bool) -> None:
        with suppress(ConflictError):
            self.world.asked(version, supersede=supersede)

    @rule(steps=st.integers(1, 6))
    def go_on(self, steps: int) -> None:
        """Take whatever comes next in a move that nothing disturbs; one is prepared, signed, and done."""
        if self.newest.state.is_over:
            self.ask()
        for _ in range(steps):
            if self.newest.state is OperationState.PREPARED:
                self.sign()
                self.send()
            else:
                self.world.clock.turn(_TAKEOVER)  # of whoever died in it
                self.world.workers[0].run_one()

    @precondition(lambda self: not self.newest.state.is_over)
    @rule(worker=st.integers(0, 1), step=st.integers(1, 30), fate=st.sampled_from(FATES))
    def work(self, worker: int, step: int, fate: str) -> None:
        """Let a worker do an operation, and something happen to it before what it does to the engine at a step."""
        fates: dict[str, Callable[[], object]] = {
            "killed": self.kill,
            "overtaken": lambda: self.overtake(1 - worker),
            "cancelled": self.cancel,
            "superseded": lambda: self.ask_besides(VERSIONS[0], supersede=True),
            "written": self.write,
            "signed": self.sign,
            "sent": self.send,
            "reconciled": self.reconcile,
        }
        left = [step]

        def at(_what: str) -> None:
            left[0] -= 1
            if left[0] == 0:
                fates[fate]()

        self.world.engine.at = at
        with suppress(Killed):
            self.world.workers[worker].run_one()
        self.world.engine.at = lambda _what: None

    def kill(self) -> None:
        raise Killed

    def overtake(self, other: int) -> None:
        """Let the lease run out unnoticed, and another worker come."""
        self.world.clock.turn(_TAKEOVER)
        self.world.workers[other].run_one()

    def cancel(self) -> None:
        with suppress(ConflictError):
            self.world.cancel(self.newest.id)

    @precondition(lambda self: self.newest.state is OperationState.PREPARED)
    @rule()
    def sign(self) -> None:
        with suppress(ConflictError):
            self.submissions.append(self.world.signed(self.newest))

    @precondition(lambda self: bool(self.submissions))
    @rule()
    def send(self) -> None:
        """Send what was signed last; a person may have slept over it."""
        if self.submissions:
            with suppress(ConflictError):
                self.world.send(self.submissions.pop())

    @rule()
    def write(self) -> None:
        self.world.write()

    @rule()
    def reconcile(self) -> None:
        self.world.reconciler.run()

    @rule(by=st.sampled_from(_WAITS))
    def wait(self, by: timedelta) -> None:
        self.world.clock.turn(by)

    @rule(data=st.data())
    def break_open(self, data: st.DataObject) -> None:
        """Write into a warm collection as a superuser, where none is served or offered: that is never taken again."""
        world = self.world
        used = {world.place().collection, *self.offered()}
        warm = {name for name, one in world.collections().items() if one.is_warm}
        if warm - used:
            name = data.draw(st.sampled_from(sorted(warm - used)))
            self.broken.add(name)
            world.break_open(name)

    def offered(self) -> set[str]:
        """Name what waits for its signature: nobody looks into the engine at the moment of the commit."""
        waiting = [one for one in self.world.operations() if one.state is OperationState.PREPARED]
        prepared = [one for one in waiting if not one.cancel_requested]
        return {place.collection for one in prepared for place in prepared_of(one).places}

    @invariant()
    def an_agent_reads_the_rows_of_its_bundle_and_nothing_else(self) -> None:
        texts = self.world.texts(self.world.place().collection)

        assert {text.split()[0] for text in texts} == {self.world.version()}
        assert len(texts) == ROWS + self.world.written.get(self.world.place().collection, 0)

    @invariant()
    def one_operation_of_a_channel_is_open(self) -> None:
        assert len([one for one in self.world.operations() if one.channel is not None]) <= 1

    @invariant()
    def who_cancelled_waits_for_no_signature(self) -> None:
        now = self.world.clock.now()

        for one in self.world.operations():
            if one.state is OperationState.PREPARED and one.cancel_requested:
                assert one.is_claimable(now)

    @invariant()
    def each_pointer_is_one_operation_that_can_not_be_taken_back(self) -> None:
        with self.world.ports.store.read() as tx:
            pointers = tx.channels.history(self.world.application, "prod", after=None, limit=1000)

        assert len(pointers) == len([one for one in self.world.operations() if one.state in _MOVED])

    @invariant()
    def nothing_stands_in_the_engine_that_the_catalog_does_not_know(self) -> None:
        ours = {name for name, held in self.world.engine.held.items() if held.mark}

        assert ours <= set(self.world.collections())

    @invariant()
    def what_applications_wrote_is_there(self) -> None:
        for name, written in self.world.written.items():
            assert len(self.world.texts(name)) == ROWS + written

    def teardown(self) -> None:
        """Let all come to rest: nobody signs any more, and workers have all the time they need."""
        if hasattr(self, "world"):
            self.rest()
        shutil.rmtree(self.folder, ignore_errors=True)

    def rest(self) -> None:
        world = self.world
        for _ in range(3):
            world.clock.turn(_LATE)
            while world.workers[0].run_one():
                pass
        world.reconciler.run()

        assert all(one.state.is_over for one in world.operations())
        assert CollectionState.BUILDING not in {one.state for one in world.collections().values()}
        assert world.engine.led[ALIAS] == world.place().collection
        assert world.engine.held[world.place().collection].sealed is (world.placing().mode is Mode.FROZEN)
        for name in world.written.keys() - {world.place().collection}:
            assert world.collections()[name].leftover is not None
        for name, one in world.collections().items():
            if one.is_warm and name not in self.broken:
                assert world.engine.held[name].sealed
                assert len(world.texts(name)) == ROWS


TestMoves = Moves.TestCase
TestMoves.settings = settings(
    max_examples=30, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
