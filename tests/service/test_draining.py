"""A replica that is told to stop: it says so, serves on, ends what is in flight, and nobody is refused meanwhile."""

import hashlib
import http.client
import json
import os
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from bench.processes import family
from regalia_cli.demo.stage import FILES
from regalia_registry.admin.listening import deafen, listen
from tests.servers.proxy import proxied, require
from tests.support.asking import get
from tests.support.registries import Home, home
from tests.support.replicas import replicas

RESOLVE = "/v1/apps/acme/support-agent/channels/prod/resolve?root=1"
BLOBS = "/v1/namespaces/acme/blobs"
DRAIN_S = 2


@contextmanager
def connected(port: int) -> Iterator[http.client.HTTPConnection]:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=20)) as connection:
        yield connection


def readiness(made: Home) -> tuple[int, dict[str, object]]:
    status, body = get(made.port, "/readyz")
    return status, json.loads(body)


@contextmanager
def uploading(made: Home, content: bytes, *, digest: str) -> Iterator[http.client.HTTPConnection]:
    """Send the first half of a blob."""
    with connected(made.port) as upload:
        upload.putrequest("PUT", f"{BLOBS}/sha256:{digest}")
        upload.putheader("Authorization", f"Bearer {made.token}")
        upload.putheader("Content-Length", str(len(content)))
        upload.endheaders(content[: len(content) // 2])
        yield upload


@pytest.fixture
def draining(tmp_path: Path) -> Iterator[Home]:
    with home(tmp_path, files=FILES) as made:
        made.more |= {"REGALIA_SERVER_DRAIN_S": str(DRAIN_S)}
        made.must("init", "acme/support-agent", "--registry", made.url)
        made.start("--no-worker", workers=2)
        yield made


def test_who_stops_says_so_first_and_serves_on(draining: Home) -> None:
    draining.stop()
    draining.more |= {"REGALIA_SERVER_DRAIN_S": "6"}
    draining.start("--no-worker", workers=2)
    assert draining.server is not None
    before = readiness(draining)

    draining.server.send_signal(signal.SIGTERM)
    while readiness(draining)[0] == 200:
        time.sleep(0.02)
    told = readiness(draining)
    with connected(draining.port) as kept:
        kept.request("GET", "/healthz")
        answer = kept.getresponse()

    assert before[0] == 200
    assert told == (503, {"state": "stopping", "dependencies": []})
    assert (answer.status, answer.headers["connection"]) == (200, "close")
    assert draining.server.wait(timeout=30) == 0
    with connected(draining.port) as late, pytest.raises(ConnectionRefusedError):
        late.connect()


@pytest.mark.parametrize("pause_s", [0.2, 2])
def test_a_second_signal_ends_the_draining(draining: Home, pause_s: float) -> None:
    draining.stop()
    draining.more |= {"REGALIA_SERVER_DRAIN_S": "120"}
    draining.start("--no-worker", workers=2)
    assert draining.server is not None

    draining.server.terminate()
    while readiness(draining)[0] == 200:
        time.sleep(0.02)
    time.sleep(pause_s)
    draining.server.terminate()

    assert draining.server.wait(timeout=30) == 0


def test_a_second_signal_cuts_nothing_that_is_in_flight(draining: Home) -> None:
    draining.stop()
    draining.more |= {"REGALIA_SERVER_DRAIN_S": "0"}
    draining.start("--no-worker", workers=2)
    assert draining.server is not None
    content = os.urandom(200_000)

    with uploading(draining, content, digest=hashlib.sha256(content).hexdigest()) as upload:
        draining.server.terminate()
        draining.await_closed()
        draining.server.terminate()
        time.sleep(0.5)
        upload.send(content[100_000:])
        status = upload.getresponse().status

    assert (status, draining.server.wait(timeout=30)) == (201, 0)


def test_a_process_that_is_told_with_its_supervisor_drains_all_the_same(draining: Home) -> None:
    draining.stop()
    draining.more |= {"REGALIA_SERVER_DRAIN_S": "6"}
    draining.start("--no-worker", workers=2)
    assert draining.server is not None
    began = time.monotonic()

    for pid in reversed(family(draining.server.pid)):  # as systemd does
        os.kill(pid, signal.SIGTERM)
    time.sleep(2)
    meanwhile = get(draining.port, "/healthz")[0]
    draining.await_closed()

    assert meanwhile == 200
    assert time.monotonic() - began > 5.5
    assert draining.server.wait(timeout=30) == 0


def test_who_has_connected_when_the_port_is_closed_is_answered_and_nobody_connects_any_more() -> None:
    with listen("127.0.0.1", 0, option="--port") as listening:
        address = listening.getsockname()
        with socket.create_connection(address, timeout=5) as early:
            early.sendall(b"early")
            deafen(listening)
            with pytest.raises(TimeoutError):
                socket.create_connection(address, timeout=0.3)
            accepted, _ = listening.accept()
            listening.settimeout(0.3)
            with pytest.raises(TimeoutError):
                listening.accept()
            listening.close()

            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(address, timeout=5)
            with accepted:
                accepted.sendall(accepted.recv(5))
            assert early.recv(5) == b"early"


def test_what_is_in_flight_ends_whole_though_the_port_is_closed(draining: Home) -> None:
    assert draining.server is not None
    content = os.urandom(200_000)

    with uploading(draining, content, digest=hashlib.sha256(content).hexdigest()) as upload:
        draining.server.send_signal(signal.SIGTERM)
        draining.await_closed()
        upload.send(content[100_000:])
        status = upload.getresponse().status

    assert status == 201
    assert draining.server.wait(timeout=30) == 0


def test_who_never_ends_a_request_is_cut_and_the_replica_ends_all_the_same(draining: Home) -> None:
    draining.stop()
    draining.more |= {"REGALIA_SERVER_DRAIN_S": "0", "REGALIA_SERVER_GRACE_S": "1"}
    draining.start("--no-worker", workers=2)
    assert draining.server is not None

    with uploading(draining, bytes(1000), digest="0" * 64):
        draining.server.terminate()
        status = draining.server.wait(timeout=30)

    assert status == 0
    assert "Traceback" not in (draining.folder / "registry.log").read_text()


class Load:
    """Clients that ask again and again, without a second try; `seen` counts what was answered, or what befell them."""

    def __init__(self, port: int, token: str) -> None:
        self.port = port
        self.headers = {"Authorization": f"Bearer {token}"}
        self.seen: Counter[str] = Counter()
        self._over = threading.Event()
        self._lock = threading.Lock()

    @contextmanager
    def running(self) -> Iterator[None]:
        asks = (self._resolve, self._resolve, self._resolve, self._publish, self._publish)
        threads = [threading.Thread(target=self._repeat, args=(ask,)) for ask in asks]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._over.set()
            for thread in threads:
                thread.join()

    def _repeat(self, ask: Callable[[http.client.HTTPConnection], None]) -> None:
        with connected(self.port) as connection:
            while not self._over.is_set():
                try:
                    ask(connection)
                except (OSError, http.client.HTTPException) as error:
                    self._saw(type(error).__name__)
                    connection.close()

    def _resolve(self, connection: http.client.HTTPConnection) -> None:
        self._ask(connection, "GET", RESOLVE)

    def _publish(self, connection: http.client.HTTPConnection) -> None:
        content = os.urandom(2_000)
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        self._ask(connection, "POST", f"{BLOBS}/missing", json.dumps({"digests": [digest]}).encode())
        self._ask(connection, "PUT", f"{BLOBS}/{digest}", content)

    def _ask(self, connection: http.client.HTTPConnection, method: str, path: str, body: bytes | None = None) -> None:
        content = {"Content-Type": "application/json"} if method == "POST" else {}
        connection.request(method, path, body=body, headers={**self.headers, **content})
        answer = connection.getresponse()
        answer.read()
        self._saw(f"{method} {answer.status}")

    def _saw(self, what: str) -> None:
        with self._lock:
            self.seen[what] += 1


def test_replicas_behind_nginx_are_restarted_one_after_another_and_nobody_notices(tmp_path: Path) -> None:
    require()
    with replicas(tmp_path, drain_s=str(DRAIN_S)) as (one, other), proxied(tmp_path, [one.port, other.port]) as port:
        load = Load(port, one.token)

        with load.running():
            for replica in (one, other):
                time.sleep(1)
                replica.stop()
                assert replica.server is not None
                assert replica.server.returncode == 0
                replica.start("--no-worker")
            time.sleep(1)

    assert set(load.seen) == {"GET 200", "POST 200", "PUT 201"}, load.seen
    assert min(load.seen.values()) > 10
