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
from tests.servers.postgres import Catalogs

MakeStore = Callable[[pytest.FixtureRequest, Path], Store]  # empty, in a folder


def make_sqlite(request: pytest.FixtureRequest, folder: Path) -> Store:
    migrated: Path = request.getfixturevalue("migrated")
    path = shutil.copy(migrated, folder / "registry.db")
    return SqlStore.open(f"sqlite:///{path}")


def make_postgresql(request: pytest.FixtureRequest, folder: Path) -> Store:  # noqa: ARG001 # it is on a server
    catalogs: Catalogs = request.getfixturevalue("catalogs")
    return SqlStore.open(catalogs.migrated(request.scope))


STORES: dict[str, MakeStore] = {
    "memory": lambda request, folder: MemoryStore(),  # noqa: ARG005 # memory needs nothing
    "sqlite": make_sqlite,
    "postgresql": make_postgresql,
}


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("migrated") / "registry.db"
    upgrade(f"sqlite:///{path}")
    return path


@pytest.fixture(params=list(STORES.values()), ids=list(STORES))
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    make: MakeStore = request.param
    with closing(make(request, tmp_path)) as made:
        yield made


@pytest.fixture(params=list(STORES.values()), ids=list(STORES), scope="module")
def shared_store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    make: MakeStore = request.param
    with closing(make(request, tmp_path_factory.mktemp("shared"))) as made:
        yield made
