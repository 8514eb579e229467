"""A real Weaviate, built once from its Go module by `make weaviate`; started on free ports in a folder of its own."""

import os
import shutil
import signal
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.servers.process import Program, end, free_ports

VERSION = "1.39.0"
_READY_S = 180.0  # after many kills, on a machine that does other things too
_PORTS = ("rest", "grpc", "gossip", "data", "raft", "rpc")


def binary() -> Path:
    """Find the server's binary."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "regalia" / f"weaviate-{VERSION}" / "weaviate-server"


def require() -> None:
    """Skip where the binary is not there; in CI that is a failure."""
    if binary().exists():
        return
    told = f"no Weaviate {VERSION}: make weaviate (needs Go, once, some minutes)"
    if os.environ.get("CI") == "true":
        pytest.fail(told)
    pytest.skip(told)


@dataclass
class Weaviate:
    """One server; it may be stopped, killed and started again on its data."""

    folder: Path
    ports: Mapping[str, int]
    settings: Mapping[str, str] = field(default_factory=dict)
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def origin(self) -> str:
        """Where its REST answers."""
        return f"http://127.0.0.1:{self.ports['rest']}"

    @property
    def url(self) -> str:
        """How a target names it."""
        return f"{self.origin}?grpc={self.ports['grpc']}"

    @property
    def log(self) -> Path:
        """What it says."""
        return self.folder / "weaviate.log"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        command = [str(binary()), "--host", "127.0.0.1", "--port", str(self.ports["rest"]), "--scheme", "http"]
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.folder), **self._environment()}
        program = Program("Weaviate", command, environment, self.log)
        self.process = program.start(self._is_ready, within_s=_READY_S)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End it, and wait until it is gone."""
        end(self.process, number)
        self.process = None

    def _is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.origin}/v1/.well-known/ready", timeout=2) as answer:  # noqa: S310 # our own loopback address
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def _environment(self) -> dict[str, str]:
        return {
            "PERSISTENCE_DATA_PATH": str(self.folder / "data"),
            "AUTHENTICATION_ANONYMOUS_ACCESS_ENABLED": "true",
            "AUTOSCHEMA_ENABLED": "false",
            "DEFAULT_VECTORIZER_MODULE": "none",
            "CLUSTER_HOSTNAME": "node1",
            "CLUSTER_ADVERTISE_ADDR": "127.0.0.1",
            "CLUSTER_BIND_ADDR": "127.0.0.1",
            "CLUSTER_GOSSIP_BIND_PORT": str(self.ports["gossip"]),
            "CLUSTER_DATA_BIND_PORT": str(self.ports["data"]),
            "RAFT_PORT": str(self.ports["raft"]),
            "RAFT_INTERNAL_RPC_PORT": str(self.ports["rpc"]),
            "RAFT_BOOTSTRAP_EXPECT": "1",
            "RAFT_TIMEOUTS_MULTIPLIER": "1",
            "GRPC_PORT": str(self.ports["grpc"]),
            "DISABLE_TELEMETRY": "true",
            "GO_PROFILING_DISABLE": "true",
            "LOG_LEVEL": "warning",
            **self.settings,
        }


def make(folder: Path, **settings: str) -> Weaviate:
    """Make a server whose data lies under this folder; it is not started yet."""
    require()
    folder.mkdir(parents=True, exist_ok=True)
    return Weaviate(folder, dict(zip(_PORTS, free_ports(len(_PORTS)), strict=True)), settings)


@contextmanager
def running(folder: Path, **settings: str) -> Iterator[Weaviate]:
    """Start a server whose data lies under this folder, and leave nothing of it."""
    server = make(folder, **settings)
    try:
        server.start()
        yield server
    finally:
        server.stop(signal.SIGKILL)
        shutil.rmtree(folder / "data", ignore_errors=True)
