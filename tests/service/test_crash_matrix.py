"""SIGKILL before and after every step of a move's course, on both engines: nothing is ever half moved.

Each kill point is followed by another worker that goes on, or by somebody who cancels. A sample is taken by
`REGALIA_SEED`, of the points and of the registry's stores, `REGALIA_SAMPLE` says how many points; `REGALIA_CRASH=all`
takes every point with both endings, and `REGALIA_CRASH_STORES=sqlite,postgresql` both kinds of stores, as `make crash`.
"""

import os
import random
import signal
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from regalia import operations
from regalia.core.errors import ConflictError, UnavailableError
from regalia.moving import MovePlan
from regalia.wire.answers import OperationEntry
from regalia_registry.services.steps.course import ALIASES, COMMIT, COURSE, LEFTOVER, Step
from tests.support.crash_stores import CASES, drawn
from tests.support.crashing import Arena, arena
from tests.support.dying import EDGES
from tests.support.registries import home

SEED = int(os.environ.get("REGALIA_SEED", "0")) or random.randrange(1, 2**31)  # noqa: S311 # what is sampled guards nothing
IS_WHOLE = os.environ.get("REGALIA_CRASH") == "all"
SAMPLE = int(os.environ.get("REGALIA_SAMPLE") or (3 if os.environ.get("CI") == "true" else 2))


@dataclass(frozen=True)
class Point:
    """Where a process dies."""

    step: Step
    edge: str

    @property
    def is_committed(self) -> bool:
        """Whether the channel has moved by then: nobody can take that back."""
        return self.step in {ALIASES, LEFTOVER} or (self.step, self.edge) == (COMMIT, "after")

    def __str__(self) -> str:
        return f"{self.edge} {self.step.name}"


POINTS = tuple(Point(step, edge) for step in COURSE for edge in EDGES)


def cases(engine: str) -> list[tuple[Point, str]]:
    """Give all points with both endings, or a sample."""
    every = [(point, ending) for point in POINTS for ending in ENDINGS]
    return every if IS_WHOLE else random.Random(f"{SEED} {engine}").sample(every, SAMPLE)  # noqa: S311 # no secret


@pytest.fixture(scope="module")
def survived() -> Iterator[set[tuple[str, Point]]]:
    """Keep which points each engine survived on which stores, and say it in the end."""
    found: set[tuple[str, Point]] = set()
    yield found
    tried = {stage for stage, _ in found}
    print(f"\nseed {SEED}: {len(POINTS)} kill points on each of {', '.join(sorted(tried))}: {len(found)} passed")  # noqa: T201 # the outcome


@pytest.fixture(scope="module", params=CASES, ids=lambda case: "-".join(filter(None, case)))
def stage(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arena]:
    engine, stores = request.param
    chosen = stores or drawn(engine, SEED)
    with home(tmp_path_factory.mktemp("home")) as made, arena(made, engine, stores=chosen) as found:
        yield found


def test_nothing_is_ever_half_moved(stage: Arena, survived: set[tuple[str, Point]]) -> None:
    for point, ending in cases(stage.kind):
        print(f"seed {SEED}: {stage} killed {point}, then {ending}")  # noqa: T201 # how to repeat it
        stage.rest()
        stage.write()
        asked, plan = killed(stage, point, stage.plan())
        ENDINGS[ending](stage, point, asked, plan)
        survived.add((str(stage), point))

    assert stage.reader.reads > 0


@pytest.mark.parametrize("stage", CASES[:1], indirect=True)  # the course is one, whatever the engine
def test_a_move_crosses_every_step_that_is_killed_and_no_other(stage: Arena) -> None:
    stage.rest()
    stage.work()
    stage.write()
    plan = stage.plan()
    asked = stage.ask(plan)
    stage.sign(stage.ready(asked, plan))
    stage.until(asked, "done")

    of_this = [told for told in stage.logs() if told.get("operation") == asked.id]
    for event in EDGES.values():
        assert {told["step"] for told in of_this if told["event"] == event} == {point.step.name for point in POINTS}


def killed(stage: Arena, point: Point, plan: MovePlan) -> tuple[OperationEntry, MovePlan]:
    """Ask for a move, and let whoever comes to the point die there."""
    asked = stage.ask(plan)
    if point.step is COMMIT:
        stage.work()
        plan = stage.ready(asked, plan)
        with stage.doomed_web(point.step.name, point.edge) as (victim, client), pytest.raises(UnavailableError):
            stage.sign(plan, client)
    else:
        victim = stage.doomed("worker", point.step.name, point.edge)
        if point.is_committed:
            plan = stage.ready(asked, plan)
            stage.sign(plan)
    assert victim.wait(120) == -signal.SIGKILL
    return asked, plan


def resumed(stage: Arena, point: Point, asked: OperationEntry, plan: MovePlan) -> None:
    """Let another worker go on, and sign where that was not done."""
    stage.work()
    if not point.is_committed:
        plan = stage.ready(asked, plan)
        stage.sign(plan)
    elif point.step is COMMIT:
        stage.sign(plan)  # its answer was lost: asking again is answered again
    stage.until(asked, "done")
    stage.check((plan.target.version,))


def cancelled(stage: Arena, point: Point, asked: OperationEntry, plan: MovePlan) -> None:
    """Take the move back, where that is allowed."""
    if point.is_committed:
        with pytest.raises(ConflictError, match="has moved its channel"):
            operations.cancel(stage.client, "acme", asked.id)
        resumed(stage, point, asked, plan)
        return
    operations.cancel(stage.client, "acme", asked.id)
    stage.work()
    stage.until(asked, "cancelled")
    assert plan.current is not None
    stage.check((plan.current.version,))
    with pytest.raises(ConflictError):
        stage.sign(plan)


ENDINGS = {"resumed": resumed, "cancelled": cancelled}
