"""Bringing a release back, vectors included: warm and cold, on PostgreSQL and on Weaviate; resolves beside it.

Peers, in the same run: `pg_restore` of the table, Weaviate's own restore of a backup of the class, and a move of a
channel that has no vectors, which is the floor.
`REGALIA_BENCH_ROWS` and `REGALIA_BENCH_DIMS` set the size on PostgreSQL; Weaviate gets half the rows.
"""

import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import cycle, pairwise
from pathlib import Path

import httpx
import psycopg

from bench import load, resolve
from bench.passages import Passages
from bench.snapshots import phases_of
from bench.table import Row
from regalia import moving
from regalia.client import Client
from regalia_registry.adapters.vectors.pgvector.embedded import EmbeddedPostgres, wheel_binaries
from tests.servers import weaviate as servers
from tests.support.registries import Home, home

_WARM = 40
_BESIDE_S = 8.0
_POLL_S = 0.05
_PHASES = ("plan", "prepare", "sign and commit", "settle")
_PROMPT = 'version: "{version}"\nprompt_id: greeting\ntemplate: "Hello from {version}."\n'
_APPLICATION = "acme/support-agent"


def rows() -> Iterator[Row]:
    """Measure one application on each engine, and without vectors."""
    count = int(os.environ.get("REGALIA_BENCH_ROWS", "100000"))
    passages = Passages(count, int(os.environ.get("REGALIA_BENCH_DIMS", "384")))
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        settings = {"ENABLE_MODULES": "backup-filesystem", "BACKUP_FILESYSTEM_PATH": str(Path(folder) / "backups")}
        far = stack.enter_context(servers.running(Path(folder) / "weaviate", **settings))
        (Path(folder) / "home").mkdir()
        with home(Path(folder) / "home") as ours:
            ours.must("init", _APPLICATION, "--registry", ours.url)
            ours.start(workers=2)
            ours.must("target", "add", "far", far.url, "--provider", "weaviate")
            yield from _measured(ours, passages, far, Path(folder))


def _measured(ours: Home, passages: Passages, far: servers.Weaviate, folder: Path) -> Iterator[Row]:
    size, half = f"{passages.rows:,} x {passages.dims}", passages.rows // 2
    client = Client(environment=ours.environment, folder=ours.project)
    ours.must("target", "check", "local")  # the worker starts it
    with psycopg.connect(_local(ours).url, autocommit=True) as connection:
        passages.fill(connection)
        connection.execute("CREATE INDEX ON kb USING hnsw (embedding vector_cosine_ops)")
        _release(ours, "1.0.0")
        passages.churn(connection)
        _release(ours, "1.1.0")
        yield _cold(ours, Case("prod", "local", "1.0.0", "1.1.0"), f"{size} on PostgreSQL", _pg_restored(ours, folder))
        floor = _moves(client, Case("floor", "", "1.0.0", "1.1.0"))
        yield _warm(client, Case("prod", "local", "1.0.0", "1.1.0"), f"{size} on PostgreSQL", floor)
        yield _beside(ours, Case("prod", "local", "1.0.0", "1.1.0"))
        connection.execute("DELETE FROM kb WHERE id >= %s", (half,))
        _release(ours, "1.2.0")
        connection.execute("DELETE FROM kb WHERE id % 200 = 3")
        _release(ours, "1.3.0")
    size = f"{half:,} x {passages.dims} on Weaviate"
    case = Case("far", "far", "1.2.0", "1.3.0")
    cold = _cold(ours, case, size, "")
    yield _warm(client, case, size, floor)
    place = client.refresh(case.name).collection("kb")
    ours.stop()  # its worker would seal again what is opened for a backup
    yield replace(cold, peer=_weaviate_restored(far.origin, place.collection))


@dataclass(frozen=True)
class Case:
    """A channel that goes back and forth between two bundles; `target` is where it places their vectors, if it does."""

    channel: str
    target: str
    old: str
    new: str

    @property
    def name(self) -> str:
        """The channel, as people write it."""
        return f"{_APPLICATION}:{self.channel}"


def _release(ours: Home, version: str) -> None:
    """Make a bundle of the prompt and the table as it is."""
    (ours.project / "prompts").mkdir(exist_ok=True)
    (ours.project / "prompts/greeting.yaml").write_text(_PROMPT.format(version=version))
    manifest = ours.project / "regalia.yaml"
    if "push:" not in manifest.read_text():
        lines = "push:\n  prompts/greeting: prompts/greeting.yaml\n  snapshots/kb: {target: local, collection: kb}\n"
        manifest.write_text(manifest.read_text() + lines)
    ours.must("bundle", "create", version)


def _cold(ours: Home, case: Case, what: str, peer: str) -> Row:
    """Bring back a release whose vectors are nowhere; gives the share of each phase."""
    ours.must("promote", case.old, "--to", case.channel, "--unplaced")
    ours.must("channel", "set", case.name, "--snapshot", f"kb={case.target},alias=Kb_{case.channel}")
    ours.must("promote", case.new, "--to", case.channel)
    began = time.perf_counter()
    ours.must("restore", case.name, "--to", case.old, "--reason", "bench", "--no-hold", "--yes")
    spent_s = time.perf_counter() - began
    told = ", ".join(f"{step} {took:.0f}" for step, took in phases_of(ours).items() if took >= 1)
    must = "≤ 45 s" if case.target == "local" else ""
    return Row(f"cold restore of {what}, until its alias is read back", f"{spent_s:.1f} s ({told})", peer, must=must)


