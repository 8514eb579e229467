"""Weaviate as it really answers: every type, what is refused, what a cut batch leaves, what moves meanwhile."""

import base64
import json
import random
import struct
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

import grpc
import httpx
import pytest
from weaviate.proto.v1 import batch_pb2, weaviate_pb2_grpc

from regalia.core.errors import (
    AccessError,
    ConfigurationError,
    ConflictError,
    DocumentError,
    NotFoundError,
    RegaliaError,
    UnavailableError,
    UnsupportedError,
)
from regalia_registry.adapters.memory.vectors import MemoryLedger
from regalia_registry.adapters.vectors.weaviate.connection import Address
from regalia_registry.adapters.vectors.weaviate.definition import define
from regalia_registry.adapters.vectors.weaviate.provider import WeaviateProvider, open_weaviate
from regalia_registry.adapters.vectors.weaviate.values import encode
from regalia_registry.domain.operations import Holder
from regalia_registry.domain.snapshots.rows import Row, encode_key, encode_properties
from regalia_registry.domain.snapshots.schema import Schema
from regalia_registry.ports.vectors import Consistency
from tests.servers import weaviate
from tests.servers.process import free_ports
from tests.servers.weaviate import Weaviate
from tests.support.engines import root_of

SPACE = UUID("6ba7b811-9dad-11d1-80b4-00c04fd430c8")
HOLDER = Holder("test", 1)
OBJECT = [
    {"name": "a", "dataType": ["text"]},
    {"name": "deeper", "dataType": ["object"], "nestedProperties": [{"name": "y", "dataType": ["int[]"]}]},
]
TYPES = {
    "text": "a\0b \N{LATIN SMALL LETTER E WITH ACUTE} e\N{COMBINING ACUTE ACCENT}",
    "text[]": ["x", ""],
    "int": 2**53,
    "int[]": [1, -2],
    "number": 5e-324,
    "number[]": [0.5, 1 / 3],
    "boolean": True,
    "boolean[]": [True, False],
    "date": "2026-03-15T10:00:00.123456789+02:00",
    "date[]": ["9999-12-31T23:59:59Z"],
    "uuid": "6BA7B811-9DAD-11D1-80B4-00C04FD430C8",
    "uuid[]": ["6ba7b8119dad11d180b400c04fd430c8"],
    "geoCoordinates": {"latitude": 52.3932696, "longitude": 4.29},
    "phoneNumber": {"input": "0171 1004916", "defaultCountry": "de"},
    "blob": base64.b64encode(b"bytes").decode(),
    "object": {"a": None, "deeper": {"y": [1, 2]}},
    "object[]": [{"a": "one"}, {}],
}
INDEXES: dict[str, dict[str, Any]] = {
    "hnsw, cosine": {"vectorIndexType": "hnsw"},
    "hnsw, l2, tuned, bq": {
        "vectorIndexType": "hnsw",
        "vectorIndexConfig": {"distance": "l2-squared", "efConstruction": 64, "bq": {"enabled": True}},
    },
    "flat, dot": {"vectorIndexType": "flat", "vectorIndexConfig": {"distance": "dot"}},
    "hnsw, rq": {"vectorIndexType": "hnsw", "vectorIndexConfig": {"rq": {"enabled": True, "bits": 8}}},
    "hfresh": {"vectorIndexType": "hfresh"},
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Weaviate]:
    with weaviate.running(tmp_path_factory.mktemp("weaviate")) as running:
        yield running


@pytest.fixture
def rest(server: Weaviate) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.origin, timeout=60) as client:
        yield client
        for one in client.get("/v1/aliases").json()["aliases"]:
            client.delete(f"/v1/aliases/{one['alias']}")
        for one in client.get("/v1/schema").json()["classes"]:
            client.delete(f"/v1/schema/{one['class']}")


@pytest.fixture
def provider(server: Weaviate) -> Iterator[WeaviateProvider]:
    made = open_weaviate(server.url, holder=HOLDER)
    yield made
    made.close()


