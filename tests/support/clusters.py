"""A registry as on several hosts, and what befalls it: who dies is started again, as service managers do."""

import os
import random
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from bench.processes import family
from tests.servers import postgres, proxy
from tests.support.crash_stores import OnServers, on_servers
from tests.support.registries import Home, replica
from tests.support.releases import PATIENCE_S
from tests.support.stages import staged

PAUSED_S = 3.0
_WORKERS = 2
_LOOK_S = 0.2
_SETTLED_S = 30.0  # who ends sooner by itself could not start: what it needs was away
_LOG = "worker.log"


@dataclass
class Host:
    """What runs on one host; `ended` is how often it ended though nobody had killed it, long after it was at work."""

    start: Callable[[], "subprocess.Popen[bytes]"]
    is_at_work: Callable[[], bool]
    process: "subprocess.Popen[bytes]"
    at_work_since: float | None = None
    is_killed: bool = False
    ended: int = 0

    def kill(self) -> None:
        """End it at once."""
        dying, self.is_killed = self.process, True
        dying.kill()
        dying.wait()

    def look_after(self) -> None:
        """Start it again where it has ended."""
        now = time.monotonic()
        if self.process.poll() is None:
            if self.at_work_since is None and self.is_at_work():
                self.at_work_since = now
            return
        is_settled = self.at_work_since is not None and now - self.at_work_since > _SETTLED_S
        self.ended += is_settled and not self.is_killed
        self.at_work_since, self.is_killed, self.process = None, False, self.start()


class Cluster:
    """Two replicas and a worker, and one replica more that nobody kills: it shows what memory does.

    `urls` lead to the two: one by nginx where this machine has it, else their own.
    """

    def __init__(self, stores: OnServers, replicas: tuple[Home, Home], spared: Home) -> None:
        self.stores, self.replicas, self.spared = stores, replicas, spared
        one, other = replicas
        self.urls = [one.url, other.url]
        assert one.server is not None
        self.hosts = [
            Host(lambda: _served(one), lambda: _is_serving(one), one.server),
            Host(lambda: _served(other), lambda: _is_serving(other), _served(other)),
            Host(lambda: one.work(_LOG), lambda: True, one.work(_LOG)),
        ]
        self._is_over = threading.Event()
        self._keeper = threading.Thread(target=self._keep)

    @property
    def strikes(self) -> Mapping[str, Callable[[random.Random], None]]:
        """What may happen, by its name."""
        return {
            "a replica's supervisor killed": lambda chance: self.hosts[chance.randrange(2)].kill(),
            "a web process killed": self._kill_web,
            "the worker killed": lambda _: self.hosts[2].kill(),
            "PostgreSQL ended at once": lambda _: postgres.restart_at_once(self.stores.server),
            "S3 killed": self._kill_bucket,
            "a replica paused": self._pause,
        }

    @property
    def web_processes(self) -> list[int]:
        """Name the web processes that nobody kills."""
        return self.spared.web_processes()

    def await_whole(self) -> None:
        """Wait until everything runs."""
        deadline = time.monotonic() + PATIENCE_S
        while (
            not all(one.answers() for one in (*self.replicas, self.spared)) or self.hosts[2].process.poll() is not None
        ):
            assert time.monotonic() < deadline, (self.spared.folder / "registry.log").read_text()[-5000:]
            time.sleep(_LOOK_S)

    def start(self) -> None:
        """Look after its processes from here on."""
        self._keeper.start()

    def stop(self) -> None:
        """End them."""
        self._is_over.set()
        self._keeper.join()
        for host in self.hosts:
            host.process.terminate()
        for host in self.hosts:
            host.process.wait()

    def _keep(self) -> None:
        while not self._is_over.wait(_LOOK_S):
            for host in self.hosts:
                host.look_after()

    def _kill_web(self, chance: random.Random) -> None:
        with suppress(ProcessLookupError, IndexError):  # it ended meanwhile, or none has started yet
            os.kill(chance.choice(chance.choice(self.replicas).web_processes()), signal.SIGKILL)

    def _kill_bucket(self, _: random.Random) -> None:
        self.stores.bucket.stop(signal.SIGKILL)
        self.stores.bucket.start()

    def _pause(self, chance: random.Random) -> None:
        processes = family(self.hosts[chance.randrange(2)].process.pid)
        for number in (signal.SIGSTOP, signal.SIGCONT):
            for process in processes:
                with suppress(ProcessLookupError):  # it ended meanwhile
                    os.kill(process, number)
            time.sleep(PAUSED_S if number == signal.SIGSTOP else 0)


@contextmanager
def cluster(folder: Path) -> Iterator[Cluster]:
    """Start a registry on PostgreSQL and S3 whose replicas have data folders of their own."""
    with ExitStack() as stack:
        stores = stack.enter_context(on_servers(folder))
        settings = {**stores.settings, "REGALIA_SERVER_LEASE_S": "4"}
        one = stack.enter_context(staged(folder, "--no-worker", snapshots=False, settings=settings, workers=_WORKERS))
        other, spared = (stack.enter_context(replica(one, name)) for name in ("other", "spared"))
        spared.launch("--no-worker")
        made = Cluster(stores, (one, other), spared)
        made.start()
        stack.callback(made.stop)
        made.await_whole()
        if proxy.find() is not None:
            place = folder / "proxy"
            place.mkdir()
            made.urls = [f"http://127.0.0.1:{stack.enter_context(proxy.proxied(place, [one.port, other.port]))}"]
        yield made


def _served(made: Home) -> "subprocess.Popen[bytes]":
    return made.launch("--no-worker", workers=_WORKERS)


def _is_serving(made: Home) -> bool:
    return len(made.web_processes()) == _WORKERS and made.answers()
