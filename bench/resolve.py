"""Resolve under load: requests a second, the server's CPU, the 99th percentile."""

from bench import load, mlflow
from bench.processes import cpu_s, family
from bench.table import Row
from tests.support.registries import Home

_PATH = "/v1/apps/acme/support-agent/channels/prod/resolve?root=1"
_THEIR_PATH = "/api/2.0/mlflow/registered-models/alias?name=customer_support&alias=prod"


def rows(ours: Home, theirs: mlflow.Peer) -> list[Row]:
    """Measure both with the same closed loop of 16 connections."""
    assert ours.server is not None
    mine, mine_us = _loaded(ours.port, request(ours), ours.server.pid)
    peers, peers_us = _loaded(theirs.port, their_request(theirs), theirs.pid)
    ratio = mine.per_s / peers.per_s
    what = "resolve, requests a second, 16 connections, 2 workers"
    return [
        Row(what, f"{mine.per_s:,.0f}", f"{peers.per_s:,.0f} (MLflow)", f"{ratio:.0f} x", "20 x", "60 x"),
        Row(
            "server CPU a resolve",
            f"{mine_us:.0f} µs",
            f"{peers_us:,.0f} µs",
            f"1/{peers_us / mine_us:.0f}",
            "≤ 120 µs",
            "≤ 60 µs",
        ),
        Row(
            "resolve p99, 16 connections",
            f"{mine.p99_ms:.1f} ms",
            f"{peers.p99_ms:.0f} ms",
            f"1/{peers.p99_ms / mine.p99_ms:.0f}",
            "≤ 20 ms",
            "≤ 6 ms",
        ),
    ]


def request(ours: Home) -> bytes:
    """Write the request of an agent."""
    return load.request_of(_PATH, ours.port, ours.token)


def their_request(theirs: mlflow.Peer) -> bytes:
    """Write the request of an agent of MLflow."""
    return load.request_of(_THEIR_PATH, theirs.port)


def _loaded(port: int, request: bytes, pid: int) -> tuple[load.Load, float]:
    load.run(port, request, seconds=1.0)
    pids = family(pid)
    before = cpu_s(pids)
    found = load.run(port, request, seconds=6.0)
    return found, (cpu_s(pids) - before) / found.requests * 1e6
