"""SIGKILL of workers and of engines in the middle of snapshots and loads, and workers that come back from the dead.

`REGALIA_KILLS` says how many moments of each: CI takes 5, a laptop 1, the whole is 50. `REGALIA_SEED` repeats a run.
"""

import json
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol
from uuid import UUID

import httpx
import psycopg
import pytest

from bench.processes import family
from regalia import operations
from regalia.client import Client
from regalia.wire.answers import OperationEntry, OperationProgress
from regalia_registry.adapters.vectors.pgvector.embedded import EmbeddedPostgres, wheel_binaries
from tests.servers import weaviate
from tests.support.crash_stores import OnOneMachine
from tests.support.registries import Home, home

KILLS = int(os.environ.get("REGALIA_KILLS") or ("5" if os.environ.get("CI") == "true" else "1"))
SEED = int(os.environ.get("REGALIA_SEED", "0")) or random.randrange(1, 2**31)  # noqa: S311 # when to kill guards nothing
LEASE_S = 4
_PATIENCE_S = 120.0


class Engine(Protocol):
    """A real engine, as a target of the registry; its users fill a collection in it."""

    target: str
    collection: str
    rows: int  # whose snapshot and load take about a second

    def fill(self, rows: int) -> None:
        """Make the collection."""
        ...

    def kill(self) -> None:
        """End all of its processes at once, and start it again where a worker does not."""
        ...

    def collections(self) -> list[str]:
        """Name what it holds, as operations do."""
        ...

    def close(self) -> None:
        """Leave nothing of it."""
        ...


class Pgvector:
    """The embedded one: a worker that meets a dead one starts it again."""

    target, collection, rows = "local", "public.kb", 12_000

    def __init__(self, made: Home) -> None:
        self._server = EmbeddedPostgres(made.folder / ".local/share/regalia/postgres", wheel_binaries())

    def fill(self, rows: int) -> None:
        self._server.start()
        with psycopg.connect(self._server.url, autocommit=True) as connection:
            connection.execute("CREATE TABLE kb (id bigint PRIMARY KEY, body text NOT NULL, embedding vector(8))")
            connection.execute("CREATE INDEX ON kb USING hnsw (embedding vector_l2_ops) WITH (m = 8)")
            connection.execute(
                "INSERT INTO kb SELECT n, 'passage ' || n, "
                "ARRAY[n %% 97, n %% 89, n %% 83, n %% 79, 1, 0, -n, n]::vector FROM generate_series(1, %s) n",
                (rows,),
            )

    def kill(self) -> None:
        file = self._server.folder / "cluster" / "postmaster.pid"
        postmaster = int(file.read_text().splitlines()[0]) if file.exists() else 0
        if postmaster:
            for pid in family(postmaster):
                with suppress(ProcessLookupError):  # a backend that ended by itself
                    os.kill(pid, signal.SIGKILL)

    def collections(self) -> list[str]:
        self._server.start()
        with psycopg.connect(self._server.url) as connection:
            found = connection.execute("SELECT schemaname FROM pg_tables WHERE tablename = 'kb'").fetchall()
        return [self.collection if schema == "public" else schema for (schema,) in found]

    def close(self) -> None:
        self._server.stop()
        shutil.rmtree(self._server.folder, ignore_errors=True)


class OfWeaviate:
    """One that somebody else runs, and starts again."""

    target, collection, rows = "kb", "Kb", 5_000

    def __init__(self, made: Home) -> None:
        self._server = weaviate.make(made.folder / "weaviate")
        self._server.start()
        made.must("target", "add", self.target, self._server.url, "--provider", "weaviate")

    def fill(self, rows: int) -> None:
        body = {"class": self.collection, "properties": [{"name": "body", "dataType": ["text"]}]}
        found = [
            {
                "class": self.collection,
                "id": str(UUID(int=number + 1)),
                "properties": {"body": f"passage {number}"},
                "vector": [number % 97, number % 89, number % 83, number % 79, 1, 0, -number, number],
            }
            for number in range(rows)
        ]
        with httpx.Client(base_url=self._server.origin, timeout=120) as client:
            client.post("/v1/schema", json=body).raise_for_status()
            for start in range(0, rows, 1000):
                client.post("/v1/batch/objects", json={"objects": found[start : start + 1000]}).raise_for_status()

    def kill(self) -> None:
        self._server.stop(signal.SIGKILL)
        self._server.start()

    def collections(self) -> list[str]:
        with httpx.Client(base_url=self._server.origin, timeout=120) as client:
            return [str(one["class"]) for one in client.get("/v1/schema").json()["classes"]]

    def close(self) -> None:
        self._server.stop(signal.SIGKILL)


ENGINES: dict[str, Callable[[Home], Engine]] = {"pgvector": Pgvector, "weaviate": OfWeaviate}


