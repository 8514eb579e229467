"""A Weaviate class as a snapshot, and back: its own client and its own filesystem backup beside, on the same server.

`REGALIA_BENCH_ROWS` and `REGALIA_BENCH_DIMS` set the size; 50,000 x 384 unless they say otherwise.
"""

import os
import shutil
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import weaviate
from weaviate.classes.config import Configure, DataType, Property

from bench.snapshots import size_mb
from bench.table import Row
from regalia_cli.demo.stage import FILES
from regalia_registry.adapters.memory.vectors import MemoryLedger
from regalia_registry.adapters.vectors.weaviate.provider import open_weaviate
from regalia_registry.domain.operations import Holder
from regalia_registry.domain.snapshots.rows import Row as SnapshotRow
from regalia_registry.domain.snapshots.rows import encode_key, encode_properties
from tests.servers import weaviate as servers
from tests.support.registries import Home, home

_SPACE = uuid.UUID("6ba7b811-9dad-11d1-80b4-00c04fd430c8")
_GROUP = 5000
_RANK = 32  # texts' vectors are of a lower rank than their dimensions
_POLL_S = 0.2


def rows() -> Iterator[Row]:
    """Measure on one server."""
    passages = _Passages(
        int(os.environ.get("REGALIA_BENCH_ROWS", "50000")), int(os.environ.get("REGALIA_BENCH_DIMS", "384"))
    )
    with tempfile.TemporaryDirectory() as folder:
        backups = Path(folder) / "backups"
        settings = {"ENABLE_MODULES": "backup-filesystem", "BACKUP_FILESYSTEM_PATH": str(backups)}
        with servers.running(Path(folder) / "server", **settings) as server, _client(server) as client:
            yield _imported(passages, server, client)
            yield _exported(passages, server, client)
            yield from _taken(Path(folder), passages, server, backups)


@dataclass(frozen=True)
class _Passages:
    """How many rows, of how many dimensions."""

    count: int
    dims: int

    @property
    def size(self) -> str:
        """Spell it."""
        return f"{self.count:,} x {self.dims}"

    def groups(self) -> Iterator[list[SnapshotRow]]:
        """Make rows, a group at a time."""
        random = np.random.default_rng(7)
        basis = random.standard_normal((_RANK, self.dims), np.float32)
        for start in range(0, self.count, _GROUP):
            numbers = range(start, min(start + _GROUP, self.count))
            mixed = random.standard_normal((len(numbers), _RANK), np.float32) @ basis
            vectors = (mixed / np.linalg.norm(mixed, axis=1, keepdims=True)).astype("<f4")
            yield [
                SnapshotRow(
                    encode_key(uuid.uuid5(_SPACE, str(number))),
                    (("default", vector.tobytes()),),
                    encode_properties({"body": f"passage {number} " + "words " * 20, "topic": f"t{number % 13}"}),
                )
                for number, vector in zip(numbers, vectors, strict=True)
            ]


def _client(server: servers.Weaviate) -> weaviate.WeaviateClient:
    return weaviate.connect_to_local(port=server.ports["rest"], grpc_port=server.ports["grpc"])


def _imported(passages: _Passages, server: servers.Weaviate, client: weaviate.WeaviateClient) -> Row:
    """Fill two classes of default settings, each until it is indexed, and ours until every row is found."""
    _make(client, "Theirs")
    theirs = client.collections.use("Theirs")
    groups = [list(group) for group in passages.groups()]
    sent = [
        (str(uuid.UUID(bytes=row.key[1:])), np.frombuffer(row.vectors[0][1], "<f4").tolist(), number)
        for number, row in enumerate(row for group in groups for row in group)
    ]
    began = time.perf_counter()
    with theirs.batch.fixed_size(500, 2) as batch:
        for name, vector, number in sent:
            properties = {"body": f"passage {number} " + "words " * 20, "topic": f"t{number % 13}"}
            batch.add_object(properties, uuid=name, vector=vector)
    _wait(server, "Theirs")
    them_s = time.perf_counter() - began
    assert not theirs.batch.failed_objects
    with closing(open_weaviate(server.url, holder=Holder("bench", 1))) as provider:
        schema = provider.describe("Theirs").schema
        provider.create("Ours_bench", schema, mark="bench")
        began = time.perf_counter()
        for _ in provider.load("Ours_bench", schema, groups, ledger=MemoryLedger()):
            pass
        provider.build_index("Ours_bench", schema)
        us_s = time.perf_counter() - began
        lost = sum(len(provider.unreachable("Ours_bench", [row.key for row in group])) for group in groups)
        proved_s = time.perf_counter() - began - us_s
        assert lost == 0
        provider.drop("Ours_bench", mark="bench")
    return Row(
        f"load of {passages.size} into Weaviate, hnsw as it comes, until it is indexed",
        f"{passages.count / us_s:,.0f} rows/s, then {proved_s:.1f} s to find every row through the index",
        f"{passages.count / them_s:,.0f} rows/s (its client's batch)",
        f"{them_s / us_s:.2f} x",
        "≥ 1 x",
    )