def make(rest: httpx.Client, name: str = "Kb", **more: object) -> None:
    body = {"class": name, "properties": [{"name": "body", "dataType": ["text"]}], **more}
    rest.post("/v1/schema", json=body).raise_for_status()


def name_of(number: int) -> UUID:
    return uuid5(SPACE, str(number))


def put(rest: httpx.Client, rows: Sequence[dict[str, Any]], name: str = "Kb") -> None:
    sent = [{"class": name, "id": str(name_of(number)), **row} for number, row in enumerate(rows)]
    for start in range(0, len(sent), 500):
        told = rest.post("/v1/batch/objects", json={"objects": sent[start : start + 500]}).json()
        assert [one["result"].get("errors") for one in told if one["result"].get("errors")] == []


def fill(rest: httpx.Client, count: int = 50, name: str = "Kb") -> None:
    put(rest, [{"vector": [1.0, n / 7, -0.0], "properties": {"body": f"passage {n}"}} for n in range(count)], name)


def read(provider: WeaviateProvider, name: str = "Kb") -> list[Row]:
    with provider.open(name) as reading:
        return sorted(row for batch in reading.batches() for row in batch)


def wide(count: int, dims: int = 384, start: int = 0) -> list[Row]:
    numbers = random.Random(7)  # noqa: S311 # vectors, not secrets
    return [
        Row(
            encode_key(name_of(start + number)),
            (("default", struct.pack(f"<{dims}f", *(numbers.random() for _ in range(dims)))),),
            encode_properties({"body": f"passage {number}"}),
        )
        for number in range(count)
    ]


def leave_holes(server: Weaviate, provider: WeaviateProvider, rows: Sequence[Row], name: str) -> None:
    """Send a batch and hang up when rows are stored that no search finds, however slow this machine is."""
    after_s, holes, deadline = 0.3, 0, time.monotonic() + 180
    while not holes:
        assert time.monotonic() < deadline
        send_and_cut(server, rows, name, after_s=after_s)
        after_s *= 2
        before = None
        while before != (now := stored_and_lost(provider, name)):  # what is stored may be indexed yet
            before = now
            time.sleep(0.5)
        holes = now[1]


def stored_and_lost(provider: WeaviateProvider, name: str) -> tuple[int, int]:
    with provider.open(name) as reading:
        return sum(map(len, reading.batches())), reading.unindexed()


def send_and_cut(server: Weaviate, rows: Sequence[Row], name: str, *, after_s: float) -> None:
    with grpc.insecure_channel(f"127.0.0.1:{server.ports['grpc']}") as channel:
        objects = [
            batch_pb2.BatchObject(
                uuid=str(UUID(bytes=row.key[1:])),
                collection=name,
                vector_bytes=row.vectors[0][1],
                properties=batch_pb2.BatchObject.Properties(non_ref_properties=encode(row.properties)),
            )
            for row in rows
        ]
        request = batch_pb2.BatchObjectsRequest(objects=objects)
        with pytest.raises(grpc.RpcError, match=r"DEADLINE|CANCELLED"):
            weaviate_pb2_grpc.WeaviateStub(channel).BatchObjects(request, timeout=after_s)  # type: ignore[no-untyped-call] # generated


