"""What every vector engine promises: the memory twin, PostgreSQL with pgvector, and files."""

import json
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from uuid import UUID, uuid5

import httpx
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from regalia.core.digest import Digest
from regalia.core.errors import ConflictError, InvalidNameError, NotFoundError, RegaliaError
from regalia.core.kinds.snapshot import VectorSpace
from regalia_registry.adapters.memory.vectors import Held, MemoryLedger, MemoryVectors
from regalia_registry.adapters.vectors.files.provider import open_files
from regalia_registry.adapters.vectors.pgvector.provider import open_pgvector
from regalia_registry.adapters.vectors.weaviate.provider import open_weaviate
from regalia_registry.domain.operations import Holder
from regalia_registry.domain.snapshots.origin import Origin
from regalia_registry.domain.snapshots.root import BUCKETS, bucket_digest, content_root
from regalia_registry.domain.snapshots.rows import Row, encode_key, encode_properties
from regalia_registry.domain.snapshots.schema import Family, KeyKind, Property, Schema
from regalia_registry.domain.snapshots.translation import Hosted, translator
from regalia_registry.ports.vectors import Defining, EngineRight, Provider
from tests.servers import postgres, weaviate
from tests.support.segments import row_digest

SPACE = UUID("6ba7b811-9dad-11d1-80b4-00c04fd430c8")
COUNT = 2500
SCHEMA = Schema(
    Family.FILES,
    Property("id", "uuid"),
    KeyKind.UUID,
    (VectorSpace("embedding", 3, "cosine"),),
    (Property("body", "text"),),
    {},
)


CLASS = {
    "class": "Kb",
    "properties": [{"name": "body", "dataType": ["text"]}],
    "vectorConfig": {"embedding": {"vectorizer": {"none": {}}, "vectorIndexType": "hnsw"}},
}


FOREIGN = {
    Family.POSTGRESQL: Schema(
        Family.FILES,
        Property("id", "int"),
        KeyKind.INTEGER,
        (VectorSpace("body", 3, "cosine"), VectorSpace("title", 2, "dot")),
        (Property("score", "number"), Property("text", "text")),
        {},
    ),
    Family.FILES: Schema(
        Family.POSTGRESQL,
        Property("id", "bigint"),
        KeyKind.INTEGER,
        (VectorSpace("body", 3, "cosine"), VectorSpace("title", 2, "dot")),
        (Property("score", "bigint"), Property("text", "text")),
        {"table": "kb", "columns": [], "indexes": []},
    ),
}


FOREIGN[Family.WEAVIATE] = FOREIGN[Family.FILES]


def foreign_rows(schema: Schema) -> list[Row]:
    score: object = "9007199254740993" if schema.family is Family.POSTGRESQL else 1e16
    body, title = ("body", struct.pack("<3f", 1e-45, -0.0, 2)), ("title", struct.pack("<2f", 0.1, 3))
    return [
        Row(encode_key(-1), (body, title), encode_properties({"score": score, "text": 'Łódź "\0\\u0000'})),
        Row(encode_key(2**53 + 1), (body,), encode_properties({"text": ""})),
        Row(encode_key(7), (body, title), b"{}"),
    ]


def vector(number: int) -> list[float]:
    return [1.0, number / COUNT, -0.0]


def name_of(number: int) -> UUID:
    return uuid5(SPACE, str(number))


@dataclass
class Engine:
    """A provider, and how its users make a collection in it: `kb` with rows from 0 up to a number."""

    provider: Provider
    fill: Callable[[int], str]
    suffix: str = ""


def memory(_: Path) -> Iterator[Engine]:
    provider = MemoryVectors()

    def fill(count: int) -> str:
        rows = [
            Row(
                encode_key(name_of(number)),
                (("embedding", struct.pack("<3f", *vector(number))),),
                encode_properties({"body": f"passage {number}"}),
            )
            for number in range(count)
        ]
        provider.held["kb"] = Held(SCHEMA, rows={row.key: row for row in rows})
        return "kb"

    yield Engine(provider, fill)


