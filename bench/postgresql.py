"""The catalog on PostgreSQL beside the same on SQLite, and MLflow on the same server: resolves and publishing.

The server is the wheel's, on this machine, reached through its socket; all answer in one run, in turns.
"""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bench import load, mlflow, resolve
from bench.processes import cpu_s, family
from bench.service import published_per_s
from bench.table import Row
from regalia.client import Client
from regalia_cli.demo.stage import FILES, free_port
from tests.servers import postgres
from tests.support.registries import Home, home, replica

_ROUNDS = 3
_SECONDS = 4.0


@dataclass(frozen=True)
class _Asked:
    """Who is asked: the ports and processes of one registry, or of a peer."""

    ports: Sequence[int]
    pids: Sequence[int]
    request: bytes

    def once(self) -> tuple[load.Load, float]:
        """Give what the load saw, and the microseconds of CPU a request; those of a database are not in it."""
        pids = [pid for parent in self.pids for pid in family(parent)]
        before = cpu_s(pids)
        found = load.run(self.ports[0], self.request, seconds=_SECONDS, others=self.ports[1:])
        return found, (cpu_s(pids) - before) / found.requests * 1e6


def rows() -> Iterator[Row]:
    """Measure all in turns, so that what else the machine does meets each."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        catalogs = postgres.Catalogs(stack.enter_context(postgres.running(folder / "postgresql")))
        ours = _served(stack, folder / "on-postgresql", {"REGALIA_SERVER_DATABASE": catalogs.make()}, workers=2)
        sqlite = _served(stack, folder / "on-sqlite", {}, workers=2)
        blobs = {"REGALIA_SERVER_BLOBS": f"file://{folder / 'blobs'}", "REGALIA_SERVER_DATABASE": catalogs.make()}
        one = _served(stack, folder / "replicas", blobs, workers=1)
        other = stack.enter_context(replica(one))
        other.start("--no-worker")
        theirs = stack.enter_context(mlflow.running(folder, free_port(), catalogs.make()))
        asked = {
            "2 web processes": _of(ours),
            "2 replicas": _of(one, other),
            "SQLite": _of(sqlite),
            "MLflow": _Asked([theirs.port], [theirs.pid], resolve.their_request(theirs)),
        }
        rounds = [{who: one.once() for who, one in asked.items()} for _ in range(_ROUNDS)]
        for how in ("2 web processes", "2 replicas"):
            yield from _rows(how, rounds)
        yield _published(ours, sqlite, theirs)


def _served(stack: ExitStack, folder: Path, settings: dict[str, str], *, workers: int) -> Home:
    folder.mkdir()
    made = stack.enter_context(home(folder, files=FILES))
    made.more |= settings
    made.must("init", "acme/support-agent", "--registry", made.url)
    made.start("--no-worker", workers=workers)
    made.must("bundle", "create", "1.0.0")
    made.must("promote", "1.0.0", "--to", "prod")
    return made


def _of(*replicas: Home) -> _Asked:
    pids = [one.server.pid for one in replicas if one.server is not None]
    return _Asked([one.port for one in replicas], pids, resolve.request(replicas[0]))


def _rows(how: str, rounds: list[dict[str, tuple[load.Load, float]]]) -> Iterator[Row]:
    for what, must in (("requests a second", ""), ("p99 in ms", "≤ 20"), ("CPU a request in µs", "≤ 120")):
        us, them, before = (median(_figures(one[who])[what] for one in rounds) for who in (how, "MLflow", "SQLite"))
        yield Row(
            f"resolve on PostgreSQL, {how}, 16 connections, {what}",
            f"{us:,.1f}",
            f"{them:,.1f} (MLflow, same server); {before:,.1f} (us, SQLite)",
            f"{us / them:.3g} x; {us / before:.2f} x",
            must,
        )


def _figures(found: tuple[load.Load, float]) -> dict[str, float]:
    return {
        "requests a second": found[0].per_s,
        "p99 in ms": found[0].p99_ms,
        "CPU a request in µs": found[1],
    }


def _published(ours: Home, sqlite: Home, theirs: mlflow.Peer) -> Row:
    us, before = (published_per_s(Client(environment=one.environment, folder=one.project)) for one in (ours, sqlite))
    them = theirs.publish_per_s()
    what = "durable publish on PostgreSQL, one client, over HTTP (two blobs and a manifest each)"
    return Row(
        what,
        f"{us:.0f}/s",
        f"{them:.0f}/s (MLflow, same server); {before:.0f}/s (us, SQLite)",
        f"{us / them:.0f} x; {us / before:.1f} x",
        "5 x",
        "15 x",
    )
