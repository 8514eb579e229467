"""What every vector engine promises: the memory twin, PostgreSQL with pgvector, Weaviate, and files."""

import struct
from collections.abc import Iterator, Sequence

import pytest

from regalia.core.digest import Digest
from regalia.core.errors import ConflictError, InvalidNameError, NotFoundError, RegaliaError
from regalia.core.kinds.snapshot import VectorSpace
from regalia_registry.adapters.memory.vectors import MemoryLedger, MemoryVectors
from regalia_registry.domain.snapshots.origin import Origin
from regalia_registry.domain.snapshots.rows import Row, encode_key, encode_properties
from regalia_registry.domain.snapshots.schema import Family, KeyKind, Property, Schema
from regalia_registry.domain.snapshots.translation import Hosted, translator
from regalia_registry.ports.vectors import Defining, EngineRight
from tests.support.engines import COUNT, ENGINES, Engine, groups, loaded, name_of, opened, root_of, rows_of, vector

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


@pytest.fixture(scope="module", params=ENGINES)
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    yield from opened(request.param, tmp_path_factory)


@pytest.fixture
def fresh(engine: Engine) -> Iterator[str]:
    name = engine.provider.physical_name("kb", "a1b2c3d4")
    name = name.replace(".parquet", engine.suffix)
    yield name
    engine.provider.collections.drop(name, mark="test")


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
