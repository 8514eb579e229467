"""A real registry in a home of its own: real processes, a free port, nothing left afterwards."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench.processes import children
from regalia_cli.demo.stage import is_serving
from tests.servers.process import free_port

REG = [sys.executable, "-c", "from regalia_cli.entry import main; main()"]
_START_S = 120.0
_LONGEST_S = 1200.0  # who waits for what never comes fails, and is told where
_GIVEN = ("keys", "root.json", "admin-token.sha256")  # to every host alike: see deploy/README.md


@dataclass
class Home:
    """A home folder with a project in it, and the registry that serves it."""

    folder: Path
    port: int
    server: subprocess.Popen[bytes] | None = None
    more: dict[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def project(self) -> Path:
        return self.folder / "project"

    @property
    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("REGALIA_", "XDG_"))}
        return {**kept, "HOME": str(self.folder), "REGALIA_URL": self.url, "NO_COLOR": "1", **self.more}

    @property
    def token(self) -> str:
        tables = tomllib.loads((self.folder / ".config/regalia/credentials.toml").read_text())
        return str(tables[self.url]["token"])

    def reg(self, *arguments: str, given: str = "", cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*REG, *arguments],
            cwd=cwd or self.project,
            env=self.environment,
            input=given,
            capture_output=True,
            text=True,
            check=False,
            timeout=_LONGEST_S,
        )

    def must(self, *arguments: str, given: str = "") -> str:
        done = self.reg(*arguments, given=given)
        assert done.returncode == 0, f"reg {' '.join(arguments)}: {done.stdout}{done.stderr}"
        return done.stdout

    def start(self, *options: str, workers: int = 1) -> None:
        server = self.launch(*options, workers=workers)
        deadline = time.monotonic() + _START_S
        while not self.answers():
            assert server.poll() is None, (self.folder / "registry.log").read_text()
            assert time.monotonic() < deadline, (self.folder / "registry.log").read_text()
            time.sleep(0.05)

    def launch(self, *options: str, workers: int = 1) -> subprocess.Popen[bytes]:
        """Start it, and wait for nothing."""
        command = [*REG, "serve", "--port", str(self.port), "--workers", str(workers), *options]
        with (self.folder / "registry.log").open("ab") as log:
            self.server = subprocess.Popen(
                command, cwd=self.folder, env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        return self.server

    def web_processes(self) -> list[int]:
        """Give those that answer requests and run."""
        return self._started("regalia_registry.admin.web")

    def workers(self) -> list[int]:
        """Give those that carry out operations and run."""
        return self._started("regalia_registry.admin.work")

    def _started(self, module: str) -> list[int]:
        assert self.server is not None
        return children(self.server.pid, running=module)

    def work(self, log: str) -> subprocess.Popen[bytes]:
        """Start a worker of its own; whoever does ends it."""
        with (self.folder / log).open("ab") as file:
            return subprocess.Popen(
                [*REG, "worker"],
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
            )

    def kill(self) -> None:
        if self.server is not None:
            self.server.send_signal(signal.SIGKILL)
            self.server.wait()
            self.await_closed()

    def stop(self) -> None:
        if self.server is not None and self.server.poll() is None:
            self.server.terminate()
            self.server.wait()

    def await_closed(self) -> None:
        """Wait until nobody listens at its port: one that is slow to answer listens still, and may answer the next."""
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=20).close()
            except ConnectionRefusedError:
                return
            except OSError:  # nobody answers, and none refuses yet
                pass
            time.sleep(0.05)

    def answers(self) -> bool:
        return is_serving(self.url)


def give_host(data: Path, *, of: Path) -> None:
    """Make the data folder of another host, with what the hosts of a registry are given alike."""
    data.mkdir()
    for name in _GIVEN:
        (shutil.copytree if (of / name).is_dir() else shutil.copy)(of / name, data / name)


@contextmanager
def replica(made: Home, name: str = "replica") -> Iterator[Home]:
    """Give another replica of a registry, of its own data folder with the same keys; whoever does starts it."""
    data = made.folder / name
    give_host(data, of=made.folder / ".local/share/regalia")
    more = {**made.more, "REGALIA_DATA": str(data), "REGALIA_TOKEN": made.token}
    other = Home(made.folder, free_port(), more=more)
    try:
        yield other
    finally:
        other.stop()


@contextmanager
def home(folder: Path, *, files: Path | None = None) -> Iterator[Home]:
    """Make a home, with a copy of these files as its project."""
    made = Home(folder, free_port())
    if files is None:
        made.project.mkdir()
    else:
        shutil.copytree(files, made.project)
    try:
        yield made
    finally:
        made.stop()
