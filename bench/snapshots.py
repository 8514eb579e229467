"""A live pgvector collection as a snapshot: the first, an unchanged one, one after churn; then loaded.

Peers read the same table in the same run: `pg_dump -Fc`, and pyarrow's Parquet with content-defined chunks.
`REGALIA_BENCH_ROWS` and `REGALIA_BENCH_DIMS` set the size.
"""

import json
import os
import re
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from itertools import pairwise
from pathlib import Path

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq

from bench import load, resolve
from bench.passages import Passages
from bench.processes import cpu_s, family, peak_rss_mb
from bench.table import Row
from regalia_cli.demo.stage import FILES
from regalia_registry.adapters.vectors.pgvector.embedded import EmbeddedPostgres, wheel_binaries
from tests.support.registries import Home, home

_ZSTD = re.compile(rb"(?=\x28\xb5\x2f\xfd)")  # a Parquet page is one zstd frame: the file is cut where one begins
_MOST_LOADED = 100_000


def rows() -> Iterator[Row]:
    """Measure on one table, and say the bytes that each stores."""
    passages = Passages(
        int(os.environ.get("REGALIA_BENCH_ROWS", "100000")), int(os.environ.get("REGALIA_BENCH_DIMS", "384"))
    )
    with tempfile.TemporaryDirectory() as folder, _registry(Path(folder)) as (ours, server):
        with psycopg.connect(server.url, autocommit=True) as connection:
            passages.fill(connection)
        chunks = _Chunks(Path(folder) / "chunks.parquet", server.url)
        for what in ("first", "unchanged", "after 2.5 % churn"):
            if "churn" in what:
                with psycopg.connect(server.url, autocommit=True) as connection:
                    passages.churn(connection)
            named = f"snapshot of {passages.rows:,} x {passages.dims} ({passages.raw_mb:,.0f} MB) from pgvector, {what}"
            yield from _taken(named, ours, server, Path(folder) / "dump", chunks)
        yield from _beside_resolves(ours)
        if passages.rows <= _MOST_LOADED:
            yield _loaded(ours, passages)


def _taken(what: str, ours: Home, server: EmbeddedPostgres, dump: Path, chunks: "_Chunks") -> Iterator[Row]:
    us_s, us_cpu_s, us_mb, peak_mb = _snapshot(ours)
    them_s, them_mb = _dumped(server, dump)
    chunk_s, chunk_mb = chunks.written()
    yield Row(
        what,
        f"{us_s:.1f} s ({us_cpu_s:.1f} s of the worker's CPU), {us_mb:.1f} MB, peak {peak_mb:.0f} MB of memory",
        f"{them_s:.1f} s, {them_mb:.1f} MB (pg_dump -Fc); {chunk_s:.1f} s, {chunk_mb:.1f} MB new (pyarrow's chunks)",
        f"{us_s / them_s:.2f} x time, {us_mb / them_mb:.3f} x bytes",
    )


def _snapshot(ours: Home) -> tuple[float, float, float, float]:
    """Take a snapshot through `reg`; gives seconds, the worker's, the megabytes that are new, the worker's peak."""
    blobs = ours.folder / ".local/share/regalia/blobs/sha256"
    worker = _worker(ours)
    before, before_s = _size_mb(blobs), cpu_s([worker])
    began = time.perf_counter()
    ours.must("snapshot", "create", "local", "public.kb", "--json")
    spent_s = time.perf_counter() - began
    return spent_s, cpu_s([worker]) - before_s, _size_mb(blobs) - before, peak_rss_mb(worker)


def _dumped(server: EmbeddedPostgres, path: Path) -> tuple[float, float]:
    began = time.perf_counter()
    subprocess.run(
        [str(wheel_binaries() / "pg_dump"), "-Fc", "-t", "public.kb", "-f", str(path), server.url], check=True
    )
    return time.perf_counter() - began, path.stat().st_size / 1e6


