"""The stores that keep the contract of `Store`; a new one joins by one line in `STORES`."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from regalia_registry.adapters.memory.store import MemoryStore
from regalia_registry.adapters.sql.migrate import upgrade
from regalia_registry.adapters.sql.store import SqlStore
from regalia_registry.ports.store import Store

MakeStore = Callable[[Path, Path], Store]  # from a migrated SQLite file, in a folder


def make_sqlite(migrated: Path, folder: Path) -> Store:
    path = shutil.copy(migrated, folder / "registry.db")
    return SqlStore.open(f"sqlite:///{path}")


STORES: dict[str, MakeStore] = {
    "memory": lambda migrated, folder: MemoryStore(),  # noqa: ARG005 # memory needs no file
    "sqlite": make_sqlite,
}


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("migrated") / "registry.db"
    upgrade(f"sqlite:///{path}")
    return path


@pytest.fixture(params=list(STORES.values()), ids=list(STORES))
def store(request: pytest.FixtureRequest, migrated: Path, tmp_path: Path) -> Iterator[Store]:
    make: MakeStore = request.param
    with closing(make(migrated, tmp_path)) as made:
        yield made


@pytest.fixture(params=list(STORES.values()), ids=list(STORES), scope="module")
def shared_store(
    request: pytest.FixtureRequest, migrated: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Store]:
    make: MakeStore = request.param
    with closing(make(migrated, tmp_path_factory.mktemp("shared"))) as made:
        yield made
