"""Large blobs through a bucket, beside plain boto3 on the same server; and what they do to resolves meanwhile."""

import hashlib
import io
import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from bench import load, resolve
from bench.processes import family, peak_rss_mb
from bench.table import Row
from regalia.client import Client
from regalia.core.digest import Digest
from regalia_cli.demo.stage import FILES
from tests.servers import seaweed
from tests.servers.seaweed import BUCKET, Seaweed
from tests.support.registries import Home, home

_SIZE = 100 * 1000 * 1000
_TIMES = 7
_GET_S = 4.0


def rows() -> Iterator[Row]:
    """Measure both ways in turns, then resolves beside a client that sends and fetches without pause."""
    with _ours() as (ours, server):
        client, theirs = Client(environment=ours.environment, folder=ours.project), seaweed.client_of(server)

        def send(body: bytes) -> None:
            client.registry.put_blob("acme", Digest.of(body), body)

        def fetch(body: bytes) -> None:
            client.registry.blob("acme", Digest.of(body), size_bytes=len(body))

        def their_send(body: bytes) -> None:
            theirs.upload_fileobj(io.BytesIO(body), BUCKET, hashlib.sha256(body).hexdigest())

        def their_fetch(body: bytes) -> None:
            found = io.BytesIO()
            theirs.download_fileobj(BUCKET, hashlib.sha256(body).hexdigest(), found)
            assert hashlib.sha256(found.getbuffer()).digest() == hashlib.sha256(body).digest()

        bodies = [_body() for _ in range(_TIMES)]
        yield _row("blob of 100 MB to S3, hashed on both ways", bodies, send, their_send)
        yield _row("blob of 100 MB from S3 by a redirect, hashed", bodies, fetch, their_fetch)
        yield Row("resolve p99 while one client sends and fetches 100 MB without pause", _p99_meanwhile(ours, client))
        assert ours.server is not None
        peak = max(peak_rss_mb(pid) for pid in family(ours.server.pid))
        yield Row("most memory of a web process after that", f"{peak:.0f} MB")


@contextmanager
def _ours() -> Iterator[tuple[Home, Seaweed]]:
    """Start a registry with a bundle in prod and its blobs in a bucket."""
    with (
        tempfile.TemporaryDirectory() as place,
        seaweed.running(Path(place) / "s3") as server,
        tempfile.TemporaryDirectory() as folder,
        home(Path(folder), files=FILES) as ours,
    ):
        ours.more |= {**server.environment, "REGALIA_SERVER_BLOBS": server.url("ours", redirect=server.endpoint)}
        ours.must("init", "acme/support-agent", "--registry", ours.url)
        ours.start("--no-worker", workers=2)
        ours.must("bundle", "create", "1.0.0")
        ours.must("promote", "1.0.0", "--to", "prod")
        yield ours, server


def _row(what: str, bodies: list[bytes], ours: Callable[[bytes], None], theirs: Callable[[bytes], None]) -> Row:
    pairs = [(_rate(ours, body), _rate(theirs, body)) for body in bodies]
    us, them = (median(pair[side] for pair in pairs) for side in (0, 1))
    return Row(what, f"{us:,.0f} MB/s", f"{them:,.0f} MB/s (boto3)", f"{us / them:.1f} x")


def _body() -> bytes:
    return os.urandom(1000) * (_SIZE // 1000)


def _rate(move: Callable[[bytes], None], body: bytes) -> float:
    began = time.perf_counter()
    move(body)
    return len(body) / 1e6 / (time.perf_counter() - began)


def _p99_meanwhile(ours: Home, client: Client) -> str:
    idle = load.run(ours.port, resolve.request(ours), seconds=_GET_S)
    moving = multiprocessing.get_context("fork").Process(target=_move_for_ever, args=(client,))
    moving.start()
    found = load.run(ours.port, resolve.request(ours), seconds=2 * _GET_S)
    moving.kill()
    moving.join()
    return f"{found.p99_ms:.0f} ms (idle {idle.p99_ms:.0f})"


def _move_for_ever(client: Client) -> None:
    while True:
        body = _body()
        client.registry.put_blob("acme", Digest.of(body), body)
        client.registry.blob("acme", Digest.of(body), size_bytes=len(body))
