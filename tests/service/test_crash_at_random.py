"""SIGKILL of any process of a move at any moment, under load; and a worker that wakes up long after its lease.

`REGALIA_SEED` repeats a run; `REGALIA_CRASH=all` is hundreds of kills, `REGALIA_CRASH_STORES=sqlite,postgresql` on both
kinds of stores, as `make crash` does them.
"""

import os
import random
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from regalia.moving import MovePlan
from regalia.wire.answers import OperationEntry
from regalia_registry.services.steps.course import COMMIT, COURSE, PLAN, Step
from tests.support.crash_stores import CASES, drawn
from tests.support.crashing import PATIENCE_S, Arena, arena
from tests.support.dying import EDGES
from tests.support.registries import home
from tests.support.releases import patiently

SEED = int(os.environ.get("REGALIA_SEED", "0")) or random.randrange(1, 2**31)  # noqa: S311 # when to kill guards nothing
IS_WHOLE = os.environ.get("REGALIA_CRASH") == "all"
DEFAULT = 150 if IS_WHOLE else 3 if os.environ.get("CI") == "true" else 1
KILLS = int(os.environ.get("REGALIA_KILLS") or DEFAULT)  # of each engine
STOPS = [step for step in COURSE if step not in {PLAN, COMMIT}]  # one changes nothing, one is no worker's


@pytest.fixture(scope="module", params=CASES, ids=lambda case: "-".join(filter(None, case)))
def stage(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arena]:
    engine, stores = request.param
    chosen = stores or drawn(engine, SEED)
    with home(tmp_path_factory.mktemp("home")) as made, arena(made, engine, stores=chosen) as found:
        yield found


def kill_worker(stage: Arena) -> None:
    stage.workers[-1].kill()
    stage.workers[-1].wait()
    stage.work()


def kill_web(stage: Arena) -> None:
    """Kill a web process; its supervisor starts another."""
    with suppress(ProcessLookupError):
        os.kill(stage.made.web_processes()[0], signal.SIGKILL)


def kill_engine(stage: Arena) -> None:
    stage.reader.is_engine_there = False
    stage.engine.kill()
    stage.reader.is_engine_there = True


KILLED = {"worker": kill_worker, "web process": kill_web, "engine": kill_engine}


def carried_out(stage: Arena) -> MovePlan:
    """Move the channel to the other bundle, whatever dies meanwhile."""
    plan = patiently(stage.plan)
    asked = patiently(lambda: stage.ask(plan))
    prepared = patiently(lambda: stage.ready(asked, plan))
    patiently(lambda: stage.sign(prepared))
    patiently(lambda: stage.until(asked, "done"))
    return plan


def test_a_move_survives_whatever_dies_whenever(stage: Arena) -> None:
    chance = random.Random(f"{SEED} {stage.kind}")  # noqa: S311 # no secret
    stage.rest()
    stage.work()
    stage.write()
    began = time.monotonic()
    carried_out(stage)
    whole_s = time.monotonic() - began

    for number in range(KILLS):
        victim, after_s = chance.choice(sorted(KILLED)), chance.uniform(0, whole_s)
        print(f"seed {SEED}: {stage} kill {number}: a {victim} after {after_s:.2f} s")  # noqa: T201 # how to repeat it
        stage.write()
        killing = threading.Timer(after_s, KILLED[victim], [stage])
        killing.start()
        plan = carried_out(stage)
        killing.join()
        stage.check((plan.target.version,))

    print(f"seed {SEED}: {KILLS} kills on {stage}, {stage.reader.reads} reads: none mixed, none failed")  # noqa: T201 # the outcome


def until_still(stage: Arena, late: "subprocess.Popen[bytes]") -> None:
    """Wait until a worker has stopped; in a commit of its renewal it would hold the catalog's lock (decision 0007)."""
    stat = Path(f"/proc/{late.pid}/stat")
    while stat.read_text().rpartition(")")[2].split()[0] != "T":
        assert late.poll() is None, "it has ended"
        time.sleep(0.05)
    while stage.stores.is_locked():
        late.send_signal(signal.SIGCONT)
        time.sleep(0.01)
        late.send_signal(signal.SIGSTOP)


def stops(engine: str) -> list[tuple[Step, str]]:
    every = [(step, edge) for step in STOPS for edge in EDGES]
    return every if IS_WHOLE else [random.Random(f"{SEED} {engine}").choice(every)]  # noqa: S311 # no secret


def test_a_worker_that_wakes_up_long_after_its_lease_changes_nothing(stage: Arena) -> None:
    for step, edge in stops(stage.kind):
        print(f"seed {SEED}: {stage} stopped {edge} {step.name}")  # noqa: T201 # how to repeat it
        stage.rest()
        stage.write()
        plan = stage.plan()
        asked = stage.ask(plan)
        late = stage.doomed("worker", step.name, edge, by=signal.SIGSTOP)
        signing = threading.Thread(target=sign_once_prepared, args=(stage, asked, plan))
        signing.start()
        until_still(stage, late)

        stage.work()
        signing.join()
        done = stage.until(asked, "done")
        stage.write()
        late.send_signal(signal.SIGCONT)

        until_left(stage, late, asked)
        assert stage.until(asked, "done") == done
        stage.check((plan.target.version,))


def sign_once_prepared(stage: Arena, asked: OperationEntry, plan: MovePlan) -> None:
    stage.sign(stage.ready(asked, plan))


def until_left(stage: Arena, late: "subprocess.Popen[bytes]", asked: OperationEntry) -> None:
    """Wait until the late worker says that it is done with the operation."""
    deadline = time.monotonic() + PATIENCE_S
    while not any(
        told["event"] in {"operation left", "operation over"} and told.get("operation") == asked.id
        for told in stage.logs(f"worker-{stage.workers.index(late)}.log")
    ):
        assert time.monotonic() < deadline
        time.sleep(0.1)
