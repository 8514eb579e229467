"""An agent's start and its warm calls."""

import sys
import time

from bench import mlflow
from bench.processes import fresh_ms
from bench.table import Row
from regalia.client import Client
from tests.support.registries import Home

_PROD = "acme/support-agent:prod"
_AGENT = f'from regalia import Client; print(Client().resolve("{_PROD}").prompt("customer_support").template)'
_CALLS = 100_000


def rows(ours: Home, theirs: mlflow.Peer) -> list[Row]:
    """Measure fresh processes, the import alone, and a repeated resolve."""

    def timed(script: str) -> float:
        return fresh_ms([sys.executable, "-c", script], environment=ours.environment, cwd=ours.project, times=15)

    bare, imported, online = timed("pass"), timed("import regalia"), timed(_AGENT)
    client = Client(environment=ours.environment, folder=ours.project)
    client.resolve(_PROD)
    began = time.perf_counter()
    for _ in range(_CALLS):
        client.resolve(_PROD)
    cached_us = (time.perf_counter() - began) / _CALLS * 1e6
    fresh, imports, cached = theirs.fresh_ms(), theirs.import_ms(), theirs.cached_us()
    return [
        Row(
            "fresh process to a verified bundle",
            f"{online:.0f} ms",
            f"{fresh:,.0f} ms (unverified)",
            f"1/{fresh / online:.0f}",
            "12 x",
            "20 x",
        ),
        Row(
            "`import regalia`",
            f"{imported:.0f} ms (interpreter {bare:.0f})",
            f"{imports:,.0f} ms",
            f"1/{imports / imported:.0f}",
            "≤ 40 ms",
            "≤ 20 ms",
        ),
        Row(
            "resolve from memory, warm process",
            f"{cached_us:.2f} µs",
            f"{cached:.0f} µs",
            f"1/{cached / cached_us:.0f}",
            "20 x",
            "≤ 3 µs",
        ),
    ]
