"""What SQLite adds to the contract of the store: durability, faults, and look-ups by index."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import Engine, event

from regalia.core.errors import ConfigurationError, StorageFullError, UnavailableError
from regalia_registry.adapters.sql.engine import Database, open_database
from regalia_registry.adapters.sql.migrate import upgrade
from regalia_registry.adapters.sql.store import SqlStore
from regalia_registry.ports.store import Transaction
from tests.support.records import APPLICATION, artifact, changing, hold
from tests.support.statements import move_and_read_everything, read_everything


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "registry.db"
    upgrade(f"sqlite:///{found}")
    return found


@pytest.fixture
def database(path: Path) -> Database:
    return open_database(f"sqlite:///{path}")


@pytest.fixture
def engine(database: Database) -> Engine:
    return database.engine


@pytest.fixture
def store(database: Database) -> Iterator[SqlStore]:
    with closing(SqlStore(database)) as made:
        yield made


def pragma(engine: Engine, name: str) -> object:
    with engine.connect() as connection:
        return connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()


def held(store: SqlStore) -> int:
    with store.read() as tx:
        return len(tx.holds.list(APPLICATION))


def hold_one(store: SqlStore) -> None:
    with changing(store) as tx:
        tx.holds.add(hold("2.3.1"))


@pytest.mark.parametrize(
    ("name", "expected"),
    [("journal_mode", "wal"), ("synchronous", 2), ("foreign_keys", 1), ("busy_timeout", 10_000)],
    ids=["a-log-that-readers-can-pass", "synced-at-each-commit", "keys-checked", "patient"],
)
def test_connections_are_opened_durable_and_strict(engine: Engine, name: str, expected: object) -> None:
    assert pragma(engine, name) == expected


def test_a_full_disk_refuses_the_change_and_goes_on_reading(engine: Engine, store: SqlStore) -> None:
    @event.listens_for(engine, "connect")
    def keep_size(connection: sqlite3.Connection, _record: object) -> None:
        connection.execute("PRAGMA max_page_count=1")  # SQLite then takes the pages that there are

    with pytest.raises(StorageFullError, match="disk is full"), changing(store) as tx:
        tx.artifacts.add(artifact("1.0.0", "x" * 1_000_000))

    assert held(store) == 0


def test_a_read_only_database_refuses_the_change_and_goes_on_reading(path: Path, store: SqlStore) -> None:
    hold_one(store)

    with closing(SqlStore.open(f"sqlite:///file:{path}?mode=ro&uri=true")) as reader:
        with pytest.raises(UnavailableError, match="is read-only"):
            hold_one(reader)

        assert (held(reader), reader.version() != 0) == (1, True)


def test_a_database_that_somebody_else_locks_is_unavailable(engine: Engine, store: SqlStore) -> None:
    @event.listens_for(engine, "connect")
    def lose_patience(connection: sqlite3.Connection, _record: object) -> None:
        connection.execute("PRAGMA busy_timeout=0")

    with store.note(), pytest.raises(UnavailableError, match="did not answer: database is locked"):
        hold_one(store)


def test_a_damaged_database_is_unavailable(path: Path, store: SqlStore) -> None:
    store.close()
    path.write_bytes(b"damaged" * 1000)

    with pytest.raises(UnavailableError, match="did not answer"):
        held(store)
    with pytest.raises(UnavailableError, match="did not answer"):
        store.version()


def test_a_closed_store_opens_again_when_it_is_asked(store: SqlStore) -> None:
    before = store.version()
    store.close()

    assert (held(store), store.version()) == (0, before)


@pytest.mark.parametrize("url", ["not a url", "mysql://db/registry"], ids=["no-url", "another-database"])
def test_only_databases_of_this_version_are_opened(url: str) -> None:
    with pytest.raises(ConfigurationError):
        open_database(url)


@pytest.mark.parametrize("work", [read_everything, move_and_read_everything], ids=["content", "moves-and-records"])
def test_every_statement_finds_its_rows_by_an_index(
    engine: Engine, store: SqlStore, work: Callable[[Transaction], None]
) -> None:
    plans: dict[str, list[str]] = {}

    @event.listens_for(engine, "before_cursor_execute")
    def explain(
        _connection: object, cursor: sqlite3.Cursor, statement: str, parameters: tuple[str, ...], *_: object
    ) -> None:
        if statement.startswith(("SELECT", "UPDATE", "DELETE")):
            rows = cursor.connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
            plans[statement] = [row[3] for row in rows]

    with store.note() as tx:
        work(tx)

    unbounded = {statement: plan for statement, plan in plans.items() if not is_bounded(statement, plan)}
    assert (len(plans) > 10, unbounded) == (True, {})


def is_bounded(statement: str, plan: list[str]) -> bool:
    """Say whether each table is searched by an index, or walked in its order up to a limit; and nothing is sorted."""
    is_paged = "LIMIT" in statement
    return all(step.startswith("SEARCH") or (is_paged and step.startswith("SCAN")) for step in plan)
