"""A real PostgreSQL with pgvector, one a session: the wheel's, as the registry itself runs it."""

import os
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import psycopg
from psycopg import sql

from bench.processes import family
from regalia_registry.adapters.sql.migrate import upgrade
from regalia_registry.adapters.sql.tables import Artifact
from regalia_registry.adapters.vectors.pgvector.embedded import EmbeddedPostgres, wheel_binaries

TABLES = [table.name for table in reversed(Artifact.metadata.sorted_tables)]

_numbers = count(1)


@contextmanager
def running(folder: Path, *, port: int = 0) -> Iterator[EmbeddedPostgres]:
    """Start a server whose data lies under this folder, and leave nothing of it."""
    server = EmbeddedPostgres(folder, wheel_binaries(), port=port)
    server.start()
    try:
        yield server
    finally:
        server.stop()
        shutil.rmtree(server.folder, ignore_errors=True)


def processes(server: EmbeddedPostgres) -> list[int]:
    """Give the postmaster and all that it started."""
    return family(int(_pid_file(server).read_text().split()[0]))


def restart_at_once(server: EmbeddedPostgres) -> None:
    """End it without a farewell to anybody, as `pg_ctl restart -m immediate`, and start it on what its log has."""
    os.kill(processes(server)[0], signal.SIGQUIT)
    while _pid_file(server).exists():
        time.sleep(0.01)
    server.start()


def _pid_file(server: EmbeddedPostgres) -> Path:
    return server.folder / "cluster/postmaster.pid"


class Catalogs:
    """Databases for registries on one server."""

    def __init__(self, server: EmbeddedPostgres) -> None:
        self.server = server
        self._kept: dict[str, str] = {}

    @property
    def superuser_url(self) -> str:
        """Who may do everything, in the database that nobody drops."""
        return self.server.url.replace("regalia@", "postgres@", 1)

    def make(self, how: str = "") -> str:
        """Make an empty database, and give its URL."""
        name = f"catalog_{next(_numbers)}"
        self.execute(f"CREATE DATABASE {name} OWNER regalia {how}")
        return self.server.url.replace("/local?", f"/{name}?").replace("postgresql:", "postgresql+psycopg:")

    def migrated(self, name: str = "") -> str:
        """Give a migrated database without a row, of this name the same again: to make one takes a second."""
        if name not in self._kept:
            self._kept[name] = self.make()
            upgrade(self._kept[name])
        with psycopg.connect(plain(self._kept[name]), autocommit=True) as connection:
            for table in TABLES:
                connection.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(table)))
        return self._kept[name]

    def execute(self, *statements: str) -> None:
        """Do something as the superuser, each in a transaction of its own."""
        with psycopg.connect(self.superuser_url, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.encode())


def plain(url: str) -> str:
    """Spell a catalog's URL as the driver does."""
    return url.replace("+psycopg", "", 1)