@contextmanager
def answering(body: bytes) -> Iterator[str]:
    """Run what answers everything alike, as a Weaviate that is none does."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            is_version = self.path == "/v1/meta" and b"version" not in body
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'{"version": "1.39.0"}' if is_version else body)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def copied(provider: WeaviateProvider, source: str, name: str) -> tuple[Schema, Schema]:
    schema, rows = provider.describe(source).schema, read(provider, source)
    provider.create(name, schema, mark="test")
    list(provider.load(name, schema, [rows], ledger=MemoryLedger()))
    provider.build_index(name, schema)
    assert provider.unreachable(name, [row.key for row in rows]) == frozenset()
    return schema, provider.describe(name).schema


def test_every_type_comes_back_under_another_name_with_the_same_root(
    rest: httpx.Client, provider: WeaviateProvider
) -> None:
    names = {kind: f"p{place}" for place, kind in enumerate(TYPES)}
    properties = [
        {"name": name, "dataType": [kind], **({"nestedProperties": OBJECT} if kind.startswith("object") else {})}
        for kind, name in names.items()
    ]
    make(rest, properties=properties, invertedIndexConfig={"indexNullState": True, "stopwords": {"preset": "none"}})
    whole = {names[kind]: value for kind, value in TYPES.items()}
    empty: dict[str, list[object]] = {name: [] for kind, name in names.items() if kind.endswith("[]")}
    put(rest, [{"vector": [1, -0.0, 1e-45], "properties": whole}, {"vector": [0, 0, 0], "properties": empty}, {}])

    one, other = copied(provider, "Kb", "Copy_a1b2c3d4")

    assert one == other
    rows = read(provider)
    assert root_of(one, rows) == root_of(other, read(provider, "Copy_a1b2c3d4"))
    assert len(rows) == 3
    full = next(row for row in rows if row.key == encode_key(name_of(0)))
    assert full.vectors == (("default", struct.pack("<3f", 1, -0.0, 1e-45)),)
    assert b'"2026-03-15T08:00:00.123456789Z"' in full.properties
    assert b'{"a":null,"deeper":{"y":[1,2]}}' in full.properties
    assert "dates are kept in UTC, without their offset" in provider.describe("Kb").fidelity


@pytest.mark.parametrize("index", INDEXES)
def test_every_index_is_rebuilt_and_reaches_every_row(
    rest: httpx.Client, provider: WeaviateProvider, index: str
) -> None:
    make(rest, **INDEXES[index])
    fill(rest)

    one, other = copied(provider, "Kb", "Copy_a1b2c3d4")

    assert one == other
    assert root_of(one, read(provider)) == root_of(other, read(provider, "Copy_a1b2c3d4"))
    hits = provider.search("Copy_a1b2c3d4", struct.pack("<3f", 1, 0, 0), space="default", limit=3)
    assert hits == sorted(hits, key=lambda hit: hit.distance)


def test_named_vectors_are_kept_apart_and_a_row_may_lack_one(rest: httpx.Client, provider: WeaviateProvider) -> None:
    make(
        rest,
        vectorConfig={
            "a": {"vectorizer": {"none": {}}, "vectorIndexType": "flat"},
            "b": {
                "vectorizer": {"none": {}},
                "vectorIndexType": "hnsw",
                "vectorIndexConfig": {"distance": "l2-squared"},
            },
        },
    )
    put(rest, [{"vectors": {"a": [1, 2], "b": [3, 4, 5]}}, {"vectors": {"b": [9, 8, 7]}}, {"vectors": {"a": [0, 1]}}])

    one, other = copied(provider, "Kb", "Copy_a1b2c3d4")

    assert one == other
    assert [(space.name, space.dims, space.metric) for space in one.vectors] == [("a", 2, "cosine"), ("b", 3, "l2")]
    assert root_of(one, read(provider)) == root_of(other, read(provider, "Copy_a1b2c3d4"))
    [nearest, _] = provider.search("Copy_a1b2c3d4", struct.pack("<3f", 3, 4, 8), space="b", limit=5)
    assert (nearest.key, nearest.distance) == (encode_key(name_of(0)), 3.0)


def test_an_empty_class_is_a_snapshot_of_nothing(rest: httpx.Client, provider: WeaviateProvider) -> None:
    make(rest)

    one, other = copied(provider, "Kb", "Copy_a1b2c3d4")

    assert one == other
    assert one.vectors == ()


def test_what_can_not_be_a_snapshot_is_told_in_one_list(rest: httpx.Client, provider: WeaviateProvider) -> None:
    make(rest, "Other")
    make(
        rest,
        properties=[{"name": "of", "dataType": ["Other"]}],
        multiTenancyConfig={"enabled": True},
        vectorConfig={
            "m": {
                "vectorizer": {"none": {}},
                "vectorIndexType": "hnsw",
                "vectorIndexConfig": {"multivector": {"enabled": True}},
            }
        },
    )

    refusals = " ".join(provider.describe("Kb").refusals)

    for word in ("has tenants", "of refers to Other", "m holds many vectors"):
        assert word in refusals
    with pytest.raises(UnsupportedError, match="tenants"), provider.open("Kb"):
        pass


def test_an_unnamed_vector_beside_named_ones_is_refused(rest: httpx.Client, provider: WeaviateProvider) -> None:
    make(rest)
    fill(rest, 1)
    body = rest.get("/v1/schema/Kb").json()
    body["vectorConfig"] = {"extra": {"vectorizer": {"none": {}}, "vectorIndexType": "hnsw"}}
    rest.put("/v1/schema/Kb", json=body).raise_for_status()

    assert any("unnamed vector" in line for line in provider.describe("Kb").refusals)


def test_a_property_that_only_looks_like_our_key_is_kept(rest: httpx.Client, provider: WeaviateProvider) -> None:
    make(rest, properties=[{"name": "regalia_key", "dataType": ["text"]}])
    put(rest, [{"vector": [1, 2, 3], "properties": {"regalia_key": "precious"}}])

    [row] = read(provider)

    assert row.properties == b'{"regalia_key":"precious"}'


def test_an_index_that_is_skipped_is_asked_for_nothing(rest: httpx.Client, provider: WeaviateProvider) -> None:
    make(rest, vectorIndexConfig={"skip": True})
    fill(rest)

    one, other = copied(provider, "Kb", "Copy_a1b2c3d4")

    assert one == other
    with provider.open("Kb") as reading:
        assert (sum(map(len, reading.batches())), reading.unindexed()) == (50, 0)


@pytest.mark.parametrize("name", ["..", ".", "a/b", "Kb?x", "", "K\nb", "K" * 300])
def test_a_name_that_no_class_has_is_not_found(provider: WeaviateProvider, name: str) -> None:
    with pytest.raises(NotFoundError):
        provider.describe(name)


@pytest.mark.parametrize("key", ["hunter2\tsecret", "kłucz"])
def test_a_key_that_no_header_can_carry_is_refused_without_being_told(key: str) -> None:
    with pytest.raises(ConfigurationError, match="the target's key is none") as refused:
        open_weaviate("http://127.0.0.1:1", password=key, holder=HOLDER)

    assert key not in str(refused.value)


@pytest.mark.parametrize(
    "answer", [b"5", b'"x"', b"<html>", b"[" * 200_000, b'{"class":"Kb","properties":[{"dataType":null}]}']
)
def test_an_answer_that_is_none_of_weaviates_is_told_as_that(answer: bytes) -> None:
    with answering(answer) as url:
        provider = open_weaviate(url, holder=HOLDER)

        with pytest.raises(RegaliaError, match=r"no Weaviate|no class|too old"):
            provider.describe("Kb")
        provider.close()


def test_what_makes_vectors_out_of_texts_is_never_rebuilt(rest: httpx.Client, provider: WeaviateProvider) -> None:
    elsewhere = {"text2vec-openai": {"baseURL": "https://evil.example.com"}}
    make(rest, vectorizer="text2vec-openai", moduleConfig=elsewhere)

    described = provider.describe("Kb")
    provider.create("Copy_a1b2c3d4", described.schema, mark="test")

    assert "evil" not in str(described.schema.engine)
    assert "evil" not in rest.get("/v1/schema/Copy_a1b2c3d4").text
    assert rest.get("/v1/schema/Copy_a1b2c3d4").json()["vectorizer"] == "none"
    assert any("text2vec-openai" in line for line in described.fidelity)


@pytest.mark.parametrize(
    "change",
    [
        {"vectors": {"default": {"index": "hnsw", "config": {"distance": "https://evil.example.com"}}}},
        {"vectors": {"default": {"index": "exec", "config": {}}}},
        {"properties": [{"name": "a/../b", "dataType": ["text"]}]},
        {"properties": [{"name": "a", "dataType": ["Other"]}]},
        {"inverted": {"bm25": {"a b": 1}}},
        {"unnamed": True, "vectors": {}},
        {"properties": None},
    ],
    ids=["address", "index", "path", "reference", "setting", "no vector", "null"],
)
def test_a_hostile_schema_never_reaches_the_server(
    rest: httpx.Client, provider: WeaviateProvider, change: dict[str, Any]
) -> None:
    make(rest)
    schema = provider.describe("Kb").schema
    hostile = Schema(schema.family, schema.key, schema.key_kind, (), schema.properties, {**schema.engine, **change})

    with pytest.raises(DocumentError):
        provider.create("Copy_a1b2c3d4", hostile, mark="test")
    assert rest.get("/v1/schema/Copy_a1b2c3d4").status_code == 404


def test_rows_that_a_cut_batch_left_out_of_the_index_are_reported_and_a_copy_is_whole(
    server: Weaviate, rest: httpx.Client, provider: WeaviateProvider
) -> None:
    make(rest)
    rows = wide(2000)
    leave_holes(server, provider, rows, "Kb")

    with provider.open("Kb") as reading:
        stored = [row for batch in reading.batches() for row in batch]
        unindexed = reading.unindexed()
    copied(provider, "Kb", "Copy_a1b2c3d4")

    assert 0 < unindexed <= len(stored)
    assert len(provider.unreachable("Kb", [row.key for row in stored])) == unindexed


def test_a_group_of_unknown_fate_is_removed_before_it_is_sent_again(
    server: Weaviate, rest: httpx.Client, provider: WeaviateProvider
) -> None:
    make(rest, "Source")
    rows, name = wide(2000), "Kb_a1b2c3d4"
    list(provider.load("Source", provider.describe("Source").schema, [rows[:1]], ledger=MemoryLedger()))
    schema = provider.describe("Source").schema
    provider.create(name, schema, mark="test")
    leave_holes(server, provider, rows, name)

    list(provider.load(name, schema, [rows], ledger=MemoryLedger(started=1)))

    assert provider.unreachable(name, [row.key for row in rows]) == frozenset()
    assert read(provider, name) == sorted(rows)


def test_rows_of_whole_groups_that_the_index_lost_are_loaded_anew(
    server: Weaviate, rest: httpx.Client, provider: WeaviateProvider
) -> None:
    make(rest, "Source")
    rows, name = wide(2000), "Kb_a1b2c3d4"
    list(provider.load("Source", provider.describe("Source").schema, [rows[:1]], ledger=MemoryLedger()))
    schema = provider.describe("Source").schema
    provider.create(name, schema, mark="test")
    leave_holes(server, provider, rows, name)

    list(provider.load(name, schema, [rows], ledger=MemoryLedger(started=1, acknowledged=1)))

    assert provider.unreachable(name, [row.key for row in rows]) == frozenset()
    assert read(provider, name) == sorted(rows)


def test_a_class_that_is_written_while_it_is_read_says_how_much(rest: httpx.Client, provider: WeaviateProvider) -> None:
    make(rest)
    fill(rest)

    with provider.open("Kb") as reading:
        batches = reading.batches()
        next(batches)
        fill(rest, 3)
        list(batches)
        assert reading.moved() == 3
    with provider.open("Kb") as reading:
        list(reading.batches())
        assert reading.moved() == 0
    with provider.open("Kb") as reading:
        list(reading.batches())
        rest.delete(f"/v1/objects/Kb/{name_of(7)}").raise_for_status()
        assert reading.moved() == 1


def test_a_frozen_class_takes_no_writes_until_its_reading_ends(rest: httpx.Client, provider: WeaviateProvider) -> None:
    make(rest)
    fill(rest)
    change = {"class": "Kb", "id": str(name_of(0)), "vector": [1, 2, 3]}

    with provider.open("Kb", freeze=provider.writable("Kb")) as reading:
        refused = rest.put(f"/v1/objects/Kb/{name_of(0)}", json=change)
        list(reading.batches())
        assert (reading.consistency, reading.moved()) == (Consistency.FROZEN, 0)
    taken = rest.put(f"/v1/objects/Kb/{name_of(0)}", json=change)

    assert "read-only" in refused.text
    assert taken.status_code == 200


def test_a_class_that_a_dead_worker_froze_is_thawed(rest: httpx.Client, provider: WeaviateProvider) -> None:
    make(rest)
    fill(rest, 1)
    parts = provider.writable("Kb")
    frozen = provider.open("Kb", freeze=parts)
    frozen.__enter__()
    assert provider.writable("Kb") == ()
    change = {"class": "Kb", "id": str(name_of(0)), "vector": [1, 2, 3]}
    assert rest.put(f"/v1/objects/Kb/{name_of(0)}", json=change).status_code == 500

    provider.thaw("Kb", parts)

    assert rest.put(f"/v1/objects/Kb/{name_of(0)}", json=change).status_code == 200


def test_a_shard_that_somebody_else_froze_stays_frozen(rest: httpx.Client, provider: WeaviateProvider) -> None:
    make(rest)
    fill(rest, 1)
    [shard] = provider.writable("Kb")
    rest.put(f"/v1/schema/Kb/shards/{shard}", json={"status": "READONLY"}).raise_for_status()

    with provider.open("Kb", freeze=provider.writable("Kb")) as reading:
        assert (len(list(reading.batches())), reading.moved()) == (1, 0)
    provider.thaw("Kb", ())

    assert provider.writable("Kb") == ()


def test_a_class_with_tenants_is_in_nobodys_way(rest: httpx.Client, provider: WeaviateProvider) -> None:
    make(rest)
    make(rest, "Tenants", multiTenancyConfig={"enabled": True})

    assert [(entry.name, entry.rows) for entry in provider.list()] == [("Kb", 0)]


def test_a_description_that_imitates_ours_is_not_believed(rest: httpx.Client, provider: WeaviateProvider) -> None:
    told = 'regalia: x\n{"dims":{},"engine":{"inverted":{},"properties":[],"unnamed":true,"vectors":{}}}'
    odd = [{"name": "regalia_key", "dataType": ["text"], "description": "the row's key: bogus"}]
    make(rest, description=told, properties=odd)
    fill(rest, 0)

    schema = provider.describe("Kb").schema

    assert [one.name for one in schema.properties] == ["regalia_key"]
    assert schema.engine["vectors"]
    assert (schema.key.name, schema.key_kind) == ("id", "uuid")


def test_a_server_that_is_too_old_is_refused_before_anything_is_asked_of_it() -> None:
    with answering(b'{"version": "1.24.0"}') as url:
        provider = open_weaviate(url, holder=HOLDER)
        for ask in (provider.check, lambda: provider.describe("Kb")):
            with pytest.raises(UnsupportedError, match=r"1\.24\.0 is too old"):
                ask()
        provider.close()


def test_an_alias_is_read_and_filled_as_the_class_that_it_leads_to(
    rest: httpx.Client, provider: WeaviateProvider
) -> None:
    make(rest)
    fill(rest, 3)
    rest.post("/v1/aliases", json={"alias": "Docs", "class": "Kb"}).raise_for_status()

    assert read(provider, "Docs") == read(provider, "Kb")
    assert [entry.name for entry in provider.list()] == ["Kb"]


def test_a_class_that_an_alias_leads_to_is_not_dropped(rest: httpx.Client, provider: WeaviateProvider) -> None:
    make(rest)
    provider.create("Copy_a1b2c3d4", provider.describe("Kb").schema, mark="test")
    rest.post("/v1/aliases", json={"alias": "Docs", "class": "Copy_a1b2c3d4"}).raise_for_status()

    with pytest.raises(ConflictError, match="something depends on it: the alias Docs"):
        provider.drop("Copy_a1b2c3d4", mark="test")
    rest.delete("/v1/aliases/Docs")
    assert provider.drop("Copy_a1b2c3d4", mark="test")


def test_a_name_that_differs_in_case_alone_is_taken(rest: httpx.Client, provider: WeaviateProvider) -> None:
    make(rest, "KB_a1b2c3d4")

    with pytest.raises(ConflictError):
        provider.create("Kb_a1b2c3d4", provider.describe("KB_a1b2c3d4").schema, mark="test")


def test_a_vector_that_is_no_number_or_of_another_length_names_its_row(
    rest: httpx.Client, provider: WeaviateProvider
) -> None:
    make(rest)
    nan = Row(encode_key(name_of(1)), (("default", struct.pack("<3f", 1, float("nan"), 0)),), b"{}")
    fill(rest, 1)
    list(provider.load("Kb", provider.describe("Kb").schema, [[nan]], ledger=MemoryLedger()))

    with pytest.raises(DocumentError, match=f"{name_of(1)} holds NaN"):
        read(provider)

    short = Row(encode_key(name_of(2)), (("default", struct.pack("<2f", 1, 1)),), b"{}")
    with pytest.raises(RegaliaError, match=r"rows were not taken: .*vector"):
        list(provider.load("Kb", provider.describe("Kb").schema, [[short]], ledger=MemoryLedger()))


def test_a_row_larger_than_a_page_is_read(rest: httpx.Client, provider: WeaviateProvider) -> None:
    make(rest, properties=[{"name": "body", "dataType": ["text"], "indexFilterable": False, "indexSearchable": False}])
    texts = ["x" * 10_000_000, "y" * 10_000_000, "z"]
    for number, text in enumerate(texts):
        row = {"class": "Kb", "id": str(name_of(number)), "vector": [1, 2, 3], "properties": {"body": text}}
        rest.post("/v1/objects", json=row).raise_for_status()

    one, other = copied(provider, "Kb", "Copy_a1b2c3d4")

    assert one == other
    assert sorted(len(row.properties) for row in read(provider, "Copy_a1b2c3d4")) == [12, 10_000_011, 10_000_011]


def test_a_server_that_makes_classes_by_itself_is_warned_of(tmp_path: Path) -> None:
    keyed = {
        "AUTOSCHEMA_ENABLED": "true",
        "AUTHENTICATION_ANONYMOUS_ACCESS_ENABLED": "false",
        "AUTHENTICATION_APIKEY_ENABLED": "true",
        "AUTHENTICATION_APIKEY_ALLOWED_KEYS": "hunter2",
        "AUTHENTICATION_APIKEY_USERS": "regalia",
    }
    with weaviate.running(tmp_path / "keyed", **keyed) as server:
        provider = open_weaviate(server.url, password="hunter2", holder=HOLDER)
        wrong = open_weaviate(server.url, password="wrong", holder=HOLDER)

        checked = provider.check()

        assert checked.version == "Weaviate 1.39.0"
        assert any("auto-schema is on" in warning for warning in checked.warnings)
        assert provider.list() == []
        with pytest.raises(AccessError) as refused:
            wrong.check()
        assert "hunter2" not in str(refused.value) + refused.value.hint
        provider.close()
        wrong.close()


def test_what_is_interrupted_ends_at_once_and_asks_no_more(rest: httpx.Client, provider: WeaviateProvider) -> None:
    make(rest)
    fill(rest)

    with provider.open("Kb") as reading:
        provider.interrupt()

        with pytest.raises(UnavailableError, match="interrupted"):
            list(reading.batches())


def test_a_server_that_is_gone_is_told_at_once() -> None:
    [port] = free_ports(1)
    provider = open_weaviate(f"http://127.0.0.1:{port}?grpc={port}", holder=HOLDER)
    began = time.monotonic()

    with pytest.raises(UnavailableError, match="does not answer"):
        provider.describe("Kb")
    assert time.monotonic() - began < 10
    provider.close()


@pytest.mark.parametrize(
    "url",
    [
        "kb",
        "ftp://kb",
        "http://",
        "http://kb/v1",
        "http://kb?grpc=x",
        "http://kb?grpc=0",
        "http://kb?other=1",
        "http://user@kb",
        "http://kb\nx",
        "http://kb:99999",
        "http://k b",
    ],
)
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="no Weaviate address"):
        Address.parse(url)


def test_an_address_names_rest_and_grpc() -> None:
    assert Address.parse("http://kb") == Address("http://kb:8080", "kb", 50051, is_secure=False)
    assert Address.parse("https://kb.example.com?grpc=443") == Address(
        "https://kb.example.com:443", "kb.example.com", 443, is_secure=True
    )
    assert Address.parse("http://[::1]:81?grpc=82") == Address("http://[::1]:81", "[::1]", 82, is_secure=False)


def test_a_class_is_spelled_without_what_its_modules_are_told() -> None:
    address = "https://evil.example.com"
    found = {
        "class": "Docs",
        "description": "see https://wiki.example.com",
        "moduleConfig": {"text2vec-openai": {"baseURL": address, "apiKey": "hunter2"}},
        "properties": [{"name": "body", "moduleConfig": {"text2vec-openai": {"skip": False, "at": "hunter2"}}}],
        "vectorConfig": {"body": {"vectorizer": {"text2vec-openai": {"baseURL": address, "model": "hunter2"}}}},
        "vectorizer": "text2vec-openai",
        "elsewhere": [{"url": address}],
        "replicationConfig": {"factor": 1},
    }

    text = define(found)

    told = json.loads(text)
    assert "hunter2" not in text
    assert address not in text
    assert told["vectorConfig"] == {"body": {"vectorizer": {"text2vec-openai": "left out"}}}
    assert told["moduleConfig"] == {"text2vec-openai": "left out"}
    assert told["elsewhere"] == [{"url": "left out"}]
    assert (told["description"], told["replicationConfig"]) == (found["description"], {"factor": 1})


def test_what_a_killed_check_left_is_no_collection_and_goes_with_the_next_check(
    provider: WeaviateProvider, rest: httpx.Client
) -> None:
    make(rest)
    left = {"Regalia_probe_0123456789abcdef": "regalia: probe", "Regalia_probe_fedcba9876543210": ""}
    for name, told in left.items():
        rest.post("/v1/schema", json={"class": name, "description": told, "vectorizer": "none"}).raise_for_status()
    rest.post("/v1/aliases", json={"alias": f"{next(iter(left))}_alias", "class": next(iter(left))}).raise_for_status()

    listed = [one.name for one in provider.list()]
    provider.check()

    assert listed == ["Kb"]
    assert [one["class"] for one in rest.get("/v1/schema").json()["classes"]] == ["Kb"]


@contextmanager
def starting() -> Iterator[str]:
    """Answer as Weaviate does while it starts, which takes a minute after many kills: without its classes."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            known = {"/v1/meta": b'{"version": "1.39.0"}', "/v1/schema": b'{"classes": []}'}
            is_ready = self.path.endswith("/ready")
            self.send_response(503 if is_ready else 200 if self.path in known else 404)
            self.end_headers()
            self.wfile.write(known.get(self.path, b""))

        do_DELETE = do_GET  # noqa: N815 # named by the library

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


LOOKS: dict[str, Callable[[WeaviateProvider], object]] = {
    "list": lambda provider: provider.list(),
    "describe": lambda provider: provider.describe("Kb"),
    "drop": lambda provider: provider.drop("Kb_a1b2c3d4", mark="test"),
    "seal": lambda provider: provider.seals.seal("Kb_a1b2c3d4", mark="test"),
    "alias": lambda provider: provider.aliases.get("Docs"),
}


@pytest.mark.parametrize("look", LOOKS)
def test_nobody_takes_a_class_for_gone_while_its_server_starts(look: str) -> None:
    with starting() as url:
        provider = open_weaviate(url, holder=HOLDER)

        with pytest.raises(UnavailableError, match="not ready"):
            LOOKS[look](provider)
        provider.close()
