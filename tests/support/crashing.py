"""A channel that is moved between two bundles while its processes die, and what must hold whatever happens to them."""

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psycopg

from regalia import moving, operations
from regalia.calls import channel_path
from regalia.client import Client
from regalia.core.digest import Digest
from regalia.core.errors import RegaliaError
from regalia.core.statements import Place
from regalia.core.strict_json import JsonObject
from regalia.wire.answers import OperationEntry
from regalia_cli.demo.stage import is_serving
from regalia_registry.ports.serving import Serving
from tests.servers.process import free_port
from tests.support.crash_engines import ENGINES, Engine
from tests.support.crash_stores import STORES, Stores
from tests.support.engines import root_of
from tests.support.registries import Home

PROD = "acme/support-agent:prod"
VERSIONS = ("1.0.0", "1.1.0")
LEASE_S = 4
PATIENCE_S = 180.0

_REPOSITORY = Path(__file__).parents[2]
_PROMPT = 'version: "{version}"\nprompt_id: greeting\ntemplate: "{{name}} {version}"\n'


@dataclass
class Reader:
    """An agent: resolves the channel and reads where that leads, again and again; `faults` is what it must never see.

    Where an engine is killed, `is_engine_there` is off, and an engine that does not answer is no fault.
    """

    client: Client
    engine: Engine
    faults: list[str] = field(default_factory=list)
    reads: int = 0
    is_engine_there: bool = True
    _over: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        while not self._over.wait(0.02):
            was_there = self.is_engine_there
            try:
                self._read()
            except (psycopg.Error, httpx.HTTPError) as error:
                if was_there and self.is_engine_there:
                    self.faults.append(repr(error))
            except RegaliaError as error:
                self.faults.append(repr(error))

    def stop(self) -> None:
        self._over.set()

    def _read(self) -> None:
        bundle = self.client.refresh(PROD)
        told = {bundle.prompt("greeting").render(name="hello").split()[1]}
        stored = {body.split()[0] for body in self.engine.bodies(bundle.collection("kb"))}
        self.reads += 1
        if not {bundle.version} == told == stored:
            self.faults.append(f"{bundle.version} says {told} and serves {stored}")


