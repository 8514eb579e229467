"""A server's process: started, waited for, ended."""

import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_LOGGED = 2000
_ENDING_S = 60
# Below those that the system gives out, so that one stays free while its server is away. A process of the test runner
# has a share of its own, and gives none twice.
_PORTS = range(11_000, 21_000)
_SHARES = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
_SHARE = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % _SHARES
_given = set[int]()


@dataclass(frozen=True)
class Program:
    """What is run in a folder, with this environment alone; `log` gets all that it says."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    log: Path

    def start(self, is_ready: Callable[[], bool], *, within_s: float) -> "subprocess.Popen[bytes]":
        """Start it, and wait until it is ready.

        Raises:
            RuntimeError: It ended, or is not ready in time; the message ends with what it said.
        """
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                self.command,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.log.parent,
            )
        deadline = time.monotonic() + within_s
        while not is_ready():
            if process.poll() is not None or time.monotonic() > deadline:
                process.kill()
                process.wait()
                raise RuntimeError(f"{self.name} does not start:\n{self.log.read_text()[-_LOGGED:]}")
            time.sleep(0.1)
        return process


def end(process: "subprocess.Popen[bytes] | None", number: signal.Signals) -> None:
    """End it, if it runs, and wait until it is gone."""
    if process is not None:
        process.send_signal(number)
        process.wait(_ENDING_S)


def free_port() -> int:
    """Find a port that nobody listens on."""
    return free_ports(1)[0]


def free_ports(count: int, *, also: int = 0) -> list[int]:
    """Find ports that nobody listens on, nor at those that much higher."""
    found: list[int] = []
    while len(found) < count:
        port = random.SystemRandom().choice(_PORTS[_SHARE::_SHARES])  # whatever a test has seeded
        if port not in _given and all(map(_is_free, {port, port + also})):
            _given.add(port)
            found.append(port)
    return found


def _is_free(port: int) -> bool:
    with socket.socket() as tried:
        return tried.connect_ex(("127.0.0.1", port)) != 0