@dataclass
class _Chunks:
    """Parquet whose pages are cut by content: the peer that finds what is stored already by the pages' hashes."""

    path: Path
    url: str
    known: set[bytes] = field(default_factory=set)

    def written(self) -> tuple[float, float]:
        """Write the table; gives the seconds without reading it, and the megabytes of pages that are new."""
        with psycopg.connect(self.url) as connection:
            found = connection.execute("SELECT id, body, embedding::real[] FROM kb ORDER BY id", binary=True).fetchall()
        kinds = pa.int64(), pa.string(), pa.list_(pa.float32())
        columns = [pa.array(column, kind) for column, kind in zip(zip(*found, strict=True), kinds, strict=True)]
        table = pa.table(columns, names=["id", "body", "embedding"])
        began = time.perf_counter()
        pq.write_table(table, self.path, compression="zstd", use_dictionary=False, use_content_defined_chunking=True)
        spent_s = time.perf_counter() - began
        pages = _ZSTD.split(self.path.read_bytes())
        new = {sha256(page).digest(): len(page) for page in pages}
        fresh = sum(size for digest, size in new.items() if digest not in self.known)
        self.known |= set(new)
        return spent_s, fresh / 1e6


def _beside_resolves(ours: Home) -> Iterator[Row]:
    """Resolve without pause while a whole snapshot is taken, and while nothing is."""
    asked = resolve.request(ours)
    load.run(ours.port, asked, seconds=1.0)
    idle = load.run(ours.port, asked, connections=4, seconds=4.0)
    taking = threading.Thread(target=ours.must, args=("snapshot", "create", "local", "public.kb", "--name", "again"))
    taking.start()
    busy = load.run(ours.port, asked, connections=4, seconds=4.0)
    taking.join()
    yield Row(
        "resolve p99, 4 connections, while a snapshot is taken",
        f"{busy.p99_ms:.1f} ms",
        f"{idle.p99_ms:.1f} ms (us, idle)",
        f"{busy.p99_ms / idle.p99_ms:.1f} x",
        "≤ 2 x",
    )


def _loaded(ours: Home, passages: Passages) -> Row:
    """Load the newest version, by phase."""
    with psycopg.connect(_server(ours).url, autocommit=True) as connection:
        connection.execute("CREATE INDEX ON kb USING hnsw (embedding vector_cosine_ops)")
    ours.must("snapshot", "create", "local", "public.kb")
    newest = json.loads(ours.must("snapshot", "list", "kb", "--json"))[0]["version"]
    began = time.perf_counter()
    ours.must("snapshot", "load", f"kb@{newest}", "--target", "local")
    spent_s = time.perf_counter() - began
    last = json.loads(ours.must("operation", "list", "--json"))[0]["id"]
    events = json.loads(ours.must("operation", "show", last, "--json"))["events"]
    phases: dict[str, float] = {}
    for one, following in pairwise(events):
        took = datetime.fromisoformat(following["time"]) - datetime.fromisoformat(one["time"])
        phases[one["body"]["step"]] = phases.get(one["body"]["step"], 0.0) + took.total_seconds()
    told = ", ".join(f"{step} {took:.1f}" for step, took in phases.items())
    return Row(
        f"load of {passages.rows:,} x {passages.dims} into pgvector with its HNSW index",
        f"{spent_s:.1f} s ({told})",
        must="≤ 45 s",
    )


def _worker(ours: Home) -> int:
    assert ours.server is not None
    return next(pid for pid in family(ours.server.pid) if "admin.work" in Path(f"/proc/{pid}/cmdline").read_text())


def _size_mb(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


def _server(ours: Home) -> EmbeddedPostgres:
    return EmbeddedPostgres(ours.folder / ".local/share/regalia/postgres", wheel_binaries())


@contextmanager
def _registry(folder: Path) -> Iterator[tuple[Home, EmbeddedPostgres]]:
    with home(folder, files=FILES) as ours:
        ours.must("init", "acme/support-agent", "--registry", ours.url)
        ours.start()
        ours.must("bundle", "create", "1.0.0")
        ours.must("promote", "1.0.0", "--to", "prod")
        server = _server(ours)
        server.start()
        try:
            yield ours, server
        finally:
            ours.stop()
            shutil.rmtree(server.folder, ignore_errors=True)
