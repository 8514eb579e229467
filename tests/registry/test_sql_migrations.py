"""The database becomes what the tables say, from a checkout and from a wheel."""

import logging
import sqlite3
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from regalia.core.errors import ConfigurationError
from regalia_registry.adapters.sql.engine import open_engine
from regalia_registry.adapters.sql.migrate import check, migrations_folder, upgrade
from regalia_registry.adapters.sql.tables import Artifact

CHECKOUT = Path(__file__).parents[2]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "registry.db"


@pytest.fixture
def url(path: Path) -> str:
    return f"sqlite:///{path}"


def set_revision(path: Path, revision: str) -> None:
    connection = sqlite3.connect(path)
    connection.execute("UPDATE alembic_version SET version_num = ?", (revision,))
    connection.commit()
    connection.close()


def test_the_migrations_make_the_tables(url: str) -> None:
    upgrade(url)

    engine = open_engine(url)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        differences = compare_metadata(context, Artifact.metadata)
    engine.dispose()
    assert differences == []


def test_a_migrated_database_is_accepted(url: str) -> None:
    upgrade(url)

    check(url)


def test_migrating_twice_changes_nothing(url: str, path: Path) -> None:
    upgrade(url)
    before = path.read_bytes()

    upgrade(url)

    assert path.read_bytes() == before


def test_a_database_that_was_never_migrated_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r'has the schema "nothing", expected "\d{4}"'):
        check(url)


def test_a_database_of_a_later_version_is_neither_migrated_nor_accepted(url: str, path: Path) -> None:
    upgrade(url)
    set_revision(path, "9999")

    with pytest.raises(ConfigurationError, match='"9999", which this version does not know'):
        upgrade(url)
    with pytest.raises(ConfigurationError, match='"9999", which this version does not know'):
        check(url)


def test_a_file_that_is_no_database_is_refused(url: str, path: Path) -> None:
    path.write_bytes(b"no database, but long enough to be read as one" * 100)

    with pytest.raises(ConfigurationError, match="the database can't be prepared"):
        upgrade(url)
    with pytest.raises(ConfigurationError, match="the database can't be opened"):
        check(url)


def test_migrating_leaves_logging_as_it_is(url: str) -> None:
    before = (logging.getLogger().handlers[:], logging.getLogger().level, logging.getLogger("alembic").level)

    upgrade(url)

    assert (logging.getLogger().handlers[:], logging.getLogger().level, logging.getLogger("alembic").level) == before


def test_a_checkout_migrates_from_its_own_folder() -> None:
    assert migrations_folder() == CHECKOUT / "migrations"


def test_an_installed_wheel_migrates_from_the_folder_it_carries(tmp_path: Path) -> None:
    package = tmp_path / "site-packages" / "regalia_registry"
    (package / "migrations").mkdir(parents=True)

    assert migrations_folder(package) == package / "migrations"