def _warm(client: Client, case: Case, what: str, floor: Sequence[Sequence[float]]) -> Row:
    """Bring back one and the other, both of which are there."""
    moves = _moves(client, case)
    times, phases = [sum(one) for one in moves], [_percentile(phase, 50) for phase in zip(*moves, strict=True)]
    told = ", ".join(f"{name} {took:.0f}" for name, took in zip(_PHASES, phases, strict=True))
    nothing = [sum(one) for one in floor]
    return Row(
        f"warm restore of {what}, from the request until committed and its alias read back, p50; slowest of {_WARM}",
        f"{_percentile(times, 50):.0f} ms ({told}); {max(times):.0f} ms",
        f"{_percentile(nothing, 50):.0f} ms; {max(nothing):.0f} ms (us, a channel without vectors)",
        f"{_percentile(times, 50) / _percentile(nothing, 50):.1f} x",
        "< 1 s",
        "< 100 ms",
    )


def _moves(client: Client, case: Case) -> list[list[float]]:
    """Move a channel back and forth; gives the milliseconds of each move's phases."""
    channel, moves = client.parse(case.name), list[list[float]]()
    if not case.target:
        for version in (case.old, case.new):
            plan = moving.plan_promote(client, channel, client.parse(version), moving.Facts())
            moving.execute(client, plan, moving.channel_signer(client, channel), unplaced=True)
    for number in range(_WARM):
        times = [time.perf_counter()]
        version = (case.new, case.old)[number % 2] if case.target else (case.old, case.new)[number % 2]
        plan = moving.plan_restore(client, channel, version, moving.Facts("bench"), hold=False)
        times.append(time.perf_counter())
        if case.target:
            plan = moving.prepare(client, plan, lambda _: None)
        times.append(time.perf_counter())
        moving.execute(client, plan, moving.channel_signer(client, channel), unplaced=not case.target)
        times.append(time.perf_counter())
        moving.settled(client, plan, lambda _: None)
        times.append(time.perf_counter())
        moves.append([(end - start) * 1e3 for start, end in pairwise(times)])
    return moves


def _beside(ours: Home, case: Case) -> Row:
    """Resolve without pause while one restores the channel after the other, and while nothing is done."""
    asked = resolve.request(ours)
    load.run(ours.port, asked, seconds=1.0)
    idle = load.run(ours.port, asked, connections=4, seconds=_BESIDE_S)
    over = threading.Event()
    moves = threading.Thread(target=_restore_until, args=(ours, case, over))
    moves.start()
    busy = load.run(ours.port, asked, connections=4, seconds=_BESIDE_S)
    over.set()
    moves.join()
    return Row(
        "resolve p99, 4 connections, while `reg restore` brings its channel back without pause",
        f"{busy.p99_ms:.1f} ms",
        f"{idle.p99_ms:.1f} ms (us, idle)",
        f"{busy.p99_ms / idle.p99_ms:.1f} x",
        "≤ 2 x",
    )


def _restore_until(ours: Home, case: Case, over: threading.Event) -> None:
    """Restore as an SRE does, in a process of its own: one in ours would stop the load's clock for its own work."""
    for version in cycle((case.new, case.old)):
        if over.is_set():
            return
        ours.must("restore", case.name, "--to", version, "--reason", "bench", "--no-hold", "--yes")


def _pg_restored(ours: Home, folder: Path) -> str:
    """Dump the table, and have PostgreSQL's own tool bring it back, its index included."""
    url, path = _local(ours).url, folder / "kb.dump"
    subprocess.run([wheel_binaries() / "pg_dump", "-Fc", "-t", "public.kb", "-f", path, url], check=True)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA aside")
        connection.execute("ALTER TABLE kb SET SCHEMA aside")
        began = time.perf_counter()
        given = {**os.environ, "PGOPTIONS": "-c maintenance_work_mem=512MB"}  # as ours: its index is built in memory
        subprocess.run([wheel_binaries() / "pg_restore", "--no-owner", "-d", url, path], check=True, env=given)
        spent_s = time.perf_counter() - began
        connection.execute("DROP TABLE public.kb")
        connection.execute("ALTER TABLE aside.kb SET SCHEMA public")
    path.unlink()
    return f"{spent_s:.1f} s (pg_restore, while nobody reads)"


def _weaviate_restored(origin: str, name: str) -> str:
    """Have the server back a class up, drop it, and bring it back; its graph is in the backup, and is not built."""
    with httpx.Client(base_url=origin, timeout=600) as rest:
        for shard in rest.get(f"/v1/schema/{name}/shards").json():
            rest.put(f"/v1/schema/{name}/shards/{shard['name']}", json={"status": "READY"}).raise_for_status()
        rest.post("/v1/backups/filesystem", json={"id": "peer", "include": [name]}).raise_for_status()
        _await(rest, "/v1/backups/filesystem/peer")
        rest.delete(f"/v1/schema/{name}").raise_for_status()
        began = time.perf_counter()
        rest.post("/v1/backups/filesystem/peer/restore", json={}).raise_for_status()
        _await(rest, "/v1/backups/filesystem/peer/restore")
        return f"{time.perf_counter() - began:.1f} s (its own restore of a backup, while nobody reads)"


def _await(rest: httpx.Client, path: str) -> None:
    while (status := rest.get(path).json()["status"]) != "SUCCESS":
        assert status != "FAILED", path
        time.sleep(_POLL_S)


def _local(ours: Home) -> EmbeddedPostgres:
    return EmbeddedPostgres(ours.folder / ".local/share/regalia/postgres", wheel_binaries())


def _percentile(times: Sequence[float], percent: int) -> float:
    ordered = sorted(times)
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]
