"""Bringing a database to the tables that this version reads."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from regalia.core.errors import ConfigurationError
from regalia_registry.adapters.sql.engine import Begin, open_engine

_PACKAGE = Path(__file__).parents[2]


def migrations_folder(package: Path = _PACKAGE) -> Path:
    """Find the migrations: packaged in a wheel, else the checkout's."""
    packaged = package / "migrations"
    return packaged if packaged.is_dir() else package.parent.parent / "migrations"


def upgrade(url: str) -> None:
    """Run the migrations that the database lacks, all or none.

    Raises:
        ConfigurationError: The database is of a later version, or can't be written.
    """
    config = _configured()
    engine = open_engine(url)
    try:
        current = _revision(engine)
        _require_known(current, config)
        if current == ScriptDirectory.from_config(config).get_current_head():
            return  # a database that can only be read is served too
        with engine.connect().execution_options(regalia_begin=Begin.WRITE) as connection, connection.begin():
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    except DBAPIError as error:
        raise ConfigurationError(
            f"the database can't be prepared: {error.orig}", hint="check that the data folder can be written"
        ) from error
    finally:
        engine.dispose()


def check(url: str) -> None:
    """Refuse a database whose tables are not those that this version reads.

    Raises:
        ConfigurationError: It is of an earlier or a later version, or can't be opened.
    """
    config = _configured()
    engine = open_engine(url)
    try:
        current = _revision(engine)
    except DBAPIError as error:
        raise ConfigurationError(f"the database can't be opened: {error.orig}") from error
    finally:
        engine.dispose()
    _require_known(current, config)
    head = ScriptDirectory.from_config(config).get_current_head()
    if current != head:
        raise ConfigurationError(
            f'the database has the schema "{current or "nothing"}", expected "{head}"',
            hint="reg serve migrates it at its start",
        )


def _configured() -> Config:
    config = Config()
    config.set_main_option("script_location", str(migrations_folder()).replace("%", "%%"))
    return config


def _revision(engine: Engine) -> str | None:
    with engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def _require_known(current: str | None, config: Config) -> None:
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if current is not None and current not in known:
        raise ConfigurationError(
            f'the database has the schema "{current}", which this version does not know',
            hint="it was used by a later version of regalia: run that one",
        )
