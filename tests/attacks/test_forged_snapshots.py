"""What a snapshot that somebody pushed by hand can make a worker do: nothing of another namespace is read."""

import io
import threading
from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
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
from regalia_registry.domain.snapshots.rows import Row, Rows, encode_key, row_digests
from regalia_registry.domain.snapshots.schema import Family, KeyKind, Property, Schema
from regalia_registry.segments.columns import row_groups
from regalia_registry.segments.parquet import read_rows
from regalia_registry.segments.spool import RootSpool
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
            add_version(self.ports, caller, tx, stored, now=self.ports.shared_now())

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
    listed = {
        "neither": segment,
        "keys": replace(segment, keys=digest),
        "rows": replace(segment, rows=digest),
    }[own]
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


def stored(
    forge: Forge,
    rows: Sequence[Row],
    keys: Sequence[bytes] | None = None,
    digests: Sequence[bytes] | None = None,
    schema: Schema = MADE,
) -> None:
    """Store rows as they are, under the root that they have."""
    batch = Rows.of(rows)
    hashed = row_digests(batch)
    listed = {"key": list(keys or batch.keys), "digest": pa.array(digests or hashed, pa.binary(32))}
    held = {
        "key": pa.array(batch.keys, pa.binary()),
        "vector:default": pa.array(
            [np.frombuffer(content, "<f4") for row in rows for _, content in row.vectors], pa.list_(pa.float32())
        ),
        "properties": pa.array(batch.properties, pa.binary()).cast(pa.string(), safe=False),
    }
    sizes = dict([forge.parquet(pa.table(listed)), forge.parquet(pa.table(held))])
    key_file, row_file = sizes
    spool = RootSpool(forge.folder / f"root-{len(list(forge.folder.iterdir()))}")
    spool.add([sha256(key).digest() for key in batch.keys], hashed)
    segment = Segment(key_file, row_file, len(rows), len(rows))
    config = config_of(len(rows), spool.root(schema.digest), schema)
    forge.push(config, forge.descriptors(segment, schema=schema, sizes=sizes))


def row(number: int, properties: bytes = b'{"text":"x"}', vector: bytes = VECTOR) -> Row:
    return Row(encode_key(number), (("default", vector),), properties)


def test_what_is_whole_is_verified_and_exported(forge: Forge) -> None:
    stored(forge, [row(1), row(2)])

    assert {forge.outcome(wish)["state"] for wish in WISHES.values()} == {"done"}


@pytest.mark.parametrize("other", ["keys", "digests", "order"])
def test_keys_that_are_not_the_rows_are_found_by_verify(forge: Forge, other: str) -> None:
    rows = [row(1), row(2)]
    keys, digests = [one.key for one in rows], row_digests(Rows.of(rows))
    if other == "keys":
        stored(forge, rows, keys=[keys[0], encode_key(3)])
    elif other == "digests":
        stored(forge, rows, digests=[digests[0], digests[0]])
    else:
        stored(forge, rows, keys=keys[::-1], digests=digests[::-1])

    told = forge.outcome(WISHES["verify"])

    assert told["state"] == "failed"
    assert '.keys.parquet" is not of the rows of' in str(told["message"])


def test_an_export_of_other_rows_than_the_root_says_is_refused(forge: Forge) -> None:
    stored(forge, [row(1)])
    there = open_snapshot(forge.ports, ArtifactName("evil", Kind.SNAPSHOT, "kb"), version="1.0.0")
    lying = SnapshotConfig("kb", "1.0.1", 1, Digest.of(b"another"), MADE.digest, MADE.vectors)
    forge.push(lying, there.manifest.layers)

    told = forge.outcome(ExportWish("kb", "1.0.1", FileForm.JSONL))

    assert told["state"] == "failed"
    assert "the rows hash to" in str(told["message"])


BROKEN = {
    "an array": b"[1]",
    "a text": b'"x"',
    "null": b"null",
    "nothing": b"",
    "no JSON": b"{bad",
    "no JSON in braces": b"{bad}",
    "50,000 levels": b'{"text":' + b"[" * 50_000 + b"]" * 50_000 + b"}",
    "6,000 digits": b'{"text":' + b"1" * 6000 + b"}",
    "no number": b'{"text":NaN}',
    "an infinite number": b'{"text":1e999}',
    "half a surrogate pair": b'{"text":"\\ud800"}',
    "no UTF-8": b'{"text":"\xff"}',
    "another spelling": b'{"text": "x"}',
    "two lines": b'{\n"text":"x"}',
    "a name twice": b'{"text":"x","text":"y"}',
    "a name of no property": b'{"id":2,"text":"x"}',
}