def pgvector(folder: Path) -> Iterator[Engine]:
    with postgres.running(folder) as server:

        def fill(count: int) -> str:
            with psycopg.connect(server.url, autocommit=True) as connection:
                connection.execute("DROP TABLE IF EXISTS kb")
                connection.execute("CREATE TABLE kb (id uuid PRIMARY KEY, body text NOT NULL, embedding vector(3))")
                connection.execute("CREATE INDEX ON kb USING hnsw (embedding vector_cosine_ops) WITH (m = 8)")
                rows = [(name_of(number), f"passage {number}", str(vector(number))) for number in range(count)]
                connection.cursor().executemany("INSERT INTO kb VALUES (%s, %s, %s)", rows)
            return "public.kb"

        provider = open_pgvector(server.url, holder=Holder("test", 1))
        yield Engine(provider, fill)
        provider.close()


def parquet(folder: Path) -> Iterator[Engine]:
    def fill(count: int) -> str:
        columns = {
            "id": pa.array([name_of(number).bytes for number in range(count)], pa.binary(16)),
            "body": pa.array([f"passage {number}" for number in range(count)], pa.string()),
            "embedding": pa.array([vector(number) for number in range(count)], pa.list_(pa.float32(), 3)),
        }
        pq.write_table(pa.table(columns), folder / "kb.parquet", row_group_size=700)
        return "kb.parquet"

    with closing(open_files(folder.as_uri(), holder=Holder("test", 1))) as provider:
        yield Engine(provider, fill, ".parquet")


def jsonl(folder: Path) -> Iterator[Engine]:
    head = {"v": 1, "schema": json.loads(SCHEMA.written())}

    def fill(count: int) -> str:
        lines = [json.dumps({"regalia": head})]
        for number in range(count):
            row = {"id": str(name_of(number)), "vectors": {"embedding": vector(number)}, "body": f"passage {number}"}
            lines.append(json.dumps(row))
        (folder / "kb.jsonl").write_text("\n".join(lines))
        return "kb.jsonl"

    with closing(open_files(folder.as_uri(), holder=Holder("test", 1))) as provider:
        yield Engine(provider, fill, ".jsonl")


def of_weaviate(folder: Path) -> Iterator[Engine]:
    with weaviate.running(folder) as server, httpx.Client(base_url=server.origin, timeout=60) as client:

        def fill(count: int) -> str:
            client.delete("/v1/schema/Kb")
            client.post("/v1/schema", json=CLASS)
            rows = [
                {
                    "class": "Kb",
                    "id": str(name_of(number)),
                    "properties": {"body": f"passage {number}"},
                    "vectors": {"embedding": one},
                }
                for number in range(count)
                for one in [vector(number)]
            ]
            for start in range(0, count, 500):
                client.post("/v1/batch/objects", json={"objects": rows[start : start + 500]}).raise_for_status()
            return "Kb"

        provider = open_weaviate(server.url, holder=Holder("test", 1))
        yield Engine(provider, fill)
        provider.close()


ENGINES: dict[str, Callable[[Path], Iterator[Engine]]] = {
    "memory": memory,
    "pgvector": pgvector,
    "another pgvector": pgvector,
    "weaviate": of_weaviate,
    "parquet": parquet,
    "jsonl": jsonl,
}


@pytest.fixture(scope="module", params=ENGINES)
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    yield from ENGINES[request.param](tmp_path_factory.mktemp("engine"))


@pytest.fixture
def fresh(engine: Engine) -> Iterator[str]:
    name = engine.provider.physical_name("kb", "a1b2c3d4")
    name = name.replace(".parquet", engine.suffix)
    yield name
    engine.provider.collections.drop(name, mark="test")


def rows_of(engine: Engine, name: str) -> list[Row]:
    with engine.provider.source.open(name) as reading:
        return sorted(row for batch in reading.batches() for row in batch)


def root_of(schema: Schema, rows: Sequence[Row]) -> Digest:
    buckets: list[list[tuple[bytes, bytes]]] = [[] for _ in range(BUCKETS)]
    for row in rows:
        place = sha256(row.key).digest()
        buckets[place[0]].append((place, row_digest(row)))
    return content_root(schema.digest, count=len(rows), buckets=[bucket_digest(one) for one in buckets])


def groups(rows: Sequence[Row], size: int = 600) -> list[Sequence[Row]]:
    return [rows[start : start + size] for start in range(0, len(rows), size)]


