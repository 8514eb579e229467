"""Bringing a database to the tables that this version reads."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.exc import DBAPIError

from regalia.core.errors import ConfigurationError
from regalia_registry.adapters.sql.engine import open_engine

_PACKAGE = Path(__file__).parents[2]


def migrations_folder() -> Path:
    """Find the migrations: packaged in a wheel, else the checkout's."""
    packaged = _PACKAGE / "migrations"
    return packaged if packaged.is_dir() else _PACKAGE.parent.parent / "migrations"


def upgrade(url: str) -> None:
    """Run the migrations that the database lacks; each in its own transaction.

    Raises:
        ConfigurationError: The database is of a later version, or can't be written.
    """
    config = Config()
    config.set_main_option("script_location", str(migrations_folder()).replace("%", "%%"))
    engine = open_engine(url)
    try:
        with engine.connect() as connection:
            current = MigrationContext.configure(connection).get_current_revision()
        known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
        if current is not None and current not in known:
            raise ConfigurationError(
                f'the database has the schema "{current}", which this version does not know',
                hint="it was used by a later version of regalia: run that one",
            )
        with engine.connect() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            connection.commit()
    except DBAPIError as error:
        raise ConfigurationError(
            f"the database can't be prepared: {error.orig}", hint="check that the data folder can be written"
        ) from error
    finally:
        engine.dispose()
