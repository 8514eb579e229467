"""Large uploads, hashed and durable, beside Debian's docker-registry; and what they do to resolves meanwhile."""

import hashlib
import http.client
import multiprocessing
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from urllib.parse import urlsplit

from bench import load, resolve
from bench.table import Row
from regalia_cli.demo.stage import free_port
from tests.support.registries import Home

_SIZE = 64 * 1024 * 1024
_TIMES = 9
_CONFIG = """version: 0.1
log: {{level: error}}
storage: {{filesystem: {{rootdirectory: {folder}}}}}
http: {{addr: "127.0.0.1:{port}"}}
"""


@dataclass(frozen=True)
class _Upload:
    """How to send a blob and its digest to one of the two, and where it keeps them."""

    send: Callable[[bytes, str], None]
    folder: Path

    def forget(self) -> None:
        """Delete the large files: a virtual machine gives out pages that it has touched faster than fresh ones."""
        for path in self.folder.rglob("*"):
            if path.is_file() and path.stat().st_size == _SIZE:
                path.unlink()


def rows(ours: Home) -> Iterator[Row]:
    """Measure uploads in turns, then resolves beside an upload that never ends."""
    what, must, goal = f"blob upload, {_SIZE >> 20} MiB, sha256 and fsync", "1.2 x", "1.7 x"
    to_us = _to_us(ours)
    if shutil.which("docker-registry") is None:
        mine = median(_rate(to_us) for _ in range(_TIMES))
        yield Row(what, f"{mine:,.0f} MB/s", "docker-registry is not installed", must=must, goal=goal)
    else:
        with _docker_registry() as to_docker:
            pairs = [(_rate(to_us), _rate(to_docker)) for _ in range(_TIMES)]
        us, them = median(pair[0] for pair in pairs), median(pair[1] for pair in pairs)
        yield Row(what, f"{us:,.0f} MB/s", f"{them:,.0f} MB/s (docker-registry)", f"{us / them:.1f} x", must, goal)
    yield Row(what="resolve p99 while one client uploads without pause", ours=_p99_meanwhile(ours, to_us))


def _rate(upload: _Upload) -> float:
    """Give the rate of one new blob in MB/s (10^6)."""
    body = os.urandom(1024) * (_SIZE // 1024)
    digest = hashlib.sha256(body).hexdigest()
    began = time.perf_counter()
    upload.send(body, digest)
    spent_s = time.perf_counter() - began
    upload.forget()
    return _SIZE / 1e6 / spent_s


def _to_us(ours: Home) -> _Upload:
    def send(body: bytes, digest: str) -> None:
        headers = {"Authorization": f"Bearer {ours.token}", "Content-Type": "application/octet-stream"}
        _send(ours.port, "PUT", f"/v1/namespaces/acme/blobs/sha256:{digest}", body, headers)

    return _Upload(send, ours.folder)


def _to_docker(port: int, folder: Path) -> _Upload:
    def send(body: bytes, digest: str) -> None:
        location = urlsplit(_send(port, "POST", "/v2/bench/blobs/uploads/", b"", {})["location"])
        target = f"{location.path}?{location.query}&digest=sha256:{digest}"
        _send(port, "PUT", target, body, {"Content-Type": "application/octet-stream"})

    return _Upload(send, folder)


def _send(port: int, method: str, path: str, body: bytes, headers: dict[str, str]) -> dict[str, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request(method, path, body, headers)
    response = connection.getresponse()
    told = response.read()
    assert response.status in {200, 201, 202}, told
    connection.close()
    return {name.lower(): value for name, value in response.getheaders()}


def _p99_meanwhile(ours: Home, to_us: _Upload) -> str:
    idle = load.run(ours.port, resolve.request(ours), seconds=4.0)
    uploading = multiprocessing.get_context("fork").Process(target=_upload_for_ever, args=(to_us,))
    uploading.start()
    found = load.run(ours.port, resolve.request(ours), seconds=6.0)
    uploading.kill()
    uploading.join()
    return f"{found.p99_ms:.0f} ms (idle {idle.p99_ms:.0f})"


def _upload_for_ever(upload: _Upload) -> None:
    while True:
        _rate(upload)


@contextmanager
def _docker_registry() -> Iterator[_Upload]:
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "config.yml"
        config.write_text(_CONFIG.format(folder=folder, port=port))
        server = subprocess.Popen(
            ["docker-registry", "serve", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            deadline = time.monotonic() + 20
            while not _is_open(port) and time.monotonic() < deadline:
                time.sleep(0.05)
            yield _to_docker(port, Path(folder))
        finally:
            server.terminate()
            server.wait()


def _is_open(port: int) -> bool:
    with socket.socket() as tried:
        return tried.connect_ex(("127.0.0.1", port)) == 0