@pytest.mark.parametrize("form", FileForm)
@pytest.mark.parametrize("properties", BROKEN.values(), ids=BROKEN)
def test_properties_that_are_not_canonical_are_refused_by_name(forge: Forge, properties: bytes, form: FileForm) -> None:
    stored(forge, [row(1, properties)])

    told = forge.outcome(ExportWish("kb", "1.0.0", form))

    assert (told["state"], told["error"]) == ("failed", DocumentError.code)
    assert "row 1" in str(told["message"])


@pytest.mark.parametrize("properties", BROKEN.values(), ids=BROKEN)
def test_a_query_of_properties_that_are_not_canonical_is_answered_or_refused(forge: Forge, properties: bytes) -> None:
    stored(forge, [row(1, properties)])

    told = forge.outcome(WISHES["query"])

    assert told["state"] == "done" or told["error"] == DocumentError.code, told


WRONG_ROWS = {
    "a key of another kind": row(1)._replace(key=encode_key("one")),
    "a key that is cut": row(1)._replace(key=encode_key(1)[:-1]),
    "an empty key": row(1)._replace(key=b""),
    "NaN": row(1, vector=np.array([1, np.nan], "<f4").tobytes()),
    "infinity": row(1, vector=np.array([1, np.inf], "<f4").tobytes()),
}


@pytest.mark.parametrize("wish", ["export", "verify"])
@pytest.mark.parametrize("wrong", WRONG_ROWS.values(), ids=WRONG_ROWS)
def test_a_row_that_is_none_of_its_schema_is_refused(forge: Forge, wrong: Row, wish: str) -> None:
    stored(forge, [row(0), wrong])

    told = forge.outcome(WISHES[wish])

    assert (told["state"], told["error"]) == ("failed", DocumentError.code)
    assert "a segment holds" in str(told["message"]) or "the segment file" in str(told["message"])


@pytest.mark.parametrize("wrong", WRONG_ROWS.values(), ids=WRONG_ROWS)
def test_a_query_that_meets_a_row_that_is_none_is_answered_or_refused(forge: Forge, wrong: Row) -> None:
    stored(forge, [row(0), wrong])

    told = forge.outcome(WISHES["query"])

    assert told["state"] == "done" or told["error"] == DocumentError.code, told


@pytest.mark.parametrize("is_dictionary", [True, False])
def test_properties_that_are_stored_once_for_thousands_of_rows_are_read_some_at_a_time(
    tmp_path: Path, *, is_dictionary: bool
) -> None:
    count, text = 4000, '{"text":"' + "x" * 1024 * 1024 + '"}'
    table = pa.table(
        {
            "key": pa.array([encode_key(number) for number in range(count)], pa.binary()),
            "vector:default": pa.array([[1, 0]] * count, pa.list_(pa.float32())),
            "properties": pa.DictionaryArray.from_arrays(pa.array([0] * count, pa.int32()), pa.array([text])),
        }
    )
    path = tmp_path / "made.rows.parquet"
    pq.write_table(table, path, compression="zstd", store_schema=is_dictionary)

    first = next(read_rows(path, MADE))

    assert path.stat().st_size < 1024 * 1024
    assert 0 < len(first) <= 64


@pytest.mark.parametrize("keys", [[None], [b"k" * 9000]], ids=["null", "too long"])
def test_a_key_that_is_none_is_refused(tmp_path: Path, keys: list[bytes | None]) -> None:
    path = tmp_path / "made.rows.parquet"
    pq.write_table(pa.table({"key": pa.array(keys, pa.binary())}), path)
    groups = row_groups(path, np.ones(1, dtype=bool))

    with pytest.raises(DocumentError, match="a key that is none"):
        next(groups).keys()


HUGE = '{"text":"' + "x" * 1024 * 1024 + '"}'


@pytest.mark.parametrize("column", ["properties", "key", "vector:default"])
def test_a_row_group_that_few_bytes_make_huge_is_refused(tmp_path: Path, column: str) -> None:
    count, dims = 4000, 20_000
    repeated = pa.DictionaryArray.from_arrays(pa.array([0] * count, pa.int32()), pa.array([HUGE]))
    ends = pa.array(range(0, (count + 1) * dims, dims), pa.int32())
    zeros = pa.array(np.zeros(count * dims, np.float32))
    made = {"properties": repeated, "key": repeated, "vector:default": pa.ListArray.from_arrays(ends, zeros)}
    path = tmp_path / "made.rows.parquet"
    pq.write_table(pa.table({column: made[column]}), path, compression="zstd")
    groups = row_groups(path, np.ones(count, dtype=bool))

    assert path.stat().st_size < 1024 * 1024
    with pytest.raises(DocumentError, match="a row group of more than"):
        next(groups).read(column)
