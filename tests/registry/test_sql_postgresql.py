"""What PostgreSQL adds to the contract of the store: servers that are away, full or read-only, and cut connections."""

import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import psycopg
import pytest
from sqlalchemy import event, make_url

from regalia.core.errors import (
    BusyError,
    ConfigurationError,
    InvalidError,
    RegaliaError,
    StorageFullError,
    UnavailableError,
)
from regalia_registry.adapters.memory.system import MemoryClock
from regalia_registry.adapters.sql.engine import Database, open_database
from regalia_registry.adapters.sql.migrate import upgrade
from regalia_registry.adapters.sql.store import SqlStore
from regalia_registry.ports.store import Told, Transaction
from tests.servers import odd_postgres, postgres
from tests.servers.odd_postgres import Odd
from tests.servers.postgres import TABLES, Catalogs, plain
from tests.servers.process import free_port
from tests.support.disks import small_disk
from tests.support.records import ACTOR, APPLICATION, artifact, changing, digest, entry, hold
from tests.support.statements import move_and_read_everything, read_everything

SECRET = "opensesame"


@pytest.fixture
def url(catalogs: Catalogs) -> str:
    return catalogs.migrated()


@pytest.fixture
def database(url: str) -> Database:
    return open_database(url)


@pytest.fixture
def store(database: Database) -> Iterator[SqlStore]:
    with closing(SqlStore(database)) as made:
        yield made


def held(store: SqlStore) -> int:
    with store.read() as tx:
        return len(tx.holds.list(APPLICATION))


def hold_one(store: SqlStore, version: str = "2.3.1") -> None:
    with changing(store) as tx:
        tx.holds.add(hold(version))


def name_of(url: str) -> str:
    return str(make_url(url).database)


@contextmanager
def altered(catalogs: Catalogs, url: str, setting: str, back: str) -> Iterator[None]:
    """Change a setting of the database for those who connect from here on."""
    catalogs.execute(f"ALTER DATABASE {name_of(url)} {setting}")
    try:
        yield
    finally:
        catalogs.execute(f"ALTER DATABASE {name_of(url)} {back}")


def cut(catalogs: Catalogs, url: str) -> None:
    """End every connection to the database, as a restart does."""
    with psycopg.connect(catalogs.superuser_url) as connection:
        query = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"
        connection.execute(query, [name_of(url)])


def test_what_nobody_is_told_shows_in_nothing(store: SqlStore) -> None:
    with store.note():
        pass  # the first of a registry makes the row at which writers queue
    before = store.version(), store.activity()

    with store.note(to=Told.NOBODY) as tx:
        tx.blobs.link("acme", sizes={digest("blob"): 4})

    assert (store.version(), store.activity()) == before


def test_connections_that_were_cut_while_they_were_idle_are_not_noticed(
    catalogs: Catalogs, url: str, store: SqlStore
) -> None:
    hold_one(store)
    before = store.version()
    cut(catalogs, url)

    found = store.version()
    cut(catalogs, url)
    hold_one(store, "2.3.0")
    cut(catalogs, url)

    assert (found, held(store)) == (before, 2)


def test_a_change_whose_connection_is_cut_in_the_middle_is_not_kept(
    catalogs: Catalogs, url: str, store: SqlStore
) -> None:
    def hold_and_be_cut() -> None:
        with changing(store) as tx:
            tx.holds.add(hold("2.3.1"))
            cut(catalogs, url)

    with pytest.raises(UnavailableError, match="did not answer"):
        hold_and_be_cut()

    assert held(store) == 0


def test_a_writer_that_died_keeps_nobody_waiting(url: str, store: SqlStore, catalogs: Catalogs) -> None:
    with psycopg.connect(plain(url)) as dying:
        dying.execute("INSERT INTO last_change VALUES (1, 1) ON CONFLICT (id) DO UPDATE SET mark = 2")
        writing = threading.Thread(target=hold_one, args=(store,))
        writing.start()
        catalogs.execute(f"SELECT pg_terminate_backend({dying.info.backend_pid})")
        writing.join()
        dying.close()

    assert held(store) == 1


def test_a_database_that_another_change_keeps_is_unavailable(database: Database, store: SqlStore) -> None:
    @event.listens_for(database.engine, "before_cursor_execute", retval=True)
    def lose_patience(
        _connection: object, _cursor: object, statement: str, parameters: Any, *_: object
    ) -> tuple[str, Any]:
        return statement.replace("lock_timeout = '10s'", "lock_timeout = '10ms'"), parameters

    with store.note(), pytest.raises(UnavailableError, match="is kept by another change"):
        hold_one(store)


def test_a_read_only_database_refuses_the_change_and_goes_on_reading(catalogs: Catalogs, url: str) -> None:
    with closing(SqlStore.open(url)) as writer:
        hold_one(writer)

    read_only = "SET default_transaction_read_only = on"
    with (
        altered(catalogs, url, read_only, "RESET default_transaction_read_only"),
        closing(SqlStore.open(url)) as reader,
    ):
        with pytest.raises(UnavailableError, match="is read-only"):
            hold_one(reader)

        assert (held(reader), reader.version() != 0) == (1, True)


