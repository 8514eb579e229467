"""What SQLite adds to the contract of the store: durability, faults, several processes, and look-ups by index."""

import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import Engine, event

from regalia.core.errors import ConfigurationError, StorageFullError, UnavailableError
from regalia.core.names import Kind
from regalia_registry.adapters.sql.engine import open_engine
from regalia_registry.adapters.sql.migrate import upgrade
from regalia_registry.adapters.sql.store import SqlStore
from regalia_registry.domain.records import ArtifactKey
from regalia_registry.ports.store import Transaction
from tests.support.records import (
    APPLICATION,
    PROMPT,
    artifact,
    bundle,
    changing,
    digest,
    entry,
    hold,
    pointer,
    root,
)

WRITERS = 4
CHANGES = 40
CHECKOUT = Path(__file__).parents[2]

WRITER = """
import sys
from regalia_registry.adapters.sql.store import SqlStore
from tests.support.records import append_pointers
append_pointers(SqlStore.open(sys.argv[1]), times=int(sys.argv[3]), writer=sys.argv[2])
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "registry.db"
    upgrade(f"sqlite:///{found}")
    return found


@pytest.fixture
def engine(path: Path) -> Engine:
    return open_engine(f"sqlite:///{path}")


@pytest.fixture
def store(engine: Engine) -> Iterator[SqlStore]:
    with closing(SqlStore(engine)) as made:
        yield made


def start_writer(path: Path, name: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", WRITER, f"sqlite:///{path}", name, str(CHANGES)], cwd=CHECKOUT)


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


def test_four_processes_lose_none_of_each_others_changes(path: Path, store: SqlStore) -> None:
    writers = [start_writer(path, f"process-{number}") for number in range(WRITERS)]

    assert [writer.wait() for writer in writers] == [0] * WRITERS
    with store.read() as tx:
        found = tx.channels.history(APPLICATION, "prod", after=None, limit=1000)
    assert [one.pointer.sequence for one in found] == list(range(WRITERS * CHANGES, 0, -1))


def test_the_version_differs_after_another_process_committed(path: Path, store: SqlStore) -> None:
    before = store.version()

    start_writer(path, "other").wait()

    assert store.version() != before


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

        assert (held(reader), reader.version() > 0) == (1, True)


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
        open_engine(url)


def read_everything(tx: Transaction) -> None:
    key = ArtifactKey(Kind.PROMPT, "a")
    tx.artifacts.add(artifact("1.0.0"))
    tx.artifacts.add(artifact("1.0.0"))
    tx.artifacts.get(PROMPT, version="1.0.0")
    tx.artifacts.find_by_digest("acme", digest=digest("it"))
    tx.artifacts.find_all_by_digest("acme", digests=[digest("it"), digest("that")])
    tx.artifacts.find_by_fingerprint(PROMPT, fingerprint=digest("it"))
    tx.artifacts.names("acme", kind=None, after=None, limit=50)
    tx.artifacts.names("acme", kind=None, after=key, limit=50)
    tx.artifacts.names("acme", kind=Kind.PROMPT, after=key, limit=50)
    tx.artifacts.versions(PROMPT, after=None, limit=50)
    tx.artifacts.versions(PROMPT, after="1.0.0", limit=50)
    tx.bundles.add(bundle("2.3.1"))
    tx.bundles.get(APPLICATION, version="2.3.1")
    tx.bundles.get_by_digest(APPLICATION, digest=bundle("2.3.1").digest)
    tx.bundles.list(APPLICATION, after=None, limit=50)
    tx.bundles.list(APPLICATION, after="2.3.1", limit=50)
    tx.bundles.add_signatures(APPLICATION, digest=bundle("2.3.1").digest, release=b"more")


def move_and_read_everything(tx: Transaction) -> None:
    first = pointer(1)
    tx.channels.move(first, expected=None)
    tx.channels.move(pointer(2, previous=first), expected=first.identity)
    tx.channels.find(APPLICATION, "prod")
    tx.channels.list(APPLICATION, after="dev", limit=50)
    tx.channels.list_all(after=(APPLICATION, "dev"), limit=50)
    tx.channels.find_pointer(first.identity)
    tx.channels.history(APPLICATION, "prod", after=None, limit=50)
    tx.channels.history(APPLICATION, "prod", after=9, limit=50)
    tx.channels.find_newest(APPLICATION, "prod", bundle=first.pointer.bundle)
    tx.channels.add_signatures(first.identity, envelope=first.envelope)
    tx.holds.find(APPLICATION, digest("it"))
    tx.holds.lift(APPLICATION, digest("it"))
    tx.roots.add(root(1))
    tx.roots.newest()
    tx.roots.find_by_identity(digest("it"))
    tx.roots.after(1, limit=8)
    tx.blobs.link("acme", sizes={digest("it"): 1})
    tx.blobs.find_sizes("acme", digests=[digest("it")])
    tx.access.find("0" * 64)
    tx.access.list(after="0", limit=50)
    tx.audit.record(entry())
    tx.audit.list(after=None, limit=50)
    tx.audit.list(after="0", limit=50)
    tx.audit.deployments(APPLICATION, channel=None, after="9", limit=50)
    tx.audit.deployments(APPLICATION, channel="prod", after="9", limit=50)


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
