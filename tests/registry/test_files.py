"""Files in and out, by a worker over a store in memory and the real provider of files: who may, and what is left."""

import io
import json
import struct
import threading
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from regalia.core.digest import Digest
from regalia.core.errors import ForbiddenError, NotFoundError
from regalia.core.names import ArtifactName, Kind
from regalia.core.strict_json import JsonObject
from regalia.wire.answers import OperationEntry
from regalia_registry.adapters.memory.blobs import MemoryBlobs
from regalia_registry.adapters.memory.keys import MemoryKeys, MemoryRoot
from regalia_registry.adapters.memory.store import MemoryStore
from regalia_registry.adapters.memory.system import MemoryClock, MemoryIds
from regalia_registry.adapters.vectors.targets import InstalledTargets
from regalia_registry.domain.access import Actor, Grant, Right
from regalia_registry.domain.files import ExportWish, FileForm, ImportWish
from regalia_registry.domain.operations import Wish
from regalia_registry.ports.blobs import read_blob
from regalia_registry.services import operations
from regalia_registry.services.artifacts import find_provenance
from regalia_registry.services.context import Caller, Ports
from regalia_registry.services.steps.snapshots import find_newest
from regalia_registry.worker.loop import Worker

LINES = b'{"key": "a", "vector": [1, -0.0], "text": "x"}\n{"key": "b", "vector": [3, 4], "n": 9007199254740993}\n'
FORMS = pytest.mark.parametrize("form", FileForm)


def may(*rights: Right) -> Caller:
    return Caller(Actor("jane", "jane", (Grant("acme", frozenset(rights)),)), "request-1")


PUBLISHER, READER = may(Right.READ, Right.PUBLISH), may(Right.READ)


class Registry:
    """A store and a worker."""

    def __init__(self, folder: Path) -> None:
        self.clock = MemoryClock()
        self.ports = Ports(MemoryStore(), MemoryBlobs(), self.clock, MemoryIds(), MemoryKeys(), MemoryRoot())
        self.worker = Worker(self.ports, InstalledTargets(folder), folder / "work", threading.Event())
        self.worker.folder.mkdir()

    def keep(self, body: bytes, namespace: str = "acme") -> Digest:
        digest = Digest.of(body)
        self.ports.blobs.put(digest=digest, source=io.BytesIO(body), size_bytes=len(body))
        with self.ports.store.note() as tx:
            tx.blobs.link(namespace, sizes={digest: len(body)})
        return digest

    def ask(self, wish: Wish, caller: Caller = PUBLISHER) -> OperationEntry:
        return operations.start(self.ports, caller, namespace="acme", wish=wish)

    def outcome(self, wish: Wish, caller: Caller = PUBLISHER) -> dict[str, object]:
        asked = self.ask(wish, caller)
        assert self.worker.run_one()
        followed = operations.follow_operation(self.ports, READER, namespace="acme", operation_id=asked.id, after=0)
        return {"state": followed.operation.state, **(followed.operation.outcome or {})}

    def exported(self, outcome: dict[str, object]) -> bytes:
        return read_blob(self.ports.blobs, Digest.parse(str(outcome["file"])))


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path)


def test_a_file_becomes_a_snapshot_and_the_snapshot_a_file(registry: Registry) -> None:
    taken = registry.outcome(ImportWish("kb", registry.keep(LINES), FileForm.JSONL))

    written = registry.outcome(ExportWish("kb", "1.0.0", FileForm.PARQUET), READER)

    assert (taken["state"], taken["reference"], taken["count"]) == ("done", "acme/snapshot/kb@1.0.0", 2)
    table = pq.read_table(io.BytesIO(registry.exported(written))).sort_by("key")
    assert table["key"].to_pylist() == ["a", "b"]
    assert struct.pack("<2f", *table["vector:default"].to_pylist()[0]) == struct.pack("<2f", 1, -0.0)
    assert table["n"].to_pylist() == [None, 2**53 + 1]
    assert written["fidelity"] == []
    assert list(registry.worker.folder.iterdir()) == []
    found = find_provenance(registry.ports, READER, ArtifactName("acme", Kind.SNAPSHOT, "kb"), version="1.0.0")
    assert (found.kind, found.target, found.source) == ("import", None, str(Digest.of(LINES)))


