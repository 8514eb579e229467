"""How long a fleet takes: from pressing return on `reg restore` until the last agent serves the restored bundle."""

import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from bench.processes import cpu_s, family
from bench.table import Row
from regalia.client import Client
from regalia.following import EVERY_S, Follower
from tests.support.registries import REG, Home

_PROD = "acme/support-agent:prod"
_RESTORE = "--to previous --reason bench --no-hold --yes --wait=90"
_FLEETS = (50, 500)
_IDLE_S = 15.0
_CURRENT_CALLS = 1_000_000


def rows(ours: Home) -> Iterator[Row]:
    """Measure fleets at the default poll; each agent has a client, a thread and a state folder of its own."""
    _release(ours, "1.1.0")
    for size in _FLEETS:
        with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
            fleet = [stack.enter_context(_follow(ours, Path(folder) / str(number))) for number in range(size)]
            ours.must("promote", "1.1.0", "--to", "prod")
            _wait_for(fleet, "1.1.0")
            busy = _busy(ours)
            began = time.perf_counter()
            command = [*REG, "restore", _PROD, *_RESTORE.split()]
            with subprocess.Popen(
                command, cwd=ours.project, env=ours.environment, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL
            ) as restoring:
                _wait_for(fleet, "1.0.0")
                arrived_s = time.perf_counter() - began
                _, told = restoring.communicate()
                reported_s = time.perf_counter() - began
            assert f"fleet: {size} of {size} on sequence".encode() in told, told.decode()
        what = (
            f"from return on `reg restore` (without vectors) to the last of {size} agents, a poll every {EVERY_S:.0f} s"
        )
        yield Row(what, f"{arrived_s:.1f} s, reported after {reported_s:.1f} s", must="≤ 30 s" if size == 50 else "")
        yield Row(f"all of the service while {size} agents follow", f"{busy:.1%} of a CPU")
    with _follow(ours, None) as follower:
        began = time.perf_counter()
        for _ in range(_CURRENT_CALLS):
            follower.current()
        yield Row("`current()` of a follower", f"{(time.perf_counter() - began) / _CURRENT_CALLS * 1e6:.2f} µs")


def _follow(ours: Home, state: Path | None) -> Follower:
    return Client(state=state, environment=ours.environment, folder=ours.project).follow(_PROD)


def _wait_for(fleet: list[Follower], version: str) -> None:
    waiting = list(fleet)
    while waiting:
        waiting = [one for one in waiting if one.current().version != version]
        time.sleep(0.02)


def _busy(ours: Home) -> float:
    assert ours.server is not None
    processes = family(ours.server.pid)
    before = cpu_s(processes)
    time.sleep(_IDLE_S)
    return (cpu_s(processes) - before) / _IDLE_S


def _release(ours: Home, version: str) -> None:
    prompt = ours.project / "prompts" / "customer_support.yaml"
    prompt.write_text(prompt.read_text().replace("2.3.0", "2.3.1").replace("You are", "You were"))
    ours.must("bundle", "create", version)