@dataclass
class Arena:
    """A registry whose only workers are those that a test starts, an engine, and a live channel with an alias."""

    kind: str
    made: Home
    stores: Stores
    engine: Engine
    client: Client
    reader: Reader
    workers: list["subprocess.Popen[bytes]"] = field(default_factory=list)
    written: int = 0
    roots: dict[str, Digest] = field(default_factory=dict)
    lost: set[str] = field(default_factory=set)

    def __str__(self) -> str:
        return f"{self.kind} under {self.stores.name}"

    @property
    def data(self) -> Path:
        return self.made.folder / ".local/share/regalia"

    def release(self, version: str) -> None:
        """Release a bundle whose prompt and rows tell its version."""
        (self.made.project / "prompts/greeting.yaml").write_text(_PROMPT.format(version=version))
        self.engine.fill(version)
        self.made.must("bundle", "create", version)

    def work(self) -> "subprocess.Popen[bytes]":
        self.workers.append(self.made.work(f"worker-{len(self.workers)}.log"))
        return self.workers[-1]

    def doomed(
        self, what: str, step: str, edge: str, *, port: int = 0, by: signal.Signals = signal.SIGKILL
    ) -> "subprocess.Popen[bytes]":
        """Start a process that dies, or stops, at an edge."""
        arguments = [what, str(self.data), step, edge, by.name, str(port)]
        command = [sys.executable, "-m", "tests.support.dying", *arguments]
        with (self.made.folder / f"worker-{len(self.workers)}.log").open("ab") as log:
            started = subprocess.Popen(
                command,
                cwd=_REPOSITORY,
                env=self.made.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self.workers.append(started)
        return started

    def rest(self) -> None:
        """Stop all workers."""
        for worker in self.workers:
            if worker.poll() is None:
                worker.terminate()
        for worker in self.workers:
            worker.wait(60)

    def logs(self, files: str = "*.log") -> list[dict[str, object]]:
        """Read what the processes logged."""
        lines = [line for file in self.made.folder.glob(files) for line in file.read_text().splitlines()]
        return [json.loads(line) for line in lines if line.startswith("{")]

    def served(self) -> tuple[str, Place]:
        """Say what the channel names now; a registry that is being started anew answers later."""
        deadline, before = time.monotonic() + PATIENCE_S, self.client.behind
        while (bundle := self.client.refresh(PROD)).provenance == "disk":
            if self.client.behind > before:
                break  # it has answered, with an older pointer
            assert time.monotonic() < deadline
        return bundle.version, bundle.collection("kb")

    def write(self) -> None:
        """Write into the live collection, so that a leftover is there when the channel leaves it."""
        version, place = self.served()
        self.written += 1
        self.engine.write(place, 10_000 + self.written, f"{version} written {self.written}")
        self.roots[place.collection] = self.root(place.collection)

    def root(self, collection: str) -> Digest:
        """Read a collection through, and prove that a search reaches each of its rows."""
        with closing(self.engine.provider()) as provider:
            schema = provider.collections.describe(collection).schema
            with provider.source.open(collection) as reading:
                rows = [row for batch in reading.batches() for row in batch]
            lost = provider.sink.unreachable(collection, [row.key for row in rows])
        assert not lost, f"no search finds {len(lost)} rows of {collection}"
        return root_of(schema, rows)

    def plan(self) -> moving.MovePlan:
        """Plan to move to the other bundle: forward where the channel stands on the first, else back."""
        return self.promote(VERSIONS[1]) if self.served()[0] == VERSIONS[0] else self.restore(VERSIONS[0])

    def promote(self, version: str) -> moving.MovePlan:
        """Plan to go forward."""
        return moving.plan_promote(self.client, self.client.parse(PROD), self.client.parse(version), moving.Facts())

    def restore(self, version: str) -> moving.MovePlan:
        """Plan to go back."""
        facts = moving.Facts(reason="INC-42")
        return moving.plan_restore(self.client, self.client.parse(PROD), version, facts, hold=False)

    def carry_out(self, plan: moving.MovePlan) -> None:
        """Move the channel, with nothing in its way."""
        asked = self.ask(plan)
        self.sign(self.ready(asked, plan))
        self.until(asked, "done")

    def ask(self, plan: moving.MovePlan, *, supersede: bool = False) -> OperationEntry:
        """Ask for a move to be prepared, and wait for nothing."""
        body: JsonObject = {"to": plan.target.digest, "move": str(plan.pointer.move), "supersede": supersede}
        return self.client.registry.send(OperationEntry, "POST", f"{channel_path(plan.channel)}/operations", body)

    def until(self, asked: OperationEntry, *states: str) -> OperationEntry:
        """Wait until an operation is in one of these states."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            found = operations.get_operation(self.client, "acme", asked.id)
            if found.operation.state in states:
                return found.operation
            assert time.monotonic() < deadline, (found.operation, [event.body for event in found.events])
            time.sleep(0.1)

    def sign(self, plan: moving.MovePlan, client: Client | None = None) -> None:
        """Sign a prepared plan and send it."""
        moving.execute(client or self.client, plan, moving.channel_signer(self.client, plan.channel))

    def ready(self, asked: OperationEntry, plan: moving.MovePlan) -> moving.MovePlan:
        """Wait until it may be signed, and take it up."""
        found = self.until(asked, "prepared", "failed", "cancelled")
        assert found.state == "prepared", found
        return moving.resume(self.client, plan, asked.id)

    @contextmanager
    def doomed_web(self, step: str, edge: str) -> Iterator[tuple["subprocess.Popen[bytes]", Client]]:
        """Start a web process that dies at an edge, and a client of it."""
        port = free_port()
        process, url = self.doomed("web", step, edge, port=port), f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + PATIENCE_S
        while not is_serving(url):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield process, Client(url, token=self.made.token, environment=self.made.environment, folder=self.made.project)

    def check(self, allowed: tuple[str, ...]) -> None:
        """Hold what must hold once nothing is at work: the channel, its collection, its alias, and nothing besides.

        A worker must run: it is who sets aliases.
        """
        version, place = self.served()
        assert version in allowed, version
        rows = self.stores.collections(self.engine.target)
        expected = self.roots.get(place.collection, Digest(rows[place.collection][1]))
        assert self.root(place.collection) == expected, f"{place.collection} holds other rows than it should"
        states = {state for state, _ in rows.values()}
        assert states <= {"ready", "retiring", "dropped"}, rows
        with closing(self.engine.provider()) as provider:
            ours = {one.name.partition(".")[0] for one in provider.collections.list() if one.mark}
            assert isinstance(provider, Serving)
            deadline = time.monotonic() + PATIENCE_S
            while provider.aliases.get(self.engine.alias) != place.collection:
                assert time.monotonic() < deadline, "the alias does not follow"
                time.sleep(0.1)
        known = {name for name, (state, _) in rows.items() if state != "dropped"} - self.lost
        assert ours == known, f"orphans {ours - known}, lost {known - ours}"
        assert not self.reader.faults, self.reader.faults[:3]


@contextmanager
def arena(made: Home, engine: str, *, mode: str = "live", stores: str = "sqlite") -> Iterator[Arena]:
    """Release two versions, move the channel to the first, and let an agent read all the while."""
    with STORES[stores](made.folder) as found:
        made.more |= found.settings
        with _prepared(made, engine, mode, found) as prepared:
            yield prepared


@contextmanager
def _prepared(made: Home, engine: str, mode: str, stores: Stores) -> Iterator[Arena]:
    made.more["REGALIA_SERVER_LEASE_S"] = str(LEASE_S)
    (made.project / "prompts").mkdir()
    made.must("init", "acme/support-agent", "--registry", made.url)
    made.start("--no-worker")
    used = ENGINES[engine](made)
    reader = Reader(Client(environment=made.environment, folder=made.project), used)
    found = Arena(engine, made, stores, used, Client(environment=made.environment, folder=made.project), reader)
    agent = threading.Thread(target=reader.run)
    try:
        found.work()
        with (made.project / "regalia.yaml").open("a") as file:
            file.write("push:\n  prompts/greeting: prompts/greeting.yaml\n")
            file.write(f"  snapshots/kb: {{target: {used.target}, collection: {used.collection}}}\n")
        for version in VERSIONS:
            found.release(version)
        made.must("channel", "set", PROD, "--snapshot", f"kb={used.target},mode={mode},alias={used.alias}")
        made.must("promote", VERSIONS[0], "--to", "prod")
        agent.start()
        yield found
    finally:
        reader.stop()
        if agent.ident is not None:
            agent.join()
        for worker in found.workers:
            worker.kill()
            worker.wait()
        made.stop()
        used.close()