def loaded(engine: Engine, name: str, source: str) -> tuple[Schema, list[Row]]:
    schema, rows = engine.provider.collections.describe(source).schema, rows_of(engine, source)
    engine.provider.collections.create(name, schema, mark="test")
    assert list(engine.provider.sink.load(name, schema, groups(rows), ledger=MemoryLedger()))[-1] == len(rows)
    engine.provider.sink.build_index(name, schema)
    return schema, rows


def test_an_engine_that_answers_says_its_version(engine: Engine) -> None:
    checked = engine.provider.collections.check()

    assert checked.version
    assert checked.warnings == ()
    assert {EngineRight.READ, EngineRight.CREATE} <= checked.rights


def test_a_reading_gives_every_row_once(engine: Engine) -> None:
    rows = rows_of(engine, engine.fill(COUNT))

    assert len({row.key for row in rows}) == len(rows) == COUNT
    assert dict(rows[0].vectors).keys() == {"embedding"}
    assert struct.pack("<f", -0.0) in rows[0].vectors[0][1]


def test_reading_changes_nothing(engine: Engine) -> None:
    name = engine.fill(100)
    schema = engine.provider.collections.describe(name).schema

    assert root_of(schema, rows_of(engine, name)) == root_of(schema, rows_of(engine, name))


def test_whoever_a_frozen_reading_stopped_is_let_in_again(engine: Engine) -> None:
    name = engine.fill(100)
    parts = engine.provider.source.writable(name)
    with engine.provider.source.open(name, freeze=parts) as reading:
        assert sum(map(len, reading.batches())) == 100
        assert (reading.moved(), reading.unindexed()) == (0, 0)

    engine.provider.source.thaw(name, parts)

    assert engine.fill(10) == name
    assert len(rows_of(engine, name)) == 10


def test_an_empty_collection_has_no_rows(engine: Engine) -> None:
    assert rows_of(engine, engine.fill(0)) == []


def test_what_is_loaded_under_another_name_has_the_same_root(engine: Engine, fresh: str) -> None:
    source = engine.fill(COUNT)
    schema, rows = loaded(engine, fresh, source)

    again = engine.provider.collections.describe(fresh).schema

    assert again == schema
    assert root_of(again, rows_of(engine, fresh)) == root_of(schema, rows)


def test_a_load_that_was_cut_goes_on_where_it_was(engine: Engine, fresh: str) -> None:
    source = engine.fill(COUNT)
    schema, rows = engine.provider.collections.describe(source).schema, rows_of(engine, source)
    engine.provider.collections.create(fresh, schema, mark="test")
    ledger = MemoryLedger()
    cut = engine.provider.sink.load(fresh, schema, groups(rows), ledger=ledger)
    assert [next(cut), next(cut)] == [600, 1200]

    assert list(engine.provider.sink.load(fresh, schema, groups(rows), ledger=ledger)) == [600, 1200, 1800, 2400, 2500]
    assert rows_of(engine, fresh) == rows


def test_a_group_that_fails_leaves_nothing_of_itself(engine: Engine, fresh: str) -> None:
    source = engine.fill(10)
    schema, rows = engine.provider.collections.describe(source).schema, rows_of(engine, source)
    engine.provider.collections.create(fresh, schema, mark="test")

    def failing() -> Iterator[Sequence[Row]]:
        yield rows[:5]
        raise ConnectionError

    with pytest.raises(ConnectionError):
        list(engine.provider.sink.load(fresh, schema, failing(), ledger=MemoryLedger()))
    assert rows_of(engine, fresh) == rows[:5]


def test_a_name_is_created_once_and_again_only_for_its_own_mark(engine: Engine, fresh: str) -> None:
    schema = engine.provider.collections.describe(engine.fill(1)).schema
    engine.provider.collections.create(fresh, schema, mark="test")

    engine.provider.collections.create(fresh, schema, mark="test")

    with pytest.raises(ConflictError, match="is taken"):
        engine.provider.collections.create(fresh, schema, mark="another")
    assert any(entry.mark == "test" for entry in engine.provider.collections.list())


def test_what_is_not_ours_is_never_dropped(engine: Engine, fresh: str) -> None:
    schema = engine.provider.collections.describe(engine.fill(1)).schema
    engine.provider.collections.create(fresh, schema, mark="test")

    with pytest.raises(ConflictError, match="not ours"):
        engine.provider.collections.drop(fresh, mark="another")
    assert engine.provider.collections.drop(fresh, mark="test")
    assert not engine.provider.collections.drop(fresh, mark="test")
    with pytest.raises(NotFoundError):
        engine.provider.collections.describe(fresh)


