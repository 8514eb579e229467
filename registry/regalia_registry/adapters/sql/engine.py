"""The database behind the store: transactions on it, and the few statements that SQL spells in its dialects."""

import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, Engine, Table, and_, event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from regalia.core.errors import BusyError, ConfigurationError
from regalia_registry.adapters.sql.dialect import Begin, Changes, Dialect

# The name in the URL → who knows that database. A driver is loaded by the process that needs it, and by no other.
_DIALECTS = {
    "sqlite": ("regalia_registry.adapters.sql.sqlite", "SqliteDialect"),
    "postgresql": ("regalia_registry.adapters.sql.postgresql.dialect", "PostgresqlDialect"),
}
_INSERTS: Mapping[str, Callable[[Table], postgresql.Insert | sqlite.Insert]] = {
    "sqlite": sqlite.insert,
    "postgresql": postgresql.insert,
}
_EXAMPLES = "sqlite:////path/to/registry.db, or postgresql+psycopg://user@host/database"


@dataclass(frozen=True, slots=True)
class Database:
    """An engine, and what its database needs of its own."""

    engine: Engine
    dialect: Dialect

    def changes(self) -> Changes:
        """Watch for commits."""
        return self.dialect.changes(self.engine)


def open_database(url: str) -> Database:
    """Open a database; nothing is connected yet.

    Raises:
        ConfigurationError: The URL is none that this version stores in, or its driver is not installed.
    """
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise ConfigurationError("the database's URL is none", hint=f"REGALIA_SERVER_DATABASE: {_EXAMPLES}") from error
    name = parsed.get_backend_name()
    if name not in _DIALECTS:
        raise ConfigurationError(
            f'the database "{name}" is not one that this version stores in',
            hint=f"leave REGALIA_SERVER_DATABASE out for the embedded SQLite; it may be {_EXAMPLES}",
        )
    dialect = _load(*_DIALECTS[name])
    engine = dialect.make_engine(parsed)

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        for statement in dialect.begins[connection.get_execution_options().get("regalia_begin", Begin.READ)]:
            connection.exec_driver_sql(statement)

    return Database(engine, dialect)


@contextmanager
def transaction(database: Database, begin: Begin) -> Iterator[Connection]:
    """Run a transaction: commit on leaving, roll back on an exception; its library's errors become ours."""
    try:
        with database.engine.connect().execution_options(regalia_begin=begin) as connection:
            _begin(connection)
            yield connection
            connection.commit()
    except PoolTimeoutError as error:
        raise BusyError("all connections to the database are in use", hint="try again in a moment") from error
    except DBAPIError as error:
        if begin is Begin.READ and database.dialect.is_refused_write(error):
            raise RuntimeError("a read transaction wrote") from error
        translated = database.dialect.translated(error)
        if translated is None:
            raise
        raise translated from error


def insert_new(connection: Connection, table: Table, row: Mapping[str, object]) -> bool:
    """Insert a row, or say that a unique rule refused it; the transaction goes on either way."""
    statement = _INSERTS[connection.dialect.name](table).on_conflict_do_nothing()
    return connection.execute(statement, row, execution_options={"preserve_rowcount": True}).rowcount == 1


def insert_missing(connection: Connection, table: Table, rows: Sequence[Mapping[str, object]]) -> None:
    """Insert those of many rows that no unique rule refuses."""
    if rows:
        statement = _INSERTS[connection.dialect.name](table).on_conflict_do_nothing()
        connection.execute(statement, list(rows))


def replace_older(
    connection: Connection,
    table: Table,
    rows: Sequence[Mapping[str, object]],
    *,
    by: str,
    where: ColumnElement[bool] | None = None,
) -> None:
    """Insert rows, each in place of the one of its key unless that one's `by` is later or `where` is false of it."""
    statement = _INSERTS[connection.dialect.name](table)
    changing = {column.name: statement.excluded[column.name] for column in table.columns if not column.primary_key}
    is_older = table.c[by] <= statement.excluded[by]
    is_replaced = is_older if where is None else and_(is_older, where)
    keys = [column.name for column in table.primary_key]
    connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=changing, where=is_replaced), rows)


def _begin(connection: Connection) -> None:
    """Open its transaction, once more where an idle connection turns out to be cut: nothing was asked on it yet."""
    try:
        connection.begin()
    except DBAPIError as error:
        if not error.connection_invalidated:
            raise
        connection.begin()


def _load(module: str, name: str) -> Dialect:
    try:
        dialect: Dialect = getattr(importlib.import_module(module), name)()
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f'the database\'s driver "{error.name}" is not installed', hint="pip install 'regalia[server]'"
        ) from error
    return dialect
