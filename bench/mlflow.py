"""MLflow's prompt registry in its own environment, asked for what its users ask: a prompt by alias, a new version."""

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.processes import family, fresh_ms

ENVIRONMENT = Path(".bench/mlflow")
_PACKAGES = ("mlflow", "psycopg[binary]")
_START_S = 120.0
_SETUP = """
import mlflow
mlflow.genai.register_prompt(name="customer_support", template="You are a bank support agent. {{context}} {{query}}")
mlflow.genai.set_prompt_alias("customer_support", alias="prod", version=1)
"""
_FRESH = 'import mlflow; print(mlflow.genai.load_prompt("prompts:/customer_support@prod").template)'
_PUBLISH = """
import time, mlflow
mlflow.genai.register_prompt(name="busy", template="0")
began = time.perf_counter()
for number in range(20):
    mlflow.genai.register_prompt(name="busy", template=str(number))
print(20 / (time.perf_counter() - began))
"""
_CACHED = """
import time, mlflow
mlflow.genai.load_prompt("prompts:/customer_support@prod")
began = time.perf_counter()
for _ in range(2000):
    mlflow.genai.load_prompt("prompts:/customer_support@prod")
print((time.perf_counter() - began) / 2000 * 1e6)
"""


@dataclass(frozen=True)
class Peer:
    """A running MLflow."""

    port: int
    pid: int
    environment: dict[str, str]
    folder: Path

    @property
    def python(self) -> str:
        """Its interpreter."""
        return str((ENVIRONMENT / "bin" / "python").absolute())

    def processes(self) -> list[int]:
        """Its processes."""
        return family(self.pid)

    def fresh_ms(self) -> float:
        """How long a fresh process takes to a prompt."""
        return fresh_ms([self.python, "-c", _FRESH], environment=self.environment, cwd=self.folder, times=3)

    def import_ms(self) -> float:
        """How long a fresh process takes to import it."""
        return fresh_ms([self.python, "-c", "import mlflow"], environment=self.environment, cwd=self.folder, times=3)

    def publish_per_s(self) -> float:
        """How many versions a second one client publishes."""
        return self._number(_PUBLISH)

    def cached_us(self) -> float:
        """How long a repeated load takes in a warm process, in microseconds."""
        return self._number(_CACHED)

    def _number(self, script: str) -> float:
        done = subprocess.run(
            [self.python, "-W", "ignore", "-c", script],
            env=self.environment,
            cwd=self.folder,
            check=True,
            capture_output=True,
            text=True,
        )
        return float(done.stdout.split()[-1])


@contextmanager
def running(folder: Path, port: int, database: str = "") -> Iterator[Peer]:
    """Install MLflow where it is missing, start it with two workers on a database, else on SQLite, and stop it."""
    if not (ENVIRONMENT / "bin" / "mlflow").exists():
        subprocess.run([sys.executable, "-m", "venv", str(ENVIRONMENT)], check=True)
        subprocess.run([str(ENVIRONMENT / "bin" / "pip"), "install", "--quiet", *_PACKAGES], check=True)
    uri = f"http://127.0.0.1:{port}"
    quiet = {"MLFLOW_TRACKING_URI": uri, "MLFLOW_REGISTRY_URI": uri, "DO_NOT_TRACK": "1", "HOME": str(folder)}
    environment = {**os.environ, **quiet}
    command = [str((ENVIRONMENT / "bin" / "mlflow").absolute()), "server", "--port", str(port), "--workers", "2"]
    with (folder / "mlflow.log").open("wb") as log:
        server = subprocess.Popen(
            [*command, "--backend-store-uri", database or f"sqlite:///{folder}/mlflow.db"],
            cwd=folder,
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        _wait(f"{uri}/health", server)
        peer = Peer(port, server.pid, environment, folder)
        subprocess.run([peer.python, "-c", _SETUP], env=environment, cwd=folder, check=True, capture_output=True)
        yield peer
    finally:
        for pid in family(server.pid):
            os.kill(pid, 15)
        server.wait()


def _wait(url: str, server: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline and server.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=1):  # noqa: S310 # this machine
                return
        except (OSError, urllib.error.URLError):
            time.sleep(0.2)
    raise RuntimeError("mlflow did not start")