def test_a_full_disk_refuses_the_change_and_goes_on_reading(tmp_path: Path) -> None:
    with postgres.running(tmp_path / "postgres") as server, small_disk(server.folder / "small", megabytes=24) as small:
        shutil.chown(small, server.folder.owner())
        catalogs = Catalogs(server)
        catalogs.execute(f"CREATE TABLESPACE small LOCATION '{small}'", "GRANT CREATE ON TABLESPACE small TO regalia")
        url = catalogs.make()
        catalogs.execute(f"ALTER DATABASE {name_of(url)} SET TABLESPACE small")
        upgrade(url)
        with closing(SqlStore.open(url)) as store:
            with pytest.raises(StorageFullError, match="disk of the registry's database is full"):
                fill(store)

            assert held(store) == 0
        server.stop()


def fill(store: SqlStore) -> None:
    for number in range(64):
        with changing(store) as tx:
            tx.artifacts.add(artifact(f"1.0.{number}", Random(number).randbytes(500_000).hex()))  # noqa: S311 # to fill


def test_a_database_without_a_connection_left_says_so(catalogs: Catalogs, url: str) -> None:
    with (
        altered(catalogs, url, "CONNECTION LIMIT 0", "CONNECTION LIMIT -1"),
        closing(SqlStore.open(url)) as store,
    ):
        with pytest.raises(UnavailableError, match="no connection left"):
            held(store)
        with pytest.raises(UnavailableError, match="no connection left"):
            store.version()


def test_a_process_whose_own_connections_are_all_in_use_is_busy(url: str) -> None:
    database = open_database(url)
    database.engine.pool._timeout = 0.01  # type: ignore[attr-defined] # nobody waits ten seconds for a test
    with closing(SqlStore(database)) as store:
        readers = [store.read() for _ in range(15)]
        for reader in readers:
            reader.__enter__()

        with pytest.raises(BusyError, match="all connections"):
            held(store)

        for reader in readers:
            reader.__exit__(None, None, None)


@pytest.mark.parametrize("text", ["a\0b", "v" * 500], ids=["a-nul", "too-long"])
def test_a_text_that_the_database_can_not_keep_is_refused(store: SqlStore, text: str) -> None:
    with pytest.raises(InvalidError, match="can't keep what was given"), changing(store) as tx:
        tx.artifacts.add(artifact(text))


def test_what_the_role_may_not_do_is_told(url: str) -> None:
    with psycopg.connect(plain(url), autocommit=True) as owner:
        owner.execute("REVOKE SELECT ON bundle_hold FROM regalia")

        with closing(SqlStore.open(url)) as store, pytest.raises(UnavailableError, match="denies a right") as caught:
            held(store)

        owner.execute("GRANT SELECT ON bundle_hold TO regalia")
    assert "reg admin check" in caught.value.hint


REFUSALS = {
    "a-wrong-password": (
        odd_postgres.refusing('password authentication failed for user "me"'),
        "lets nobody in with this user and password",
    ),
    "an-unknown-role": (odd_postgres.refusing('role "me" does not exist'), "lets nobody in"),
    "a-missing-database": (odd_postgres.refusing('database "registry" does not exist'), "does not exist"),
    "no-connection-left": (odd_postgres.refusing("sorry, too many clients already"), "has no connection left"),
    "starting": (odd_postgres.refusing("the database system is starting up"), "did not answer"),
    "no-postgresql": (Odd(b"HTTP/1.1 400 Bad Request\r\n\r\n"), "did not answer"),
}


@pytest.mark.parametrize(("odd", "told"), REFUSALS.values(), ids=REFUSALS)
def test_a_server_that_lets_nobody_in_is_told_without_the_password(odd: Odd, told: str) -> None:
    with odd_postgres.listening(odd) as server:
        address = f"postgresql://me:{SECRET}@127.0.0.1:{server.port}/registry"
        with closing(SqlStore.open(address)) as store, pytest.raises(UnavailableError, match=told) as caught:
            held(store)

    assert SECRET not in told_by(caught.value)


def told_by(error: BaseException | None) -> str:
    """Give all words of an error and of those behind it."""
    return "" if error is None else f"{error!s} {error!r} {getattr(error, 'hint', '')} {told_by(error.__cause__)}"


def test_a_server_that_nobody_reaches_is_unavailable() -> None:
    address = f"postgresql://me:{SECRET}@127.0.0.1:{free_port()}/registry"

    with closing(SqlStore.open(address)) as store:
        with pytest.raises(UnavailableError, match="can't be reached") as reading:
            held(store)
        with pytest.raises(UnavailableError, match="can't be reached") as looking:
            store.version()

    assert SECRET not in told_by(reading.value) + told_by(looking.value)