def _exported(passages: _Passages, server: servers.Weaviate, client: weaviate.WeaviateClient) -> Row:
    """Read a class whole; ours asks its index for every row in the same pass."""
    theirs = client.collections.use("Theirs")
    began = time.perf_counter()
    assert sum(1 for _ in theirs.iterator(include_vector=True, cache_size=1000)) == passages.count
    them_s = time.perf_counter() - began
    with closing(open_weaviate(server.url, holder=Holder("bench", 1))) as provider:
        began = time.perf_counter()
        with provider.open("Theirs") as reading:
            assert sum(map(len, reading.batches())) == passages.count
            assert (reading.moved(), reading.unindexed()) == (0, 0)
        us_s = time.perf_counter() - began
    return Row(
        f"reading {passages.size} out of Weaviate, every row looked for in its index",
        f"{passages.count / us_s:,.0f} rows/s",
        f"{passages.count / them_s:,.0f} rows/s (its client's iterator, 1,000 at a time)",
        f"{them_s / us_s:.2f} x",
        "≥ 1.5 x",
    )


def _taken(folder: Path, passages: _Passages, server: servers.Weaviate, backups: Path) -> Iterator[Row]:
    """Take snapshots through `reg`, and Weaviate's own backups, before and after 2.5 % churn."""
    (folder / "home").mkdir()
    with home(folder / "home", files=FILES) as ours, httpx.Client(base_url=server.origin, timeout=600) as rest:
        ours.must("init", "acme/support-agent", "--registry", ours.url)
        ours.start(workers=1)
        ours.must("target", "add", "docs", server.url, "--provider", "weaviate")
        for what in ("first", "unchanged", "after 2.5 % churn"):
            if "churn" in what:
                _churn(passages, rest)
            us_s, us_mb = _snapshot(ours)
            them_s, them_mb = _backup(rest, backups, f"b{len(what)}")
            yield Row(
                f"snapshot of {passages.size} from Weaviate, {what}",
                f"{us_s:.1f} s, {us_mb:.1f} MB",
                f"{them_s:.1f} s, {them_mb:.1f} MB (its filesystem backup)",
                f"{us_s / them_s:.2f} x time, {us_mb / them_mb:.3f} x bytes",
            )
        ours.stop()
        shutil.rmtree(ours.folder, ignore_errors=True)


def _snapshot(ours: Home) -> tuple[float, float]:
    blobs = ours.folder / ".local/share/regalia/blobs/sha256"
    before, began = size_mb(blobs), time.perf_counter()
    ours.must("snapshot", "create", "docs", "Theirs", "--name", "kb")
    return time.perf_counter() - began, size_mb(blobs) - before


def _backup(rest: httpx.Client, backups: Path, name: str) -> tuple[float, float]:
    began = time.perf_counter()
    rest.post("/v1/backups/filesystem", json={"id": name, "include": ["Theirs"]}).raise_for_status()
    while rest.get(f"/v1/backups/filesystem/{name}").json()["status"] != "SUCCESS":
        time.sleep(_POLL_S)
    return time.perf_counter() - began, size_mb(backups / name)


def _churn(passages: _Passages, rest: httpx.Client) -> None:
    """Update 1 %, delete 0.5 %, insert 1 %."""
    hundredth = passages.count // 100
    vector = [1.0] + [0.0] * (passages.dims - 1)
    changed = [*range(hundredth), *range(passages.count, passages.count + hundredth)]
    objects = [
        {"class": "Theirs", "id": str(uuid.uuid5(_SPACE, str(number))), "vector": vector, "properties": {"body": "new"}}
        for number in changed
    ]
    rest.post("/v1/batch/objects", json={"objects": objects}).raise_for_status()
    for number in range(hundredth, hundredth + hundredth // 2):
        rest.delete(f"/v1/objects/Theirs/{uuid.uuid5(_SPACE, str(number))}").raise_for_status()


def _make(client: weaviate.WeaviateClient, name: str) -> None:
    client.collections.create(
        name,
        vector_config=Configure.Vectors.self_provided(name="default"),
        properties=[Property(name="body", data_type=DataType.TEXT), Property(name="topic", data_type=DataType.TEXT)],
    )


def _wait(server: servers.Weaviate, name: str) -> None:
    while True:
        nodes = httpx.get(f"{server.origin}/v1/nodes/{name}?output=verbose").json()["nodes"]
        if all(shard["vectorQueueLength"] == 0 for node in nodes for shard in node["shards"]):
            return
        time.sleep(_POLL_S)
