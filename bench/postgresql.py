"""The catalog on PostgreSQL beside the same on SQLite: resolves and publishing.

The server is the wheel's, on this machine, reached through its socket; both registries answer in one run, in turns.
"""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from bench import load, resolve
from bench.processes import cpu_s, family
from bench.service import published_per_s
from bench.table import Row
from regalia.client import Client
from regalia_cli.demo.stage import FILES
from tests.servers import postgres
from tests.support.registries import Home, home

_ROUNDS = 3
_SECONDS = 4.0


def rows() -> Iterator[Row]:
    """Measure both in turns, so that what else the machine does meets both."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        catalogs = postgres.Catalogs(stack.enter_context(postgres.running(folder / "postgresql")))
        database = catalogs.make()
        ours = _served(stack, folder / "on-postgresql", {"REGALIA_SERVER_DATABASE": database})
        other = _served(stack, folder / "on-sqlite", {})
        rounds = [(_asked(ours), _asked(other)) for _ in range(_ROUNDS)]
        yield from _rows("2 web processes, 16 connections", rounds)
        yield _published(ours, other)


def _served(stack: ExitStack, folder: Path, settings: dict[str, str]) -> Home:
    folder.mkdir()
    made = stack.enter_context(home(folder, files=FILES))
    made.more |= settings
    made.must("init", "acme/support-agent", "--registry", made.url)
    made.start("--no-worker", workers=2)
    made.must("bundle", "create", "1.0.0")
    made.must("promote", "1.0.0", "--to", "prod")
    return made


def _asked(ours: Home) -> tuple[load.Load, float]:
    """Give what the load saw, and the microseconds of the registry's CPU a request; its database's are not in it."""
    assert ours.server is not None
    pids = family(ours.server.pid)
    before = cpu_s(pids)
    found = load.run(ours.port, resolve.request(ours), seconds=_SECONDS)
    return found, (cpu_s(pids) - before) / found.requests * 1e6


def _rows(how: str, rounds: list[tuple[tuple[load.Load, float], tuple[load.Load, float]]]) -> Iterator[Row]:
    figures = {
        "requests a second": lambda found: found[0].per_s,
        "p99 in ms": lambda found: found[0].p99_ms,
        "CPU a request in µs": lambda found: found[1],
    }
    for what, get in figures.items():
        us, them = (median(get(one[side]) for one in rounds) for side in (0, 1))
        yield Row(
            f"resolve on PostgreSQL, {how}, {what}", f"{us:,.1f}", f"{them:,.1f} (us, SQLite)", f"{us / them:.2f} x"
        )


def _published(ours: Home, other: Home) -> Row:
    us, them = (published_per_s(Client(environment=one.environment, folder=one.project)) for one in (ours, other))
    what = "durable publish on PostgreSQL, one client, over HTTP (two blobs and a manifest each)"
    return Row(what, f"{us:.0f}/s", f"{them:.0f}/s (us, SQLite)", f"{us / them:.1f} x")