@pytest.mark.parametrize(
    "address",
    [
        f"postgresql//me:{SECRET}@host/registry",
        f"postgresql+asyncpg://me:{SECRET}@host/registry",
        f"postgres://me:{SECRET}@host/registry",
    ],
    ids=["no-url", "another-driver", "a-name-that-only-others-know"],
)
def test_an_address_that_is_none_is_told_without_the_password(address: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        open_database(address)

    assert SECRET not in told_by(caught.value)


def test_a_driver_that_is_not_installed_is_told_with_what_installs_it() -> None:
    script = (
        "import sys; sys.modules['psycopg'] = None\n"
        "from regalia_registry.adapters.sql.engine import open_database\n"
        "try: open_database('postgresql+psycopg://db/registry')\n"
        "except Exception as error: print(type(error).__name__, error.message, error.hint, sep='; ')"
    )

    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout

    expected = "ConfigurationError; the database's driver \"psycopg\" is not installed; pip install 'regalia[server]'"
    assert told.strip() == expected


def test_a_word_of_the_address_that_no_driver_knows_is_told(url: str) -> None:
    with closing(SqlStore.open(f"{url}&colour=blue")) as store:
        with pytest.raises(RegaliaError, match='invalid connection option "colour"'):
            held(store)
        with pytest.raises(RegaliaError, match='invalid connection option "colour"'):
            store.version()


def test_texts_sort_by_their_bytes_whatever_the_database_was_made_with(url: str) -> None:
    query = """
        SELECT table_name, column_name FROM information_schema.columns
        WHERE table_name = ANY(%s) AND data_type = 'character varying' AND collation_name IS DISTINCT FROM 'C'
    """
    with psycopg.connect(plain(url)) as connection:
        others = connection.execute(query, [TABLES]).fetchall()

    assert others == []


@pytest.mark.parametrize("work", [read_everything, move_and_read_everything], ids=["content", "moves-and-records"])
def test_every_statement_finds_its_rows_by_an_index(
    database: Database, store: SqlStore, work: Callable[[Transaction], None]
) -> None:
    plans: dict[str, str] = {}

    @event.listens_for(database.engine, "before_cursor_execute")
    def explain(_connection: object, cursor: psycopg.Cursor[Any], statement: str, parameters: Any, *_: object) -> None:
        if statement.startswith(("SELECT", "UPDATE", "DELETE")):
            with cursor.connection.cursor() as another:
                for way in ("seqscan", "bitmapscan", "sort"):  # the planner's, for tables as small as these
                    another.execute(f"SET LOCAL enable_{way} = off".encode())
                rows = another.execute(f"EXPLAIN {statement}".encode(), parameters).fetchall()
            plans[statement] = "\n".join(str(row[0]) for row in rows)

    with store.note() as tx:
        work(tx)

    unbounded = {statement: plan for statement, plan in plans.items() if "Seq Scan" in plan or "Sort" in plan}
    assert (len(plans) > 10, unbounded) == (True, {})


def test_a_change_leaves_no_setting_on_its_connection(url: str, store: SqlStore) -> None:
    hold_one(store)

    with store.write(ACTOR) as tx:
        tx.audit.record(entry())

    with psycopg.connect(plain(url)) as connection:
        assert connection.execute("SHOW lock_timeout").fetchone() == ("0",)


def test_the_clock_is_the_servers_whatever_this_hosts_own_says(store: SqlStore) -> None:
    wrong = MemoryClock()

    found = store.clock(wrong).now()

    assert abs(found - datetime.now(UTC)) < timedelta(seconds=5) < abs(found - wrong.now())


def test_the_clock_goes_on_while_its_database_is_away(catalogs: Catalogs) -> None:
    url, own = catalogs.make(), MemoryClock()
    with closing(SqlStore.open(url)) as store:
        told, asks_first = store.clock(own), store.clock(own)
        before = told.now()
        catalogs.execute(f"DROP DATABASE {make_url(url).database} WITH (FORCE)")
        own.turn(timedelta(minutes=1))

        after = told.now()

        assert after - before == timedelta(minutes=1)
        with pytest.raises(UnavailableError):
            asks_first.now()


class Own:
    """A host's two clocks, of which a sleep moves but one."""

    def __init__(self) -> None:
        self.time, self.seconds = datetime(2026, 1, 1, tzinfo=UTC), 0.0

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return self.seconds


@pytest.mark.parametrize(("passed", "seen"), [(11, 11.0), (28_800, 1.0)], ids=["a while", "a sleep"])
def test_the_clock_asks_again_after_a_while_and_after_a_sleep(
    store: SqlStore, database: Database, passed: int, seen: float
) -> None:
    asked: list[str] = []
    event.listen(database.engine, "before_cursor_execute", lambda *told: asked.append(told[2]))
    own = Own()
    clock = store.clock(own)
    clock.now()
    clock.now()
    own.time += timedelta(seconds=passed)
    own.seconds += seen

    clock.now()

    assert sum("clock_timestamp" in one for one in asked) == 2
