"""The catalog in one SQLite file: a write-ahead log that readers pass, and one writer at a time."""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import ClassVar

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError, IntegrityError, ProgrammingError

from regalia.core.errors import ConflictError, RegaliaError, StorageFullError, UnavailableError
from regalia_registry.adapters.sql.dialect import Begin, Finding

_BUSY_TIMEOUT_MS = 10_000
_PRAGMAS = (f"busy_timeout={_BUSY_TIMEOUT_MS}", "journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON")
_WRITE = ("PRAGMA query_only=OFF", "BEGIN IMMEDIATE")
_MARK = "INSERT INTO last_change (id, mark) VALUES (1, random()) ON CONFLICT (id) DO UPDATE SET mark = excluded.mark"


class SqliteDialect:
    """SQLite through Python's own driver."""

    begins: ClassVar[Mapping[Begin, Sequence[str]]] = {
        Begin.READ: ("PRAGMA query_only=ON", "BEGIN"),
        Begin.WRITE: (*_WRITE, _MARK),
        Begin.WORK: _WRITE,
        Begin.SILENT: _WRITE,
        Begin.MIGRATE: _WRITE,
    }

    clock = None

    def make_engine(self, url: URL) -> Engine:
        """Make an engine of durable, strict connections."""
        engine = create_engine(url, pool_size=8, max_overflow=56, pool_timeout=30, hide_parameters=True)
        event.listen(engine, "connect", _prepare)
        return engine

    def require_there(self, url: URL) -> None:
        """Look for the file."""
        if url.database and not Path(url.database).exists():
            raise UnavailableError(
                f'there is no "{url.database}"',
                hint="reg serve makes it when it starts, and so does: reg admin migrate",
            )

    def is_refused_write(self, error: DBAPIError) -> bool:
        """Say whether `query_only` refused it."""
        return _code(error) == sqlite3.SQLITE_READONLY

    def translated(self, error: DBAPIError) -> RegaliaError | None:
        """Read SQLite's codes."""
        told, kind = str(error.orig), _code(error) & 0xFF  # its extended codes keep the plain one in the low byte
        if isinstance(error, ProgrammingError):
            return None
        if kind == sqlite3.SQLITE_FULL:
            return StorageFullError("the registry's disk is full", hint="make room; nothing of this request was stored")
        if kind == sqlite3.SQLITE_READONLY:
            return UnavailableError(
                "the registry's database is read-only", hint="reading goes on; writing needs a writable data folder"
            )
        if isinstance(error, IntegrityError):
            return ConflictError(f"the registry's database refused: {told}", hint="look at what is there and try again")
        return UnavailableError(f"the registry's database did not answer: {told}", hint="try again in a moment")

    def examine(self, connection: Connection) -> Sequence[Finding]:
        """Say its version; a file that can be opened suits."""
        return [Finding("version", f"SQLite {connection.exec_driver_sql('SELECT sqlite_version()').scalar_one()}")]

    def changes(self, engine: Engine) -> "SqliteChanges":
        """Watch the file."""
        return SqliteChanges(str(engine.url.database))


class SqliteChanges:
    """Whether anything was committed: SQLite's counter, and behind it the mark, on a connection that never writes."""

    def __init__(self, path: str) -> None:
        """Open nothing yet."""
        self._path = path
        self._lock = Lock()
        self._connection: sqlite3.Connection | None = None
        self._seen: tuple[int, int] | None = None

    def version(self) -> int:
        """Give the mark of the last change, by any process; it is read again where the counter moved, in some 10 µs."""
        with self._lock, self._opened() as connection:
            counted = _counted(connection)
            if self._seen is None or self._seen[0] != counted:
                row = connection.execute("SELECT mark FROM last_change WHERE id = 1").fetchone()
                self._seen = counted, 0 if row is None else int(row[0])
            return self._seen[1]

    def activity(self) -> int:
        """Give SQLite's counter of commits, by any process."""
        with self._lock, self._opened() as connection:
            return _counted(connection)

    def close(self) -> None:
        """Let go of the connection."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = self._seen = None

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        try:
            if self._connection is None:
                self._connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False, uri=True)
            yield self._connection
        except sqlite3.Error as error:
            raise UnavailableError("the registry's database did not answer", hint="see the registry's log") from error


def _counted(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA data_version").fetchone()[0])


def _prepare(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # the driver would otherwise open transactions of its own, too late to be safe
    for pragma in _PRAGMAS:
        try:
            connection.execute(f"PRAGMA {pragma}")
        except sqlite3.OperationalError:
            if "journal_mode" not in pragma:  # a read-only database keeps its mode; reading goes on
                raise


def _code(error: DBAPIError) -> int:
    return int(getattr(error.orig, "sqlite_errorcode", 0))
