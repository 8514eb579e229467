"""Bringing a database to the tables that this version reads."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from regalia.core.errors import ConfigurationError, UnavailableError
from regalia_registry.adapters.sql.dialect import Begin, Finding
from regalia_registry.adapters.sql.engine import Database, open_database, transaction

_SECRETS = ("password", "sslpassword")  # where libpq takes them too
_PACKAGE = Path(__file__).parents[2]


def migrations_folder(package: Path = _PACKAGE) -> Path:
    """Find the migrations: packaged in a wheel, else the checkout's."""
    packaged = package / "migrations"
    return packaged if packaged.is_dir() else package.parent.parent / "migrations"


def upgrade(url: str, *, to: str = "head") -> None:
    """Run the migrations that the database lacks, all or none; of two that do so at once, one waits for the other.

    Raises:
        ConfigurationError: The database is of a later version, or can't be written or reached.
    """
    config = _configured()
    with _opened(url) as database, _told("prepared"):
        current = _require_suitable(database)
        _require_known(current, config)
        if current == _head(config):
            return  # a database that can only be read is served too
        with transaction(database, Begin.MIGRATE) as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, to)


def check(url: str) -> None:
    """Refuse a database whose tables are not those that this version reads.

    Raises:
        ConfigurationError: It is of an earlier or a later version, or can't be opened.
    """
    config = _configured()
    with _opened(url) as database, _told("opened"):
        database.dialect.require_there(database.engine.url)
        current = _require_suitable(database)
    _require_current(current, config)


def examine(url: str) -> Sequence[Finding]:
    """Say all that can be said of a database and its tables; what is wrong with it is a finding, not an error.

    Raises:
        ConfigurationError: The URL is none.
    """
    with _opened(url) as database:
        address = database.engine.url.difference_update_query(_SECRETS).render_as_string()  # without its password
        try:
            database.dialect.require_there(database.engine.url)
            with transaction(database, Begin.READ) as connection:
                found = [Finding("database", address), *database.dialect.examine(connection)]
                if any(one.is_fatal for one in found):
                    return found
                return [*found, _about_tables(_revision(connection))]
        except UnavailableError as error:
            return [Finding("database", error.message, error.hint, is_fatal=True)]


def _about_tables(current: str | None) -> Finding:
    try:
        _require_current(current, _configured())
    except ConfigurationError as error:
        return Finding("tables", error.message, error.hint, is_fatal=True)
    return Finding("tables", f'the schema "{current}"')


@contextmanager
def _opened(url: str) -> Iterator[Database]:
    database = open_database(url)
    try:
        yield database
    finally:
        database.engine.dispose()


@contextmanager
def _told(what: str) -> Iterator[None]:
    """Take for a fault of the settings what passes by itself in a service that runs."""
    try:
        yield
    except UnavailableError as error:
        raise ConfigurationError(f"the database can't be {what}: {error.message}", hint=error.hint) from error


def _configured() -> Config:
    config = Config()
    config.set_main_option("script_location", str(migrations_folder()).replace("%", "%%"))
    return config


def _require_suitable(database: Database) -> str | None:
    """Give the revision of a database that a registry can use."""
    with transaction(database, Begin.READ) as connection:
        for found in database.dialect.examine(connection):
            if found.is_fatal:
                raise UnavailableError(found.told, hint=found.hint)
        return _revision(connection)


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _head(config: Config) -> str | None:
    return ScriptDirectory.from_config(config).get_current_head()


def _require_known(current: str | None, config: Config) -> None:
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if current is not None and current not in known:
        raise ConfigurationError(
            f'the database has the schema "{current}", which this version does not know',
            hint="it was used by a later version of regalia: run that one",
        )


def _require_current(current: str | None, config: Config) -> None:
    _require_known(current, config)
    head = _head(config)
    if current != head:
        raise ConfigurationError(
            f'the database has the schema "{current or "nothing"}", expected "{head}"',
            hint="reg serve migrates it at its start, and so does: reg admin migrate",
        )
