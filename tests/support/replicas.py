"""Registries on one catalog and one blob store, each with a data folder of its own, as on several hosts."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from regalia_cli.demo.stage import FILES
from tests.support.registries import Home, home, replica

NOTHING: Mapping[str, str] = {}


@contextmanager
def replicas(
    folder: Path, *, clocks: tuple[Mapping[str, str], Mapping[str, str]] = (NOTHING, NOTHING), **settings: str
) -> Iterator[tuple[Home, Home]]:
    """Start two without workers, with these settings, and a bundle in `prod`; each may have a clock of its own."""
    place = folder / "home"
    place.mkdir()
    with home(place, files=FILES) as one:
        data = place / ".local/share/regalia"
        one.more |= _spelled(settings)
        one.must("init", "acme/support-agent", "--registry", one.url)
        _start(one, clocks[0])
        with replica(one) as other:
            shared = {"database": f"sqlite:///{data / 'registry.db'}", "blobs": f"file://{data / 'blobs'}"}
            other.more |= _spelled(shared | settings)
            _start(other, clocks[1])
            one.must("bundle", "create", "1.0.0")
            one.must("promote", "1.0.0", "--to", "prod")
            yield one, other


@contextmanager
def working(other: Home, folder: Path, clock: Mapping[str, str] = NOTHING) -> Iterator[Path]:
    """Run a worker as on a host of its own: with an empty data folder, and a replica's settings; gives its log."""
    (folder / "data").mkdir(parents=True)
    host = Home(folder, other.port, more={**other.more, **clock, "REGALIA_DATA": str(folder / "data")})
    worker = host.work("worker.log")
    try:
        yield folder / "worker.log"
    finally:
        worker.terminate()
        assert worker.wait(timeout=30) == 0


def claimed(log: Path) -> list[str]:
    """Read which operations a worker took."""
    lines = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    return [str(line["operation"]) for line in lines if line["event"] == "operation claimed"]


def _start(made: Home, clock: Mapping[str, str]) -> None:
    """Start it with its clock; whoever works at its command line has another."""
    kept, made.more = made.more, {**made.more, **clock}
    made.start("--no-worker")
    made.more = kept


def _spelled(settings: Mapping[str, str]) -> dict[str, str]:
    return {f"REGALIA_SERVER_{name.upper()}": value for name, value in settings.items()}
