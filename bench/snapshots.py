"""A live pgvector collection as a snapshot: the first, an unchanged one, one after churn; `pg_dump -Fc` beside it."""

import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from bench.table import Row
from regalia_cli.demo.stage import FILES
from regalia_registry.adapters.vectors.pgvector.embedded import EmbeddedPostgres, wheel_binaries
from tests.support.registries import Home, home

_ROWS = 100_000
_DIMS = 384
_FILL = f"""
CREATE TABLE kb (id bigint PRIMARY KEY, body text NOT NULL, embedding vector({_DIMS}));
INSERT INTO kb SELECT n, 'passage ' || md5(n::text) || repeat(' words', 20),
    ARRAY(SELECT random()::real FROM generate_series(1, {_DIMS} + 0 * n))::vector FROM generate_series(1, {_ROWS}) n;
"""  # noqa: S608 # numbers of ours
_CHURN = f"""
UPDATE kb SET body = body || '!' WHERE id % 100 = 0;
DELETE FROM kb WHERE id % 200 = 1;
INSERT INTO kb SELECT n + {_ROWS}, body, embedding FROM kb, LATERAL (SELECT id AS n) x WHERE id % 100 = 2;
"""  # noqa: S608 # numbers of ours


def rows() -> Iterator[Row]:
    """Measure both on one table, and say the bytes that each stores."""
    with tempfile.TemporaryDirectory() as folder, _registry(Path(folder)) as (ours, server):
        with psycopg.connect(server.url, autocommit=True) as connection:
            connection.execute(_FILL.encode())
        raw = _ROWS * (_DIMS * 4 + 150) / 1e6
        for what, change in (("first", b""), ("unchanged", b""), ("after 2.5 % churn", _CHURN.encode())):
            if change:
                with psycopg.connect(server.url, autocommit=True) as connection:
                    connection.execute(change)
            us_s, us_mb = _taken(ours)
            them_s, them_mb = _dumped(server, Path(folder) / "dump")
            yield Row(
                f"snapshot of {_ROWS:,} x {_DIMS} ({raw:.0f} MB), {what}",
                f"{us_s:.1f} s, {us_mb:.1f} MB",
                f"{them_s:.1f} s, {them_mb:.1f} MB (pg_dump -Fc)",
                f"{us_s / them_s:.2f} x time, {us_mb / them_mb:.3f} x bytes",
            )


def _taken(ours: Home) -> tuple[float, float]:
    """Take a snapshot through `reg`; gives seconds, and the megabytes that are new in the blob store."""
    blobs = ours.folder / ".local/share/regalia/blobs/sha256"
    before = _size_mb(blobs)
    began = time.perf_counter()
    json.loads(ours.must("snapshot", "create", "local", "public.kb", "--json"))
    return time.perf_counter() - began, _size_mb(blobs) - before


def _dumped(server: EmbeddedPostgres, path: Path) -> tuple[float, float]:
    began = time.perf_counter()
    subprocess.run(
        [str(wheel_binaries() / "pg_dump"), "-Fc", "-t", "public.kb", "-f", str(path), server.url], check=True
    )
    return time.perf_counter() - began, path.stat().st_size / 1e6


def _size_mb(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


@contextmanager
def _registry(folder: Path) -> Iterator[tuple[Home, EmbeddedPostgres]]:
    with home(folder, files=FILES) as ours:
        ours.must("init", "acme/support-agent", "--registry", ours.url)
        ours.start()
        server = EmbeddedPostgres(folder / ".local/share/regalia/postgres", wheel_binaries())
        server.start()
        try:
            yield ours, server
        finally:
            ours.stop()
            shutil.rmtree(server.folder, ignore_errors=True)
