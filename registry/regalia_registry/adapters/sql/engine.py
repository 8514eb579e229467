"""Opening a database so that transactions mean what they say; the one file that knows which database it is."""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import Enum
from threading import Lock

from sqlalchemy import Connection, Engine, Table, create_engine, event
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, ProgrammingError

from regalia.core.errors import ConfigurationError, ConflictError, RegaliaError, StorageFullError, UnavailableError

_BUSY_TIMEOUT_MS = 10_000
_PRAGMAS = (f"busy_timeout={_BUSY_TIMEOUT_MS}", "journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON")
_INSERTS = {"sqlite": insert}


class Begin(Enum):
    """How a transaction opens: SQLite's writers queue at the start, so that none reads what another then changes."""

    READ = ("PRAGMA query_only=ON", "BEGIN")
    WRITE = ("PRAGMA query_only=OFF", "BEGIN IMMEDIATE")


def open_engine(url: str) -> Engine:
    """Open an engine; nothing is connected yet.

    Raises:
        ConfigurationError: The URL is none that this version stores in.
    """
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise ConfigurationError(f'"{url[:40]}" is no database URL', hint="sqlite:////path/to/registry.db") from error
    if parsed.get_backend_name() != "sqlite":
        raise ConfigurationError(
            f'the database "{parsed.get_backend_name()}" is not one that this version stores in',
            hint="leave REGALIA_SERVER_DATABASE out: the embedded SQLite is used",
        )
    engine = create_engine(parsed, pool_size=8, max_overflow=56, pool_timeout=30)
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    return engine


@contextmanager
def transaction(engine: Engine, begin: Begin) -> Iterator[Connection]:
    """Run a transaction: commit on leaving, roll back on an exception; its library's errors become ours."""
    try:
        with engine.connect().execution_options(regalia_begin=begin) as connection, connection.begin():
            yield connection
    except ProgrammingError:
        raise  # a statement of ours is wrong: nobody's data, and no retry, makes it right
    except DBAPIError as error:
        if begin is Begin.READ and _code(error) == sqlite3.SQLITE_READONLY:
            raise RuntimeError("a read transaction wrote") from error
        raise _translated(error) from error


def insert_new(connection: Connection, table: Table, row: Mapping[str, object]) -> bool:
    """Insert a row, or say that a unique rule refused it; the transaction goes on either way."""
    statement = _INSERTS[connection.dialect.name](table).on_conflict_do_nothing()
    return connection.execute(statement, row).rowcount == 1


def insert_missing(connection: Connection, table: Table, rows: Sequence[Mapping[str, object]]) -> None:
    """Insert those of many rows that no unique rule refuses."""
    if rows:
        connection.execute(_INSERTS[connection.dialect.name](table).on_conflict_do_nothing(), list(rows))


def replace_older(connection: Connection, table: Table, rows: Sequence[Mapping[str, object]], *, by: str) -> None:
    """Insert rows, each in place of the one of its key unless that one's `by` is later."""
    statement = _INSERTS[connection.dialect.name](table)
    changing = {column.name: statement.excluded[column.name] for column in table.columns if not column.primary_key}
    is_older = table.c[by] <= statement.excluded[by]
    keys = [column.name for column in table.primary_key]
    connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=changing, where=is_older), rows)


class Changes:
    """Whether anything was committed: SQLite's own counter, read on a connection that never writes."""

    def __init__(self, engine: Engine) -> None:
        """Open nothing yet."""
        self._path = str(engine.url.database)
        self._lock = Lock()
        self._connection: sqlite3.Connection | None = None

    def version(self) -> int:
        """Give a number that differs once anything was committed, by any process."""
        try:
            with self._lock:
                if self._connection is None:
                    self._connection = sqlite3.connect(
                        self._path, isolation_level=None, check_same_thread=False, uri=True
                    )
                return int(self._connection.execute("PRAGMA data_version").fetchone()[0])
        except sqlite3.Error as error:
            raise UnavailableError("the registry's database did not answer", hint="see the registry's log") from error

    def close(self) -> None:
        """Let go of the connection."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None


def _prepare(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # the driver would otherwise open transactions of its own, too late to be safe
    for pragma in _PRAGMAS:
        try:
            connection.execute(f"PRAGMA {pragma}")
        except sqlite3.OperationalError:
            if "journal_mode" not in pragma:  # a read-only database keeps its mode; reading goes on
                raise


def _begin(connection: Connection) -> None:
    begin: Begin = connection.get_execution_options().get("regalia_begin", Begin.READ)
    for statement in begin.value:
        connection.exec_driver_sql(statement)


def _translated(error: DBAPIError) -> RegaliaError:
    told, kind = str(error.orig), _code(error) & 0xFF  # SQLite's extended codes keep the plain one in the low byte
    if kind == sqlite3.SQLITE_FULL:
        return StorageFullError("the registry's disk is full", hint="make room; nothing of this request was stored")
    if kind == sqlite3.SQLITE_READONLY:
        return UnavailableError(
            "the registry's database is read-only", hint="reading goes on; writing needs a writable data folder"
        )
    if isinstance(error, IntegrityError):
        return ConflictError(f"the registry's database refused: {told}", hint="look at what is there and try again")
    return UnavailableError(f"the registry's database did not answer: {told}", hint="try again in a moment")


def _code(error: DBAPIError) -> int:
    return int(getattr(error.orig, "sqlite_errorcode", 0))
