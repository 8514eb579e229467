"""What every engine promises from which channels serve: seals, and names that lead to one collection."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from regalia.core.errors import ConflictError, NotFoundError
from regalia.core.kinds.snapshot import VectorSpace
from regalia_registry.adapters.memory.vectors import MemoryLedger
from regalia_registry.domain.snapshots.schema import Schema
from regalia_registry.ports.serving import Aliases, Seals, Serving
from regalia_registry.ports.vectors import EngineRight, Provider
from tests.support.engines import SCHEMA, SERVING, Engine, RefusedWriteError, groups, loaded, opened, rows_of

ROWS = 20


@pytest.fixture(scope="module", params=SERVING)
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    yield from opened(request.param, tmp_path_factory)


@pytest.fixture
def fresh(engine: Engine) -> Iterator[str]:
    name = engine.provider.physical_name("kb", "a1b2c3d4")
    yield name
    engine.provider.collections.drop(name, mark="test")


@pytest.fixture
def another(engine: Engine) -> Iterator[str]:
    name = engine.provider.physical_name("kb", "e5f6g7h8")
    yield name
    engine.provider.collections.drop(name, mark="test")


@pytest.fixture
def alias(engine: Engine) -> Iterator[str]:
    yield engine.alias
    aliases_of(engine.provider).remove(engine.alias)


def seals_of(provider: Provider) -> Seals:
    assert isinstance(provider, Serving)
    return provider.seals


def aliases_of(provider: Provider) -> Aliases:
    assert isinstance(provider, Serving)
    return provider.aliases


def sealed(engine: Engine, name: str, count: int = ROWS) -> Schema:
    schema, _ = loaded(engine, name, engine.fill(count))
    seals_of(engine.provider).seal(name, mark="test")
    return schema


def marker(engine: Engine, name: str) -> str:
    standing = seals_of(engine.provider).standing(name, mark="test")
    assert standing.sealed
    return standing.marker


def test_an_engine_that_serves_says_that_it_has_aliases(engine: Engine) -> None:
    checked = engine.provider.collections.check()

    assert checked.aliases
    assert EngineRight.ALIAS in checked.rights


def test_what_is_made_takes_writes_until_it_is_sealed(engine: Engine, fresh: str) -> None:
    loaded(engine, fresh, engine.fill(ROWS))

    engine.write(fresh, ROWS)

    assert not seals_of(engine.provider).standing(fresh, mark="test").sealed
    assert len(rows_of(engine, fresh)) == ROWS + 1


def test_a_sealed_collection_refuses_every_writer_and_keeps_its_rows(engine: Engine, fresh: str) -> None:
    schema = sealed(engine, fresh)
    rows = rows_of(engine, fresh)

    with pytest.raises(RefusedWriteError):
        engine.write(fresh, ROWS)
    with pytest.raises(ConflictError):
        list(engine.provider.sink.load(fresh, schema, groups(rows, 5), ledger=MemoryLedger()))

    assert rows_of(engine, fresh) == rows


def test_a_load_that_is_whole_is_said_again_after_the_seal(engine: Engine, fresh: str) -> None:
    schema, rows = loaded(engine, fresh, engine.fill(ROWS))
    seals_of(engine.provider).seal(fresh, mark="test")
    before = marker(engine, fresh)

    ledger = MemoryLedger(started=1, acknowledged=1)
    told = list(engine.provider.sink.load(fresh, schema, groups(rows), ledger=ledger))
    engine.provider.sink.build_index(fresh, schema)

    assert told == [ROWS]
    assert marker(engine, fresh) == before


def test_a_sealed_collection_is_described_read_and_searched_as_before(engine: Engine, fresh: str) -> None:
    schema = sealed(engine, fresh)
    [row, *_] = rows = rows_of(engine, fresh)
    space, content = row.vectors[0]

    hits = engine.provider.sink.search(fresh, content, space=space, limit=3)

    described = engine.provider.collections.describe(fresh)
    assert (described.schema, described.refusals) == (schema, ())
    assert len(rows) == ROWS
    assert hits[0].key == row.key
    assert engine.provider.sink.unreachable(fresh, [one.key for one in rows]) == frozenset()


def test_a_frozen_reading_of_a_sealed_collection_leaves_it_sealed(engine: Engine, fresh: str) -> None:
    sealed(engine, fresh)
    before, parts = marker(engine, fresh), engine.provider.source.writable(fresh)

    with engine.provider.source.open(fresh, freeze=parts) as reading:
        assert sum(map(len, reading.batches())) == ROWS
    engine.provider.source.thaw(fresh, parts)

    assert parts == ()
    assert marker(engine, fresh) == before
    with pytest.raises(RefusedWriteError):
        engine.write(fresh, ROWS)


def test_sealing_twice_and_unsealing_twice_is_the_same_as_once(engine: Engine, fresh: str) -> None:
    sealed(engine, fresh)
    before = marker(engine, fresh)

    seals_of(engine.provider).seal(fresh, mark="test")
    again = marker(engine, fresh)
    seals_of(engine.provider).unseal(fresh, mark="test")
    seals_of(engine.provider).unseal(fresh, mark="test")

    assert again == before
    assert not seals_of(engine.provider).standing(fresh, mark="test").sealed
    engine.write(fresh, ROWS)
    assert len(rows_of(engine, fresh)) == ROWS + 1


def test_the_marker_stays_while_nothing_is_written(engine: Engine, fresh: str) -> None:
    sealed(engine, fresh)
    before = marker(engine, fresh)

    with pytest.raises(RefusedWriteError):
        engine.write(fresh, ROWS)
    rows_of(engine, fresh)

    assert marker(engine, fresh) == before


def test_the_marker_tells_that_a_seal_was_off_for_a_write(engine: Engine, fresh: str) -> None:
    sealed(engine, fresh)
    before = marker(engine, fresh)

    seals_of(engine.provider).unseal(fresh, mark="test")
    engine.write(fresh, ROWS)
    seals_of(engine.provider).seal(fresh, mark="test")

    assert marker(engine, fresh) != before


def test_the_marker_tells_one_collection_from_the_next_of_its_name(engine: Engine, fresh: str) -> None:
    sealed(engine, fresh)
    before = marker(engine, fresh)
    engine.provider.collections.drop(fresh, mark="test")

    sealed(engine, fresh)

    assert marker(engine, fresh) != before


def test_a_sealed_collection_is_dropped_like_any(engine: Engine, fresh: str) -> None:
    sealed(engine, fresh)

    assert engine.provider.collections.drop(fresh, mark="test")
    with pytest.raises(NotFoundError):
        engine.provider.collections.describe(fresh)


def test_what_has_another_mark_is_neither_sealed_nor_looked_at(engine: Engine, fresh: str) -> None:
    sealed(engine, fresh)
    seals = seals_of(engine.provider)

    with pytest.raises(ConflictError):
        seals.seal(fresh, mark="another")
    with pytest.raises(ConflictError):
        seals.unseal(fresh, mark="another")
    with pytest.raises(ConflictError):
        seals.standing(fresh, mark="another")
    assert seals.standing(fresh, mark="test").sealed


def test_what_is_not_ours_is_never_sealed(engine: Engine) -> None:
    name = engine.fill(3)

    with pytest.raises((ConflictError, NotFoundError)):
        seals_of(engine.provider).seal(name, mark="test")

    assert len(rows_of(engine, engine.fill(4))) == 4


def test_a_seal_of_what_is_not_there_is_not_found(engine: Engine) -> None:
    seals, name = seals_of(engine.provider), engine.provider.physical_name("kb", "absent00")

    with pytest.raises(NotFoundError):
        seals.seal(name, mark="test")
    with pytest.raises(NotFoundError):
        seals.unseal(name, mark="test")
    with pytest.raises(NotFoundError):
        seals.standing(name, mark="test")


def test_an_alias_leads_to_its_collection_and_may_be_set_twice(engine: Engine, fresh: str, alias: str) -> None:
    sealed(engine, fresh)
    aliases = aliases_of(engine.provider)
    assert aliases.get(alias) is None

    aliases.set(alias, fresh)
    aliases.set(alias, fresh)

    assert aliases.get(alias) == fresh
    assert engine.seen(alias) == ROWS


def test_an_alias_is_flipped_and_back(engine: Engine, fresh: str, another: str, alias: str) -> None:
    sealed(engine, fresh)
    sealed(engine, another, ROWS + 5)
    aliases, found = aliases_of(engine.provider), []

    for collection in (fresh, another, fresh):
        aliases.set(alias, collection)
        found.append((aliases.get(alias), engine.seen(alias)))

    assert found == [(fresh, ROWS), (another, ROWS + 5), (fresh, ROWS)]


def test_setting_an_alias_leaves_the_marker_as_it_is(engine: Engine, fresh: str, another: str, alias: str) -> None:
    sealed(engine, fresh)
    sealed(engine, another)
    before = [marker(engine, fresh), marker(engine, another)]

    aliases_of(engine.provider).set(alias, fresh)
    aliases_of(engine.provider).set(alias, another)

    assert [marker(engine, fresh), marker(engine, another)] == before


def test_an_alias_is_removed_once_and_its_collection_stays(engine: Engine, fresh: str, alias: str) -> None:
    sealed(engine, fresh)
    aliases = aliases_of(engine.provider)
    aliases.set(alias, fresh)

    assert [aliases.remove(alias), aliases.remove(alias)] == [True, False]
    assert aliases.get(alias) is None
    assert len(rows_of(engine, fresh)) == ROWS


def test_an_alias_that_leads_to_a_collection_is_named_by_it_and_by_no_other(
    engine: Engine, fresh: str, another: str, alias: str
) -> None:
    sealed(engine, fresh)
    sealed(engine, another)
    aliases, found = aliases_of(engine.provider), []

    for collection in (fresh, another):
        aliases.set(alias, collection)
        found.append((aliases.leading_to(fresh), aliases.leading_to(another)))
    aliases.remove(alias)

    assert found == [((alias,), ()), ((), (alias,))]
    assert aliases.leading_to(another) == ()


def test_no_alias_leads_to_what_is_not_there(engine: Engine) -> None:
    assert aliases_of(engine.provider).leading_to(engine.provider.physical_name("kb", "absent00")) == ()


def test_a_collection_that_an_alias_leads_to_is_dropped_only_after_it(engine: Engine, fresh: str, alias: str) -> None:
    sealed(engine, fresh)
    aliases = aliases_of(engine.provider)
    aliases.set(alias, fresh)

    with pytest.raises(ConflictError, match="is not dropped"):
        engine.provider.collections.drop(fresh, mark="test")

    assert (aliases.get(alias), engine.seen(alias)) == (fresh, ROWS)
    assert aliases.remove(alias)
    assert engine.provider.collections.drop(fresh, mark="test")


def test_an_alias_never_takes_the_name_of_something_else(engine: Engine, fresh: str) -> None:
    schema, taken = sealed(engine, fresh), engine.fill(3)
    aliases = aliases_of(engine.provider)

    for step in (
        lambda: aliases.get(taken),
        lambda: aliases.set(taken, fresh),
        lambda: aliases.remove(taken),
    ):
        with pytest.raises(ConflictError):
            step()
    assert aliases.refusals(taken, schema)
    assert len(rows_of(engine, taken)) == 3


def test_an_alias_leads_to_nothing_that_is_absent(engine: Engine, fresh: str, alias: str) -> None:
    sealed(engine, fresh)
    aliases = aliases_of(engine.provider)
    aliases.set(alias, fresh)

    with pytest.raises(NotFoundError):
        aliases.set(alias, engine.provider.physical_name("kb", "absent00"))

    assert (aliases.get(alias), engine.seen(alias)) == (fresh, ROWS)


def test_an_alias_whose_collection_was_dropped_is_healed_by_the_next_set(
    engine: Engine, fresh: str, another: str, alias: str
) -> None:
    sealed(engine, fresh)
    sealed(engine, another)
    aliases = aliases_of(engine.provider)
    aliases.set(alias, fresh)

    engine.lose(fresh)
    dangling = aliases.get(alias)
    aliases.set(alias, another)

    assert dangling in (fresh, None)
    assert (aliases.get(alias), engine.seen(alias)) == (another, ROWS)


def test_nothing_refuses_an_alias_that_shows_the_same_columns(engine: Engine, fresh: str, alias: str) -> None:
    schema = sealed(engine, fresh)
    aliases = aliases_of(engine.provider)
    before = aliases.refusals(alias, schema)

    aliases.set(alias, fresh)

    assert (before, aliases.refusals(alias, schema)) == ((), ())


@pytest.mark.parametrize(
    "vectors",
    [(VectorSpace("embedding", 4, "cosine"),), (VectorSpace("title", 3, "cosine"),)],
    ids=["other dimensions", "another name"],
)
def test_other_vectors_than_an_alias_shows_are_refused_before_anything_is_made(
    engine: Engine, fresh: str, alias: str, vectors: tuple[VectorSpace, ...]
) -> None:
    hosted = engine.provider.collections.hosted
    schema, other = hosted(SCHEMA).schema, hosted(replace(SCHEMA, vectors=vectors)).schema
    engine.provider.collections.create(fresh, schema, mark="test")
    engine.provider.sink.build_index(fresh, schema)
    aliases = aliases_of(engine.provider)
    aliases.set(alias, fresh)

    assert aliases.refusals(alias, schema) == ()
    assert aliases.refusals(alias, other)
