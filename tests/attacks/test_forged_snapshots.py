"""What a snapshot that somebody pushed by hand can make a worker do: nothing of another namespace is read."""

import io
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from regalia.core import oci
from regalia.core.digest import Digest
from regalia.core.errors import DocumentError
from regalia.core.kinds.snapshot import SnapshotConfig, VectorSpace
from regalia.core.manifest import Manifest, write_config
from regalia.core.names import ArtifactName, Kind
from regalia.core.oci import Descriptor
from regalia_registry.adapters.memory.blobs import MemoryBlobs
from regalia_registry.adapters.memory.keys import MemoryKeys, MemoryRoot
from regalia_registry.adapters.memory.store import MemoryStore
from regalia_registry.adapters.memory.system import MemoryClock, MemoryIds
from regalia_registry.adapters.vectors.targets import InstalledTargets
from regalia_registry.domain.access import Actor, Grant, Right
from regalia_registry.domain.files import ExportWish, FileForm, ImportWish
from regalia_registry.domain.operations import VerifyWish, Wish
from regalia_registry.domain.questions import Near, QueryWish, Which, encode_vector
from regalia_registry.domain.snapshots.listing import Listing, Segment
from regalia_registry.domain.snapshots.schema import Family, KeyKind, Property, Schema
from regalia_registry.services import operations
from regalia_registry.services.context import Caller, Ports
from regalia_registry.services.push import push_manifest
from regalia_registry.services.steps.artifacts import add_version
from regalia_registry.services.steps.keeping import store_version
from regalia_registry.services.steps.snapshots import LISTING, SCHEMA, open_snapshot
from regalia_registry.worker.loop import Worker

LINES = b'{"id": 1, "vector": [1, 0], "text": "a secret"}\n'
MADE = Schema(
    Family.FILES,
    Property("id", "int"),
    KeyKind.INTEGER,
    (VectorSpace("default", 2, "cosine"),),
    (Property("text", "text"),),
    {},
)
VECTOR = np.array([1, 0], "<f4").tobytes()


def publisher(namespace: str) -> Caller:
    rights = frozenset({Right.READ, Right.PUBLISH})
    return Caller(Actor(namespace, namespace, (Grant(namespace, rights),)), "request-1")


class Forge:
    """A registry, and somebody who writes every part of a snapshot by hand."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ports = Ports(MemoryStore(), MemoryBlobs(), MemoryClock(), MemoryIds(), MemoryKeys(), MemoryRoot())
        self.worker = Worker(self.ports, InstalledTargets(folder), folder / "work", threading.Event())
        self.worker.folder.mkdir()

    def keep(self, body: bytes, namespace: str = "evil") -> Digest:
        digest = Digest.of(body)
        self.ports.blobs.put(digest=digest, source=io.BytesIO(body), size_bytes=len(body))
        with self.ports.store.note() as tx:
            tx.blobs.link(namespace, sizes={digest: len(body)})
        return digest

    def parquet(self, table: pa.Table) -> tuple[Digest, int]:
        file = io.BytesIO()
        pq.write_table(table, file, use_dictionary=False)
        return self.keep(file.getvalue()), len(file.getvalue())

    def descriptors(self, *segments: Segment, schema: Schema = MADE, sizes: dict[Digest, int]) -> list[Descriptor]:
        small = {SCHEMA: schema.written(), LISTING: Listing(segments).written()}
        for body in small.values():
            self.keep(body)
        described = [Descriptor.of(body, "application/json", **{oci.TITLE: title}) for title, body in small.items()]
        for digest, size_bytes in sizes.items():
            title = {oci.TITLE: f"{digest.hex[:16]}.parquet"}
            described.append(Descriptor("application/vnd.apache.parquet", digest, size_bytes, title))
        return described

    def push(self, config: SnapshotConfig, layers: Sequence[Descriptor]) -> None:
        self.keep(write_config(config))
        manifest = Manifest.build(config, tuple(layers))
        push_manifest(self.ports, publisher("evil"), namespace="evil", digest=manifest.digest, body=manifest.body)

    def slip(self, config: SnapshotConfig, layers: Sequence[Descriptor]) -> None:
        """Add a version past what a push checks: a registry of before did not."""
        stored = store_version(self.ports, ArtifactName("evil", Kind.SNAPSHOT, "kb"), config, tuple(layers))
        caller = publisher("evil")
        with self.ports.store.write(caller.actor) as tx:
            add_version(self.ports, caller, tx, stored)

    def outcome(self, wish: Wish, namespace: str = "evil") -> dict[str, object]:
        caller = publisher(namespace)
        asked = operations.start(self.ports, caller, namespace=namespace, wish=wish)
        assert self.worker.run_one()
        told = operations.follow_operation(
            self.ports, caller, namespace=namespace, operation_id=asked.id, after=0
        ).operation
        return {"state": told.state, **(told.outcome or {})}


def config_of(count: int, root: Digest | None = None, schema: Schema = MADE) -> SnapshotConfig:
    return SnapshotConfig("kb", "1.0.0", count, root or Digest.of(b"root"), schema.digest, schema.vectors)


@pytest.fixture
def forge(tmp_path: Path) -> Forge:
    return Forge(tmp_path)


WISHES: dict[str, Wish] = {
    "export": ExportWish("kb", "1.0.0", FileForm.JSONL),
    "verify": VerifyWish("kb", "1.0.0"),
    "query": QueryWish(Which("kb", "1.0.0"), Near(encode_vector([1.0, 0.0]), None, "default", 3)),
}


@pytest.mark.parametrize("wish", WISHES.values(), ids=WISHES)
@pytest.mark.parametrize("own", ["neither", "keys", "rows"])
def test_another_namespaces_segment_is_not_read(forge: Forge, wish: Wish, own: str) -> None:
    forge.outcome(ImportWish("kb", forge.keep(LINES, "bank"), FileForm.JSONL), "bank")
    theirs = open_snapshot(forge.ports, ArtifactName("bank", Kind.SNAPSHOT, "kb"), version="1.0.0")
    [segment] = theirs.listing.segments
    digest, size_bytes = forge.parquet(pa.table({"key": [1], "digest": [b"0" * 32]}))
    listed = segment if own == "neither" else replace(segment, **{own: digest})
    layers = forge.descriptors(listed, schema=theirs.schema, sizes={digest: size_bytes})
    config = config_of(1, theirs.config.content_root, theirs.schema)

    with pytest.raises(DocumentError, match="none of its layers"):
        forge.push(config, layers)
    forge.slip(config, layers)
    told = forge.outcome(wish)

    assert told["state"] == "failed"
    assert '"evil/snapshot/kb@1.0.0" lists a segment that is none of its layers' in str(told["message"])


@pytest.mark.parametrize("count", [40_000, 1_500_000_000, 10**15])
def test_more_rows_than_a_file_has_room_for_take_no_memory(forge: Forge, count: int) -> None:
    digest, size_bytes = forge.parquet(pa.table({"key": [1], "digest": [b"0" * 32]}))
    layers = forge.descriptors(Segment(digest, digest, count, count), sizes={digest: size_bytes})

    with pytest.raises(DocumentError, match="no room"):
        forge.push(config_of(count), layers)
    forge.slip(config_of(count), layers)

    for wish in WISHES.values():
        assert "no room" in str(forge.outcome(wish)["message"])
