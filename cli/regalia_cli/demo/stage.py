"""The demo's stage: a temporary home, real processes in it, and nothing left of them afterwards."""

import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from regalia.core.errors import UnavailableError

FILES = Path(__file__).parent / "files"
_START_S = 120.0
_SILENT = 3  # looks in a row: one may be no more than a slow answer
_REG = "from regalia_cli.entry import main; main()"


@dataclass(frozen=True)
class Ran:
    """What a command printed, and its exit status."""

    out: str
    told: str
    status: int


@dataclass(frozen=True)
class Fleet:
    """Agents at work."""

    process: subprocess.Popen[str]

    def await_ready(self) -> bool:
        """Wait until every agent has answered once; False where they could not."""
        assert self.process.stdout is not None  # noqa: S101 # it is a pipe
        return self.process.stdout.readline() == "ready\n"

    def report(self) -> dict[str, object]:
        """End their work, and give what they saw."""
        out, _ = self.process.communicate()
        found: dict[str, object] = json.loads(out or "{}")
        return found


class Stage:
    """One home folder, one registry, one project."""

    def __init__(self, home: Path) -> None:
        """Lay the project's files out."""
        self.home = home
        self.project = home / "support-agent"
        shutil.copytree(FILES, self.project)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("REGALIA_", "XDG_"))}
        self.environment = {**kept, "HOME": str(home), "REGALIA_URL": self.url, "NO_COLOR": "1"}
        self.local = embedded_postgres(home / ".local/share/regalia")
        self.environment["KB_URL"] = f"postgresql://regalia@/local?host={self.local / 'run'}"
        self._servers: list[subprocess.Popen[bytes]] = []

    @property
    def serving(self) -> str:
        """What starts the registry, as people write it."""
        return f"reg serve --port {self.port}"

    def reg(self, *arguments: str) -> Ran:
        """Run `reg` in the project."""
        return self._run([sys.executable, "-c", _REG, *arguments])

    def python(self, *arguments: str) -> Ran:
        """Run a program of the project in a process of its own."""
        return self._run([sys.executable, *arguments])

    @contextmanager
    def fleet(self) -> Iterator["Fleet"]:
        """Run the agents of `fleet.py` beside what is done in the block."""
        with (
            (self.home / "fleet.log").open("ab") as log,
            subprocess.Popen(
                [sys.executable, "fleet.py"],
                cwd=self.project,
                env=self.environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            ) as process,
        ):
            try:
                yield Fleet(process)
            finally:
                process.kill()

    def git(self, *arguments: str) -> None:
        """Run git in the project."""
        identity = ["-c", "user.name=Jane", "-c", "user.email=jane@company.com", "-c", "commit.gpgsign=false"]
        self._run(["git", *identity, *arguments])

    def start(self) -> None:
        """Start the registry and wait until it answers."""
        self.spawn("serve", "--port", str(self.port))
        self.await_serving(self.url)

    def spawn(self, *arguments: str) -> None:
        """Start a process of the registry: `reg` with these arguments."""
        with (self.home / "registry.log").open("ab") as log:
            process = subprocess.Popen(  # noqa: S603 # our own command
                [sys.executable, "-c", _REG, *arguments],
                cwd=self.home,
                env=self.environment,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
            )
        self._servers.append(process)

    def await_serving(self, url: str) -> None:
        """Wait until a registry answers there.

        Raises:
            UnavailableError: It does not, or one of its processes has ended.
        """
        deadline = time.monotonic() + _START_S
        while not is_serving(url):
            if time.monotonic() > deadline or any(one.poll() is not None for one in self._servers):
                raise UnavailableError(
                    "the demo's registry does not start", hint=(self.home / "registry.log").read_text()[-2000:]
                )
            time.sleep(0.05)

    def kill(self) -> None:
        """Kill the registry as an outage would; its web processes follow their supervisor."""
        while self._servers:
            killed = self._servers.pop()
            killed.send_signal(signal.SIGKILL)
            killed.wait()
        deadline, silent = time.monotonic() + _START_S, 0
        while silent < _SILENT and time.monotonic() < deadline:
            silent = 0 if is_serving(self.url) else silent + 1
            time.sleep(0.05)

    def clear(self) -> None:
        """Stop the registry if it runs, and remove its embedded PostgreSQL, which for root lies outside of the home."""
        for process in self._servers:
            process.terminate()
        for process in self._servers:
            process.wait()
        # The worker of a registry that was killed notices it, and stops PostgreSQL before it ends.
        deadline = time.monotonic() + _START_S
        while (self.local / "cluster/postmaster.pid").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        shutil.rmtree(self.local, ignore_errors=True)

    def _run(self, command: list[str]) -> Ran:
        done = subprocess.run(  # noqa: S603 # our own commands
            command,
            cwd=self.project,
            env=self.environment,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        return Ran(done.stdout, done.stderr, done.returncode)


@contextmanager
def staged() -> Iterator[Stage]:
    """Set the stage in a temporary folder, and clear it whatever happens."""
    with tempfile.TemporaryDirectory(prefix="regalia-demo-", ignore_cleanup_errors=True) as folder:
        stage = Stage(Path(folder))
        try:
            yield stage
        finally:
            stage.clear()


def embedded_postgres(data: Path) -> Path:
    """Say where the embedded PostgreSQL of a registry's data folder lies."""
    folder = data.absolute() / "postgres"
    if os.geteuid() != 0:
        return folder
    return Path("/var/lib/regalia-postgres") / hashlib.sha256(bytes(folder)).hexdigest()[:16]


def is_serving(url: str) -> bool:
    """Say whether a registry answers there."""
    try:
        with urllib.request.urlopen(f"{url}/healthz", timeout=1) as answer:  # noqa: S310 # this machine
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False


def free_port() -> int:
    """Find a port that nobody listens on."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port: int = bound.getsockname()[1]
        return port
