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
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from itertools import pairwise
from pathlib import Path

import numpy as np
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq

from bench import load, resolve
from bench.passages import Passages
from bench.processes import cpu_s, peak_rss_mb
from bench.table import Row
from regalia_cli.demo.stage import FILES
from regalia_registry.adapters.vectors.pgvector.embedded import EmbeddedPostgres, wheel_binaries
from regalia_registry.adapters.vectors.pgvector.provider import open_pgvector
from regalia_registry.domain.operations import Holder
from regalia_registry.domain.snapshots.rows import Rows as SnapshotRows
from tests.support.registries import Home, home

_ZSTD = re.compile(rb"(?=\x28\xb5\x2f\xfd)")  # a Parquet page is one zstd frame: the file is cut where one begins
_MOST_LOADED = 100_000
_MOST_BESIDE = 1_000_000  # peers hold the table in memory, or take half an hour


def rows() -> Iterator[Row]:
    """Measure on one table, and say the bytes that each stores."""
    passages = Passages(
        int(os.environ.get("REGALIA_BENCH_ROWS", "100000")), int(os.environ.get("REGALIA_BENCH_DIMS", "384"))
    )
    with tempfile.TemporaryDirectory() as folder, _registry(Path(folder)) as (ours, server):
        with psycopg.connect(server.url, autocommit=True) as connection:
            passages.fill(connection)
        peers = _Peers(server.url, Path(folder)) if passages.rows <= _MOST_BESIDE else None
        for what in ("first", "unchanged", "after 2.5 % churn"):
            if "churn" in what:
                with psycopg.connect(server.url, autocommit=True) as connection:
                    passages.churn(connection)
            named = f"snapshot of {passages.rows:,} x {passages.dims} ({passages.raw_mb:,.0f} MB) from pgvector, {what}"
            yield _taken(named, ours, peers)
        yield _compared(ours, passages)
        if passages.rows <= _MOST_BESIDE:
            yield from _imported(Path(folder), ours, passages)
        yield from _beside_resolves(ours)
        if passages.rows <= _MOST_LOADED:
            yield _loaded(ours, passages)


def _taken(what: str, ours: Home, peers: "_Peers | None") -> Row:
    us_s, us_cpu_s, us_mb, peak_mb = _snapshot(ours)
    mine = f"{us_s:.1f} s ({us_cpu_s:.1f} s of the worker's CPU), {us_mb:.1f} MB, peak {peak_mb:.0f} MB of memory"
    if peers is None:
        return Row(what, mine)
    them_s, them_mb = peers.dumped()
    chunk_s, chunk_mb = peers.chunked()
    return Row(
        what,
        mine,
        f"{them_s:.1f} s, {them_mb:.1f} MB (pg_dump -Fc); {chunk_s:.1f} s, {chunk_mb:.1f} MB new (pyarrow's chunks)",
        f"{us_s / them_s:.2f} x time, {us_mb / them_mb:.3f} x bytes",
    )


def _imported(folder: Path, ours: Home, passages: Passages) -> Iterator[Row]:
    """Take the same rows from a Parquet file in a folder that is a target, twice."""
    path = folder / "files/kb.parquet"
    path.parent.mkdir()
    passages.write(path)
    file_mb = path.stat().st_size / 1e6
    ours.must("target", "add", "files", f"file://{path.parent}", "--provider", "files")
    for what in ("first", "unchanged"):
        us_s, us_cpu_s, us_mb, peak_mb = _asked(ours, "create", "files", path.name, "--name", "filed")
        yield Row(
            f"snapshot of {passages.rows:,} x {passages.dims} from a Parquet file of {file_mb:,.0f} MB, {what}",
            f"{us_s:.1f} s ({us_cpu_s:.1f} s of the worker's CPU), {us_mb:.1f} MB, peak {peak_mb:.0f} MB of memory",
        )
    path.unlink()


def _snapshot(ours: Home) -> tuple[float, float, float, float]:
    return _asked(ours, "create", "local", "public.kb")