@dataclass
class Stage:
    """A registry without a worker of its own, an engine with a collection, and workers that the test starts."""

    made: Home
    engine: Engine
    client: Client
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def work(self) -> subprocess.Popen[bytes]:
        self.workers.append(self.made.work(f"worker-{len(self.workers)}.log"))
        return self.workers[-1]

    def log(self, number: int) -> str:
        return (self.made.folder / f"worker-{number}.log").read_text()

    def snapshot(self, name: str) -> OperationEntry:
        target, collection = self.engine.target, self.engine.collection
        return operations.start_snapshot(self.client, "acme", target=target, collection=collection, name=name)

    def load(self, logical: str) -> OperationEntry:
        return operations.start_load(self.client, "acme", "kb", "1.0.0", target=self.engine.target, logical=logical)

    def progress(self, asked: OperationEntry) -> OperationProgress:
        return operations.get_operation(self.client, "acme", asked.id)

    def steps(self, asked: OperationEntry) -> list[str]:
        return [str(event.body["step"]) for event in self.progress(asked).events]

    def until(self, asked: OperationEntry, step: str, *, times: int = 1) -> None:
        deadline = time.monotonic() + _PATIENCE_S
        while self.steps(asked).count(step) < times:
            assert time.monotonic() < deadline, self.steps(asked)
            time.sleep(0.01)

    def over(self, asked: OperationEntry) -> OperationEntry:
        deadline = time.monotonic() + _PATIENCE_S
        for progress in operations.watch(self.client, "acme", asked.id):
            found = progress.operation
            assert time.monotonic() < deadline, self.steps(asked)
        return found

    def outcome(self, asked: OperationEntry) -> dict[str, object]:
        found = self.over(asked)
        assert found.state == "done", f"{found.outcome}, seed {SEED}: {self.steps(asked)}"
        return dict(found.outcome or {})


@pytest.fixture(params=ENGINES)
def stage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stage]:
    with home(tmp_path) as made:
        made.more["REGALIA_SERVER_LEASE_S"] = str(LEASE_S)
        made.must("init", "acme/support-agent", "--registry", made.url)
        made.start("--no-worker")
        engine = ENGINES[request.param](made)
        found = Stage(made, engine, Client(environment=made.environment, folder=made.project))
        try:
            yield found
        finally:
            for worker in found.workers:
                worker.kill()
                worker.wait()
            made.stop()
            engine.close()
    for number in range(len(found.workers)):
        assert "Traceback" not in found.log(number), f"seed {SEED}: {found.log(number)}"


def kill_worker(stage: Stage) -> None:
    stage.workers[-1].kill()
    stage.workers[-1].wait()
    stage.work()


def kill_engine(stage: Stage) -> None:
    stage.engine.kill()


def struck(
    stage: Stage, kill: Callable[[Stage], None], ask: Callable[[int], OperationEntry]
) -> list[dict[str, object]]:
    """Do an operation twice undisturbed, to know how long a warm one takes, then strike each of many in its middle."""
    chance = random.Random(SEED)  # noqa: S311 # when to kill guards nothing
    outcomes = [stage.outcome(ask(0))]
    began = time.monotonic()
    outcomes.append(stage.outcome(ask(1)))
    whole_s, hit = time.monotonic() - began, 0
    for number in range(2, KILLS + 2):
        asked = ask(number)
        time.sleep(chance.uniform(0, whole_s))
        hit += stage.progress(asked).operation.state == "running"
        kill(stage)
        outcomes.append(stage.outcome(asked))
    print(f"seed {SEED}: {hit} of {KILLS} kills met an operation of {whole_s:.1f} s at work")  # noqa: T201 # how to repeat it
    return outcomes


KILLED = {"worker": kill_worker, "engine": kill_engine}


@pytest.mark.parametrize("kill", KILLED.values(), ids=KILLED)
def test_a_snapshot_survives_every_kill(stage: Stage, kill: Callable[[Stage], None]) -> None:
    stage.engine.fill(stage.engine.rows)
    stage.work()

    taken = struck(stage, kill, lambda number: stage.snapshot(f"kb{number}"))
    again = stage.outcome(stage.snapshot("kb0"))

    assert {one["content_root"] for one in taken} == {again["content_root"]}
    assert {one["count"] for one in taken} == {stage.engine.rows}
    assert not again["created"]
    for number in (0, KILLS + 1):
        version = str(taken[number]["version"])
        assert stage.outcome(operations.start_verify(stage.client, "acme", f"kb{number}", version))["verified"]


