"""`python -m bench`: measure us and the peer on this machine in this run, and print the table of ratios."""

import os
import sys
import tempfile
import time
import tomllib
from dataclasses import dataclass
from pathlib import Path

from bench import load, peer
from bench.processes import cpu_s, family, fresh_ms, rss_mb
from regalia import publishing
from regalia.client import Client
from regalia.core.kinds.prompt import PromptConfig
from regalia.core.names import Kind, Slot
from regalia.sources import Draft
from regalia_cli.demo.stage import FILES, free_port
from tests.support.registries import Home, home

PROD = "acme/support-agent:prod"
_AGENT = f'from regalia import Client; print(Client().resolve("{PROD}").prompt("customer_support").template)'


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    what: str
    ours: str
    peer: str
    ratio: str
    must: str


def main() -> None:
    """Measure and print."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # what users install is compiled; the peer's environment is too
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "peer").mkdir()
        (Path(folder) / "ours").mkdir()
        print("| what | ours | MLflow | ratio | must |\n|---|---|---|---|---|")
        with (
            peer.running(Path(folder) / "peer", free_port()) as theirs,
            home(Path(folder) / "ours", files=FILES) as ours,
        ):
            ours.must("init", "acme/support-agent", "--registry", ours.url)
            began = time.perf_counter()
            ours.start(workers=2)
            start_s = time.perf_counter() - began
            ours.must("bundle", "create", "1.0.0")
            ours.must("promote", "1.0.0", "--to", "prod")
            for row in _rows(ours, theirs, start_s):
                print(f"| {row.what} | {row.ours} | {row.peer} | {row.ratio} | {row.must} |", flush=True)


def _rows(ours: Home, theirs: peer.Peer, start_s: float) -> list[Row]:
    return [*_resolve(ours, theirs), *_fresh(ours, theirs), *_publish(ours, theirs), *_memory(ours, theirs, start_s)]


def _resolve(ours: Home, theirs: peer.Peer) -> list[Row]:
    assert ours.server is not None
    credentials = tomllib.loads((ours.folder / ".config/regalia/credentials.toml").read_text())
    token = next(iter(credentials.values()))["token"]
    path = "/v1/apps/acme/support-agent/channels/prod/resolve?root=1"
    mine, mine_us = _loaded(ours.port, load.request_of(path, ours.port, token), ours.server.pid)
    path = "/api/2.0/mlflow/registered-models/alias?name=customer_support&alias=prod"
    peers, peers_us = _loaded(theirs.port, load.request_of(path, theirs.port), theirs.pid)
    return [
        Row(
            "resolve, requests a second, 16 connections, 2 workers",
            f"{mine.per_s:,.0f}",
            f"{peers.per_s:,.0f}",
            f"{mine.per_s / peers.per_s:.0f} x",
            "20 x",
        ),
        Row(
            "server CPU a resolve",
            f"{mine_us:.0f} µs",
            f"{peers_us:,.0f} µs",
            f"1/{peers_us / mine_us:.0f}",
            "≤ 120 µs",
        ),
        Row(
            "resolve p99, 16 connections",
            f"{mine.p99_ms:.1f} ms",
            f"{peers.p99_ms:.0f} ms",
            f"1/{peers.p99_ms / mine.p99_ms:.0f}",
            "≤ 20 ms",
        ),
    ]


def _loaded(port: int, request: bytes, pid: int) -> tuple[load.Load, float]:
    load.run(port, request, seconds=1.0)
    pids = family(pid)
    before = cpu_s(pids)
    found = load.run(port, request, seconds=6.0)
    return found, (cpu_s(pids) - before) / found.requests * 1e6


def _fresh(ours: Home, theirs: peer.Peer) -> list[Row]:
    def timed(script: str) -> float:
        return fresh_ms([sys.executable, "-c", script], environment=ours.environment, cwd=ours.project)

    bare, imported, online = timed("pass"), timed("import regalia"), timed(_AGENT)
    client = Client(environment=ours.environment, folder=ours.project)
    client.resolve(PROD)
    began = time.perf_counter()
    for _ in range(100_000):
        client.resolve(PROD)
    cached_us = (time.perf_counter() - began) / 100_000 * 1e6
    their_fresh, their_import, their_cached = theirs.fresh_ms(), theirs.import_ms(), theirs.cached_us()
    return [
        Row(
            "fresh process to a verified bundle",
            f"{online:.0f} ms",
            f"{their_fresh:,.0f} ms (unverified)",
            f"1/{their_fresh / online:.0f}",
            "12 x",
        ),
        Row(
            "`import regalia`",
            f"{imported:.0f} ms (interpreter {bare:.0f})",
            f"{their_import:,.0f} ms",
            f"1/{their_import / imported:.0f}",
            "≤ 40 ms",
        ),
        Row(
            "resolve from memory, warm process",
            f"{cached_us:.2f} µs",
            f"{their_cached:.0f} µs",
            f"1/{their_cached / cached_us:.0f}",
            "20 x",
        ),
    ]


def _publish(ours: Home, theirs: peer.Peer) -> list[Row]:
    client = Client(environment=ours.environment, folder=ours.project)
    count = 200
    drafts = [_draft(number) for number in range(count)]
    began = time.perf_counter()
    publishing.push(client, "acme", drafts)
    mine = count / (time.perf_counter() - began)
    peers = theirs.publish_per_s()
    told = "durable publish, one client, over HTTP (two blobs and a manifest each)"
    return [Row(told, f"{mine:.0f}/s", f"{peers:.0f}/s", f"{mine / peers:.0f} x", "5 x")]


def _draft(number: int) -> Draft:
    config = PromptConfig("busy", f"1.0.{number}", "none", template=str(number))
    content = {"busy.txt": ("text/plain", str(number).encode())}
    return Draft(Slot(Kind.PROMPT, "busy"), config, content, origin="bench", has_version=True)


def _memory(ours: Home, theirs: peer.Peer, start_s: float) -> list[Row]:
    assert ours.server is not None
    mine = [rss_mb(pid) for pid in family(ours.server.pid)]
    peers = sum(rss_mb(pid) for pid in theirs.processes())
    web = max(mine)
    return [
        Row("memory of a web process", f"{web:.0f} MB", "", "", "≤ 120 MB"),
        Row(
            "memory of all of the service",
            f"{sum(mine):.0f} MB",
            f"{peers:,.0f} MB",
            f"1/{peers / sum(mine):.0f}",
            "≤ 400 MB",
        ),
        Row("start until it answers", f"{start_s:.1f} s", "", "", "≤ 3 s"),
    ]


if __name__ == "__main__":
    main()
