"""What every engine promises in which collections in use can be adopted."""

from collections.abc import Iterator
from contextlib import suppress

import pytest

from regalia.core.errors import ConflictError, NotFoundError
from regalia_registry.ports.serving import Adopting, Adoption, Aliases, Seals, Serving
from regalia_registry.ports.vectors import Provider
from tests.support.engines import ADOPTING, RENAMING, Engine, RefusedWriteError, loaded, opened, rows_of

ROWS = 20


@pytest.fixture(scope="module", params=ADOPTING)
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    yield from opened(request.param, tmp_path_factory)


@pytest.fixture(scope="module", params=RENAMING)
def renaming(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    yield from opened(request.param, tmp_path_factory)


@pytest.fixture
def used(engine: Engine) -> str:
    return engine.fill(ROWS)


@pytest.fixture
def into(engine: Engine, used: str) -> Iterator[str]:
    name = engine.provider.physical_name("kb", "a1b2c3d4")
    yield name
    with suppress(ConflictError):  # where it is a collection still
        aliases_of(engine.provider).remove(used)
    engine.provider.collections.drop(name, mark="test")


def adoption_of(provider: Provider) -> Adoption:
    assert isinstance(provider, Adopting)
    return provider.adoption


def adopted(provider: Provider, used: str, into: str) -> str:
    """Adopt it under a new name, where the engine can rename; gives the name that it has then."""
    name = adoption_of(provider).renamed(used, into=into)
    adoption_of(provider).adopt(used, into=name, mark="test")
    return name


def aliases_of(provider: Provider) -> Aliases:
    assert isinstance(provider, Serving)
    return provider.aliases


def seals_of(provider: Provider) -> Seals:
    assert isinstance(provider, Serving)
    return provider.seals


def test_the_consequences_are_told_and_nothing_is_changed(engine: Engine, used: str) -> None:
    told = adoption_of(engine.provider).consequences(used)

    assert told
    assert len(rows_of(engine, used)) == ROWS
    assert any(entry.name == used and not entry.mark for entry in engine.provider.collections.list())


def test_what_is_adopted_is_ours_with_its_rows_and_its_schema(engine: Engine, used: str, into: str) -> None:
    schema, rows = engine.provider.collections.describe(used).schema, rows_of(engine, used)

    name = adopted(engine.provider, used, into)

    described = engine.provider.collections.describe(name)
    assert (described.schema, described.refusals) == (schema, ())
    assert rows_of(engine, name) == rows


def test_applications_go_on_under_the_name_that_they_know(engine: Engine, used: str, into: str) -> None:
    name = adopted(engine.provider, used, into)

    engine.write(name, ROWS)

    assert engine.seen(used) == ROWS + 1


def test_adopting_twice_is_the_same_as_once(engine: Engine, used: str, into: str) -> None:
    one, other = (adopted(engine.provider, used, into) for _ in range(2))

    assert one == other
    assert len(rows_of(engine, one)) == ROWS
    assert engine.seen(used) == ROWS


def test_what_is_adopted_is_sealed_like_any(engine: Engine, used: str, into: str) -> None:
    name = adopted(engine.provider, used, into)

    seals_of(engine.provider).seal(name, mark="test")

    assert seals_of(engine.provider).standing(name, mark="test").sealed
    with pytest.raises(RefusedWriteError):
        engine.write(name, ROWS)


def test_where_it_was_an_alias_leads_to_it_and_elsewhere(renaming: Engine) -> None:
    aliases = aliases_of(renaming.provider)
    used, into, another = renaming.fill(ROWS), *(renaming.provider.physical_name("kb", one) for one in ("a1", "e5"))
    loaded(renaming, another, used)

    name = adopted(renaming.provider, used, into)

    assert (name, aliases.get(used)) == (into, into)
    aliases.set(used, another)
    assert aliases.get(used) == another
    aliases.remove(used)
    for one in (into, another):
        renaming.provider.collections.drop(one, mark="test")


def test_a_name_that_is_taken_is_no_place_to_adopt_into(renaming: Engine) -> None:
    used, into = renaming.fill(ROWS), renaming.provider.physical_name("kb", "a1b2c3d4")
    schema = renaming.provider.collections.describe(used).schema
    renaming.provider.collections.create(into, schema, mark="test")

    with pytest.raises(ConflictError, match="is taken"):
        adoption_of(renaming.provider).adopt(used, into=into, mark="another")

    assert len(rows_of(renaming, used)) == ROWS
    renaming.provider.collections.drop(into, mark="test")


def test_what_is_ours_is_not_adopted_again(engine: Engine, used: str, into: str) -> None:
    adoption = adoption_of(engine.provider)
    name = adopted(engine.provider, used, into)

    with pytest.raises(ConflictError, match="ours already"):
        adoption.consequences(name)
    with pytest.raises(ConflictError, match="ours already"):
        adoption.adopt(name, into=adoption.renamed(name, into=f"{into}2"), mark="another")


def test_what_is_not_there_is_not_adopted(engine: Engine, into: str) -> None:
    with pytest.raises(NotFoundError, match="absent"):
        adoption_of(engine.provider).consequences("absent")
    with pytest.raises(NotFoundError, match="absent"):
        adoption_of(engine.provider).adopt("absent", into=into, mark="test")