@FORMS
def test_what_was_exported_names_where_it_came_from(registry: Registry, form: FileForm) -> None:
    taken = registry.outcome(ImportWish("kb", registry.keep(LINES), FileForm.JSONL))
    written = registry.outcome(ExportWish("kb", "1.0.0", form))

    again = registry.outcome(ImportWish("again", registry.keep(registry.exported(written)), form))

    assert again["content_root"] == taken["content_root"]
    found = find_newest(registry.ports, ArtifactName("acme", Kind.SNAPSHOT, "again"))
    assert found is not None
    assert found.config.derived_from is not None
    assert found.config.derived_from.reference == "acme/snapshot/kb@1.0.0"
    assert str(found.config.derived_from.content_root) == taken["content_root"]


@FORMS
def test_a_version_is_exported_as_one_and_the_same_blob(registry: Registry, form: FileForm) -> None:
    registry.outcome(ImportWish("kb", registry.keep(LINES), FileForm.JSONL))
    registry.outcome(ImportWish("kb", registry.keep(LINES[: LINES.index(b"\n")]), FileForm.JSONL))

    first, second = (registry.outcome(ExportWish("kb", "1.0.0", form))["file"] for _ in range(2))

    assert first == second
    assert registry.outcome(ExportWish("kb", "1.0.1", form))["file"] != first


def test_an_export_tells_that_it_writes_a_file(registry: Registry) -> None:
    registry.outcome(ImportWish("kb", registry.keep(LINES), FileForm.JSONL))

    registry.outcome(ExportWish("kb", "1.0.0", FileForm.JSONL))

    with registry.ports.store.read() as tx:
        [exported] = [one for one in tx.operations.list("acme", after=None, limit=9) if one.kind == "export"]
        steps = {str(event.body["step"]) for event in tx.operations.events(exported.id, after=0, limit=99)}
    assert "writing" in steps
    assert {"loading", "indexing"} & steps == set()


def test_who_may_only_read_exports_and_imports_nothing(registry: Registry) -> None:
    with pytest.raises(ForbiddenError):
        registry.ask(ImportWish("kb", registry.keep(LINES), FileForm.JSONL), READER)
    with pytest.raises(NotFoundError):
        registry.ask(ExportWish("kb", "1.0.0", FileForm.JSONL), READER)


def test_another_namespaces_file_is_not_imported(registry: Registry) -> None:
    theirs = registry.keep(LINES, "bank")

    with pytest.raises(NotFoundError, match="was not sent"):
        registry.ask(ImportWish("kb", theirs, FileForm.JSONL))


HOSTILE = {
    "no Parquet": b"PAR1 or not",
    "Parquet with a head of another edition": b"",
    "JSON lines": LINES,
}


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE)
def test_a_file_that_is_none_makes_no_version(registry: Registry, body: bytes) -> None:
    if not body:
        written = io.BytesIO()
        pq.write_table(pa.table({"id": [1]}).replace_schema_metadata({"regalia": json.dumps({"v": 2})}), written)
        body = written.getvalue()

    refused = registry.outcome(ImportWish("kb", registry.keep(body), FileForm.PARQUET))

    assert (refused["state"], refused["error"]) == ("failed", "invalid_document")
    assert find_newest(registry.ports, ArtifactName("acme", Kind.SNAPSHOT, "kb")) is None


def test_an_export_whose_worker_is_gone_starts_over(registry: Registry) -> None:
    registry.outcome(ImportWish("kb", registry.keep(LINES), FileForm.JSONL))
    wish = ExportWish("kb", "1.0.0", FileForm.PARQUET)
    asked = registry.ask(wish)
    with registry.ports.store.note() as tx:
        now = registry.clock.now()
        claimed = tx.operations.claim(now=now, until=now + timedelta(seconds=60))
        assert claimed is not None
        journal: JsonObject = {"collection": "kb.parquet", "started": 1, "acknowledged": 1}
        tx.operations.update(replace(claimed, journal=journal), epoch=claimed.epoch)
    left = registry.worker.folder / asked.id / "export" / ".kb.parquet.loading"
    left.mkdir(parents=True)
    (left / "00000000").write_bytes(b"half a group")
    registry.clock.turn(timedelta(minutes=2))

    assert registry.worker.run_one()

    done = operations.follow_operation(registry.ports, READER, namespace="acme", operation_id=asked.id, after=0)
    assert done.operation.state == "done"
    assert pq.read_table(io.BytesIO(registry.exported(done.operation.outcome or {}))).num_rows == 2
    assert registry.outcome(wish)["file"] == (done.operation.outcome or {})["file"]
