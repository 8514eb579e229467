"""Opening a database so that transactions mean what they say; the one file that knows which database it is."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from threading import Lock

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError

from regalia.core.errors import ConfigurationError, StorageFullError, UnavailableError

_BUSY_TIMEOUT_MS = 10_000
_PRAGMAS = ("journal_mode=WAL", "synchronous=FULL", f"busy_timeout={_BUSY_TIMEOUT_MS}", "foreign_keys=ON")


class Begin(StrEnum):
    """How a transaction opens: SQLite's writers queue at the start, so that none reads what another then changes."""

    READ = "BEGIN"
    WRITE = "BEGIN IMMEDIATE"


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
    except DBAPIError as error:
        raise _translated(error) from error


class Changes:
    """Whether anything was committed: SQLite's own counter, read on a connection that never writes."""

    def __init__(self, engine: Engine) -> None:
        """Open nothing yet."""
        self._path = str(engine.url.database)
        self._lock = Lock()
        self._connection: sqlite3.Connection | None = None

    def version(self) -> int:
        """Give a number that differs once anything was committed, by any process."""
        with self._lock:
            if self._connection is None:
                self._connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
            try:
                return int(self._connection.execute("PRAGMA data_version").fetchone()[0])
            except sqlite3.Error as error:
                raise UnavailableError(
                    "the registry's database did not answer", hint="see the registry's log"
                ) from error

    def close(self) -> None:
        """Let go of the connection."""
        if self._connection is not None:
            self._connection.close()


def _prepare(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # the driver would otherwise open transactions of its own, too late to be safe
    for pragma in _PRAGMAS:
        try:
            connection.execute(f"PRAGMA {pragma}")
        except sqlite3.OperationalError:
            if "journal_mode" not in pragma:  # a read-only database keeps its mode; reading goes on
                raise


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get("regalia_begin", Begin.READ))


def _translated(error: DBAPIError) -> UnavailableError:
    told = str(error.orig)
    if "full" in told:
        return StorageFullError("the registry's disk is full", hint="make room; nothing of this request was stored")
    if "readonly" in told or "read-only" in told:
        return UnavailableError(
            "the registry's database is read-only", hint="reading goes on; writing needs a writable data folder"
        )
    if isinstance(error, OperationalError):
        return UnavailableError(f"the registry's database did not answer: {told}", hint="try again in a moment")
    return UnavailableError(f"the registry's database refused: {told}", hint="see the registry's log")