@pytest.mark.parametrize("kill", KILLED.values(), ids=KILLED)
def test_a_load_survives_every_kill(stage: Stage, kill: Callable[[Stage], None]) -> None:
    stage.engine.fill(stage.engine.rows)
    stage.work()
    source = stage.outcome(stage.snapshot("kb"))

    loaded = struck(stage, kill, lambda number: stage.load(f"copy{number}"))  # each proves its rows and their index
    again = stage.outcome(stage.snapshot("kb"))

    assert {one["content_root"] for one in (*loaded, again)} == {source["content_root"]}
    made = [str(one["collection"]) for one in loaded]
    assert sorted(stage.engine.collections()) == sorted([stage.engine.collection, *made])


def pause(stage: Stage, worker: "subprocess.Popen[bytes]") -> None:
    """Stop a worker between two commits: one that is stopped in a commit holds SQLite's lock (decision 0007)."""
    catalog = OnOneMachine(stage.made.folder / ".local/share/regalia/registry.db")
    worker.send_signal(signal.SIGSTOP)
    while catalog.is_locked():
        worker.send_signal(signal.SIGCONT)
        time.sleep(0.01)
        worker.send_signal(signal.SIGSTOP)


@pytest.mark.parametrize("what", ["snapshot", "load"])
def test_a_worker_that_wakes_up_after_its_lease_stops_and_changes_nothing(stage: Stage, what: str) -> None:
    stage.engine.fill(5 * stage.engine.rows)
    late = stage.work()
    source = stage.outcome(stage.snapshot("kb"))
    asked = stage.load("copy") if what == "load" else stage.snapshot("copy")
    stage.until(asked, "loading" if what == "load" else "reading")

    pause(stage, late)
    stage.work()
    stage.until(asked, "connecting", times=2)
    late.send_signal(signal.SIGCONT)

    outcome = stage.outcome(asked)
    assert (outcome["count"], outcome["content_root"]) == (source["count"], source["content_root"])
    assert stage.steps(asked).count("done") == 1
    assert stage.outcome(stage.snapshot("kb"))["content_root"] == source["content_root"]
    told = [json.loads(line) for line in stage.log(0).splitlines()]
    left = [line for line in told if line["event"] == "operation left" and line["operation"] == asked.id]
    assert left[0]["epoch"] == 1
    assert len(stage.engine.collections()) == (2 if what == "load" else 1)


@pytest.mark.parametrize("stage", ["pgvector"], indirect=True)  # where an index is one long statement
def test_a_load_that_is_cancelled_while_it_indexes_ends_and_leaves_nothing(stage: Stage) -> None:
    stage.engine.fill(5 * stage.engine.rows)
    stage.work()
    stage.outcome(stage.snapshot("kb"))
    asked = stage.load("copy")
    stage.until(asked, "indexing")

    operations.cancel(stage.client, "acme", asked.id)

    assert stage.over(asked).state == "cancelled"
    assert "verifying" not in stage.steps(asked)
    assert stage.engine.collections() == [stage.engine.collection]


@pytest.mark.parametrize("stage", ["pgvector"], indirect=True)
def test_a_worker_that_is_stopped_while_it_indexes_leaves_its_operation_to_the_next_at_once(stage: Stage) -> None:
    stage.made.more["REGALIA_SERVER_LEASE_S"] = "600"  # so that nobody takes it over
    stage.engine.fill(5 * stage.engine.rows)
    stage.work()
    stage.outcome(stage.snapshot("kb"))
    asked = stage.load("copy")
    stage.until(asked, "indexing")

    stage.workers[0].terminate()
    assert stage.workers[0].wait() == 0
    stage.work()

    assert stage.outcome(asked)["count"] == 5 * stage.engine.rows
    assert stage.steps(asked).count("connecting") == 2
    assert "the worker stops" in stage.log(0)


def test_a_killed_worker_of_reg_serve_is_started_again(tmp_path: Path) -> None:
    with home(tmp_path) as made:
        made.start()
        [killed] = made.workers()
        os.kill(killed, signal.SIGKILL)
        deadline = time.monotonic() + _PATIENCE_S
        while not set(made.workers()) - {killed}:
            assert time.monotonic() < deadline
            time.sleep(0.05)

    assert "a process ended (-9); another starts in 0.2 s" in (tmp_path / "registry.log").read_text()


def test_a_worker_needs_a_folder_that_was_served(tmp_path: Path) -> None:
    with home(tmp_path) as made:
        absent = made.reg("worker", "--data", str(tmp_path / "absent"))
        (tmp_path / "empty").mkdir()
        empty = made.reg("worker", "--data", str(tmp_path / "empty"))
        made.more["REGALIA_SERVER_LEASE_S"] = "3"
        short = made.reg("worker", "--data", str(tmp_path / "empty"))

    assert [one.returncode for one in (absent, empty, short)] == [1, 1, 1]
    assert "reg serve makes one at its first start" in absent.stderr
    assert "reg serve makes it when it starts" in empty.stderr
    assert 'the setting "lease_s" is wrong: input should be greater than or equal to 4' in short.stderr