def _asked(ours: Home, *words: str) -> tuple[float, float, float, float]:
    """Take a snapshot through `reg`; gives seconds, the worker's, the megabytes that are new, the worker's peak."""
    blobs = ours.folder / ".local/share/regalia/blobs/sha256"
    worker = ours.workers()[0]
    before, before_s = size_mb(blobs), cpu_s([worker])
    began = time.perf_counter()
    ours.must("snapshot", *words, "--json")
    spent_s = time.perf_counter() - began
    return spent_s, cpu_s([worker]) - before_s, size_mb(blobs) - before, peak_rss_mb(worker)


@dataclass
class _Peers:
    """What else keeps a table; pages of Parquet that are cut by content are known by their hashes."""

    url: str
    folder: Path
    known: set[bytes] = field(default_factory=set)

    def dumped(self) -> tuple[float, float]:
        """Dump the table; gives the seconds and the megabytes."""
        path = self.folder / "dump"
        began = time.perf_counter()
        command = [str(wheel_binaries() / "pg_dump"), "-Fc", "-t", "public.kb", "-f", str(path), self.url]
        subprocess.run(command, check=True)
        return time.perf_counter() - began, path.stat().st_size / 1e6

    def chunked(self) -> tuple[float, float]:
        """Write the table; gives the seconds without reading it, and the megabytes of pages that are new."""
        table, path = _table(self.url), self.folder / "chunks.parquet"
        began = time.perf_counter()
        pq.write_table(table, path, compression="zstd", use_dictionary=False, use_content_defined_chunking=True)
        spent_s = time.perf_counter() - began
        pages = _ZSTD.split(path.read_bytes())
        new = {sha256(page).digest(): len(page) for page in pages}
        fresh = sum(size for digest, size in new.items() if digest not in self.known)
        self.known |= set(new)
        return spent_s, fresh / 1e6


def _table(url: str) -> pa.Table:
    """Read the table `kb` in the order of its keys."""
    parts = []
    with closing(open_pgvector(url, holder=Holder("bench", 1))) as provider, provider.open("public.kb") as reading:
        for rows in map(SnapshotRows.of, reading.batches()):
            vectors = pa.array(np.frombuffer(b"".join(filter(None, rows.vectors[0][1])), "<f4"))
            ends = pa.array(np.arange(len(rows) + 1, dtype=np.int32) * (len(vectors) // len(rows)))
            columns = [pa.array(rows.keys), pa.array(rows.properties), pa.ListArray.from_arrays(ends, vectors)]
            parts.append(pa.table(columns, names=["key", "properties", "vector"]))
    return pa.concat_tables(parts).sort_by("key")


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
    phases = phases_of(ours)
    told = ", ".join(f"{step} {took:.1f}" for step, took in phases.items())
    return Row(
        f"load of {passages.rows:,} x {passages.dims} into pgvector with its HNSW index",
        f"{spent_s:.1f} s ({told})",
        must="≤ 45 s",
    )


def _compared(ours: Home, passages: Passages) -> Row:
    """Compare the first version with the one after churn."""
    began = time.perf_counter()
    ours.must("snapshot", "diff", "kb@1.0.0", "kb@1.0.1")
    spent_s = time.perf_counter() - began
    return Row(
        f"diff of two snapshots of {passages.rows:,} x {passages.dims} that differ in 2.5 %",
        f"{_done_s(ours) * 1e3:.0f} ms ({spent_s:.1f} s with asking for it)",
        must="≤ 100 ms",
    )


def _done_s(ours: Home) -> float:
    """Say how many seconds the worker was at the last operation, by its log."""
    lines = [json.loads(line) for line in (ours.folder / "registry.log").read_text().splitlines() if line[:1] == "{"]
    times = {line["event"]: datetime.fromisoformat(line["timestamp"]) for line in lines}
    return (times["operation over"] - times["operation claimed"]).total_seconds()


def phases_of(ours: Home) -> dict[str, float]:
    """Say how many whole seconds each step of the last operation took."""
    last = json.loads(ours.must("operation", "list", "--json"))[0]["id"]
    events = json.loads(ours.must("operation", "show", last, "--json"))["events"]
    phases: dict[str, float] = {}
    for one, following in pairwise(events):
        took = datetime.fromisoformat(following["time"]) - datetime.fromisoformat(one["time"])
        phases[one["body"]["step"]] = phases.get(one["body"]["step"], 0.0) + took.total_seconds()
    return phases


def size_mb(folder: Path) -> float:
    """Count what the files of a folder hold, in megabytes."""
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
