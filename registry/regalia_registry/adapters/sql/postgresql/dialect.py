"""PostgreSQL: writers queue at one row, which also tells readers that something was committed."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from sqlalchemy import URL, Connection, Engine, create_engine
from sqlalchemy.exc import DBAPIError, ProgrammingError

from regalia.core.errors import ConfigurationError, RegaliaError
from regalia_registry.adapters.sql.dialect import Begin, Finding
from regalia_registry.adapters.sql.postgresql.changes import PostgresqlChanges
from regalia_registry.adapters.sql.postgresql.errors import state_of, translated
from regalia_registry.adapters.sql.postgresql.examining import examine

_DRIVERS = frozenset({"postgresql", "postgresql+psycopg"})
_CONNECT = {
    "application_name": "regalia",
    "connect_timeout": "5",
    "keepalives_idle": "15",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "15000",
}
_UNPREPARED = {"prepare_threshold": None}  # a pooler gives the next transaction another session
_LOOKING = {"connect_timeout": "2", "autocommit": True}
_PATIENCE = "SET LOCAL idle_in_transaction_session_timeout = '30s'; SET LOCAL statement_timeout = '30s'"
_WRITING = f"BEGIN ISOLATION LEVEL READ COMMITTED; {_PATIENCE}; SET LOCAL lock_timeout = '10s'"
# Whoever writes replaces this row first. That keeps the next writer waiting until the end, whatever it came to, and
# shows the new mark at the moment of the commit. A mark is random: one of a lost commit never comes again. Who tells
# workers alone locks the row and replaces the mark of another; who tells nobody locks it and leaves it as it is.
_MARK = "hashtextextended(gen_random_uuid()::text, 0)"
_REPLACED = (
    f"INSERT INTO last_change (id, mark) VALUES ({{row}}, {_MARK}) "  # noqa: S608 # constants of ours
    "ON CONFLICT (id) DO UPDATE SET mark = excluded.mark"
)
_QUEUE, _ACTIVE = (_REPLACED.format(row=row) for row in (1, 2))
_MIGRATORS = 0x72656761  # "rega": the advisory lock of whoever changes the tables


class PostgresqlDialect:
    """PostgreSQL 14 and later through psycopg 3."""

    begins: ClassVar[Mapping[Begin, Sequence[str]]] = {
        Begin.READ: (f"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; {_PATIENCE}",),
        Begin.WRITE: (f"{_WRITING}; {_QUEUE}",),
        Begin.WORK: (f"{_WRITING}; {_QUEUE} WHERE false; {_ACTIVE}",),
        Begin.SILENT: (f"{_WRITING}; {_QUEUE} WHERE false",),
        Begin.MIGRATE: (
            f"BEGIN; SET LOCAL lock_timeout = '10min'; SELECT pg_advisory_xact_lock({_MIGRATORS}); "
            "SET LOCAL lock_timeout = '2s'",  # a table that is in use is not kept from everybody for longer
        ),
    }

    clock = "SELECT clock_timestamp()"

    def make_engine(self, url: URL) -> Engine:
        """Make an engine of connections that open no transaction of their own.

        Raises:
            ConfigurationError: The URL names another driver.
        """
        if url.drivername not in _DRIVERS:
            raise ConfigurationError(
                f'the database\'s URL names the driver "{url.drivername}"', hint="write postgresql+psycopg://"
            )
        return create_engine(
            url.set(drivername="postgresql+psycopg"),
            isolation_level="AUTOCOMMIT",
            connect_args={name: value for name, value in _CONNECT.items() if name not in url.query} | _UNPREPARED,
            pool_size=5,
            max_overflow=10,
            pool_timeout=10,
            pool_recycle=1800,
            hide_parameters=True,
        )

    def require_there(self, url: URL) -> None:
        """Do nothing: no look makes a database there."""

    def is_refused_write(self, error: DBAPIError) -> bool:
        """Say whether the transaction was READ ONLY."""
        return state_of(error.orig) == "25006"

    def translated(self, error: DBAPIError) -> RegaliaError | None:
        """Read the server's codes, and libpq's words where there are none."""
        return translated(error.orig, is_ours=isinstance(error, ProgrammingError))

    def examine(self, connection: Connection) -> Sequence[Finding]:
        """Look at the server, and at what the registry's role may do."""
        return examine(connection)

    def changes(self, engine: Engine) -> PostgresqlChanges:
        """Watch the rows that writers replace."""
        _, named = engine.dialect.create_connect_args(engine.url)
        return PostgresqlChanges({**_CONNECT, **named, **_LOOKING})