def test_a_schema_of_its_own_is_held_as_it_is(engine: Engine) -> None:
    schema = engine.provider.collections.describe(engine.fill(1)).schema

    assert engine.provider.collections.hosted(schema) == Hosted(schema)


def test_a_collection_of_another_family_is_held_with_its_keys_and_vectors(engine: Engine, fresh: str) -> None:
    schema = FOREIGN[engine.provider.collections.describe(engine.fill(1)).schema.family]
    hosted, rows = engine.provider.collections.hosted(schema), foreign_rows(schema)
    made = [translator(schema, hosted)(row) for row in rows]

    engine.provider.collections.create(fresh, hosted.schema, mark="test")
    list(engine.provider.sink.load(fresh, hosted.schema, groups(made, 2), ledger=MemoryLedger()))
    engine.provider.sink.build_index(fresh, hosted.schema)

    found = rows_of(engine, fresh)
    assert [(row.key, row.vectors) for row in found] == sorted((row.key, row.vectors) for row in rows)
    assert engine.provider.collections.describe(fresh).schema == hosted.schema
    assert root_of(hosted.schema, found) == root_of(hosted.schema, made)
    assert bool(hosted.fidelity) == (hosted.schema != schema)


def test_the_origin_of_a_collection_is_given_back_or_not_kept(engine: Engine, fresh: str) -> None:
    schema = engine.provider.collections.describe(engine.fill(1)).schema
    origin = Origin.of("acme/snapshot/kb@1.0.0", Digest.of(b"root"), ("p: jsonb as text",))

    engine.provider.collections.create(fresh, schema, mark="test", origin=origin)

    assert engine.provider.collections.describe(fresh).origin in (origin, None)


def test_a_search_finds_a_row_by_its_own_vector(engine: Engine, fresh: str) -> None:
    loaded(engine, fresh, engine.fill(COUNT))

    hits = engine.provider.sink.search(fresh, struct.pack("<3f", *vector(17)), space="embedding", limit=5)

    assert hits[0].key == encode_key(name_of(17))
    assert hits[0].properties == b'{"body":"passage 17"}'
    assert [hit.distance for hit in hits] == sorted(hit.distance for hit in hits)
    assert hits[0].distance == pytest.approx(0, abs=1e-6)


def test_a_question_of_another_dimension_or_vector_is_refused(engine: Engine, fresh: str) -> None:
    loaded(engine, fresh, engine.fill(3))

    for question, space in ((struct.pack("<2f", 1, 2), "embedding"), (struct.pack("<3f", 1, 2, 3), "absent")):
        with pytest.raises(RegaliaError):
            engine.provider.sink.search(fresh, question, space=space, limit=1)


def test_rows_that_no_search_can_find_are_named(engine: Engine, fresh: str) -> None:
    _, rows = loaded(engine, fresh, engine.fill(20))
    absent = encode_key(name_of(COUNT + 1))

    assert engine.provider.sink.unreachable(fresh, [row.key for row in rows]) == frozenset()
    assert engine.provider.sink.unreachable(fresh, [rows[0].key, absent]) == {absent}


def test_what_is_not_there_is_not_found(engine: Engine) -> None:
    with pytest.raises(NotFoundError, match="absent"):
        engine.provider.collections.describe("absent")
    with pytest.raises(NotFoundError), engine.provider.source.open("absent"):
        pass


def test_what_has_words_of_its_own_spells_a_collection_in_them(engine: Engine) -> None:
    collections = engine.provider.collections
    if not isinstance(collections, Defining):
        return

    assert "kb" in collections.definition(engine.fill(3)).lower()
    with pytest.raises(NotFoundError):
        collections.definition("absent")


def test_a_name_that_the_engine_would_cut_is_refused(engine: Engine) -> None:
    short, long = engine.provider.physical_name("kb", "a1b2c3d4"), "k" * 40

    assert engine.provider.physical_name(long, "a1b2c3d4") != short
    if isinstance(engine.provider, MemoryVectors):
        return
    with pytest.raises(InvalidNameError):
        engine.provider.physical_name("ü" * 40, "a1b2c3d4")
