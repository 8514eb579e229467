"""The stores of a registry whose processes die: SQLite and a disk, or PostgreSQL and S3; what differs is asked here."""

import os
import random
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

import psycopg

from regalia_registry.adapters.vectors.pgvector.embedded import EmbeddedPostgres
from tests.servers import postgres, seaweed
from tests.support.crash_engines import ENGINES

_COLLECTIONS = "SELECT name, state, content_root FROM collection WHERE target = "


class Stores(Protocol):
    """Where a registry keeps its catalog and its blobs."""

    name: str

    @property
    def settings(self) -> Mapping[str, str]:
        """What its processes are told."""
        ...

    def is_locked(self) -> bool:
        """Say whether nobody can write into the catalog."""
        ...

    def collections(self, target: str) -> dict[str, tuple[str, str]]:
        """Name the collections that the catalog has on a target, with their states and content roots."""
        ...


class OnOneMachine:
    """SQLite and a folder, as a registry has them where nothing is set."""

    name = "SQLite"
    settings: Mapping[str, str] = MappingProxyType({})

    def __init__(self, catalog: Path) -> None:
        self._catalog = catalog

    def is_locked(self) -> bool:
        with closing(sqlite3.connect(self._catalog, timeout=0.2, isolation_level=None)) as catalog:
            try:
                catalog.execute("BEGIN IMMEDIATE")
                catalog.execute("ROLLBACK")
            except sqlite3.OperationalError:
                return True
        return False

    def collections(self, target: str) -> dict[str, tuple[str, str]]:
        with closing(sqlite3.connect(self._catalog)) as catalog:
            found = catalog.execute(f"{_COLLECTIONS}?", [target])
            return {name: (state, root) for name, state, root in found}


class OnServers:
    """PostgreSQL and S3."""

    name = "PostgreSQL and S3"

    def __init__(self, server: EmbeddedPostgres, bucket: seaweed.Seaweed) -> None:
        self.server, self.bucket = server, bucket
        database = postgres.Catalogs(server).make()
        self._catalog = postgres.plain(database)
        self.settings = {
            **bucket.environment,
            "REGALIA_SERVER_DATABASE": database,
            "REGALIA_SERVER_BLOBS": bucket.url("registry"),
        }

    def is_locked(self) -> bool:
        with psycopg.connect(self._catalog) as catalog:
            try:
                catalog.execute("SELECT mark FROM last_change FOR UPDATE NOWAIT")
            except psycopg.errors.LockNotAvailable:
                return True
        return False

    def collections(self, target: str) -> dict[str, tuple[str, str]]:
        with psycopg.connect(self._catalog) as catalog:
            found = catalog.execute(f"{_COLLECTIONS}%s".encode(), [target])
            return {name: (state, root) for name, state, root in found}


@contextmanager
def _on_one_machine(folder: Path) -> Iterator[Stores]:
    yield OnOneMachine(folder / ".local/share/regalia/registry.db")


@contextmanager
def on_servers(folder: Path) -> Iterator[OnServers]:
    """Start both servers for one registry, and leave nothing of them."""
    places = folder / "catalog", folder / "bucket"
    for place in places:
        place.mkdir()
    with postgres.running(places[0]) as server, seaweed.running(places[1]) as bucket:
        yield OnServers(server, bucket)


STORES: dict[str, Callable[[Path], AbstractContextManager[Stores]]] = {
    "sqlite": _on_one_machine,
    "postgresql": on_servers,
}

_ASKED = [name for name in os.environ.get("REGALIA_CRASH_STORES", "").split(",") if name]
CASES = [(engine, stores) for engine in ENGINES for stores in _ASKED or [""]]  # "": what is drawn


def drawn(engine: str, seed: int) -> str:
    """Draw the stores that an engine is tried with, where none were asked for: two engines get two."""
    return random.Random(f"{seed} stores").sample(sorted(STORES), len(STORES))[[*ENGINES].index(engine) % len(STORES)]  # noqa: S311 # no secret
