"""The database becomes what the tables say, from a checkout and from a wheel, on both databases."""

import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import insert, inspect, text

from regalia.core.errors import ConfigurationError
from regalia_registry.adapters.sql.dialect import Begin
from regalia_registry.adapters.sql.engine import Database, open_database, transaction
from regalia_registry.adapters.sql.migrate import check, migrations_folder, upgrade
from regalia_registry.adapters.sql.store import SqlStore
from regalia_registry.adapters.sql.tables import Artifact
from tests.servers.postgres import Catalogs, plain
from tests.support.records import APPLICATION, PROMPT, artifact, bundle, changing, hold

CHECKOUT = Path(__file__).parents[2]
PREVIOUS = "0008"  # before PostgreSQL


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "registry.db"


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, path: Path) -> str:
    if request.param == "postgresql":
        catalogs: Catalogs = request.getfixturevalue("catalogs")
        return catalogs.make()
    return f"sqlite:///{path}"


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    made = open_database(url)
    yield made
    made.engine.dispose()


def set_revision(database: Database, revision: str) -> None:
    with transaction(database, Begin.MIGRATE) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = :revision"), {"revision": revision})


def revision_of(database: Database) -> str | None:
    with transaction(database, Begin.READ) as connection:
        return MigrationContext.configure(connection).get_current_revision()


def fill_previous(database: Database) -> None:
    """Store what a registry of the previous schema has."""
    rows: dict[str, dict[str, object]] = {
        "artifact_name": {"namespace": "acme", "kind": "prompt", "name": "customer_support"},
        "artifact": {
            "namespace": "acme",
            "kind": "prompt",
            "name": "customer_support",
            "version": "1.0.0",
            "sort_key": "b1.b0.b0~",
            "digest": artifact("1.0.0").digest.hex,
            "fingerprint": artifact("1.0.0").fingerprint.hex,
            "pushed_at": "2026-03-15T12:00:00Z",
            "manifest": artifact("1.0.0").manifest,
        },
        "bundle_hold": {
            "application": str(APPLICATION),
            "bundle": bundle("2.3.1").digest.hex,
            "version": "2.3.1",
            "reason": "INC-42",
            "held_at": "2026-03-15T12:00:00Z",
            "held_by": "actor-1",
        },
    }
    with transaction(database, Begin.MIGRATE) as connection:
        for name, row in rows.items():
            connection.execute(insert(Artifact.metadata.tables[name]), row)


def test_the_migrations_make_the_tables(url: str, database: Database) -> None:
    upgrade(url)

    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        differences = compare_metadata(context, Artifact.metadata)
    assert differences == []


def test_a_migrated_database_is_accepted(url: str) -> None:
    upgrade(url)

    check(url)


def test_what_a_database_of_the_previous_schema_holds_is_kept(url: str, database: Database) -> None:
    upgrade(url, to=PREVIOUS)
    fill_previous(database)

    upgrade(url)

    with closing(SqlStore.open(url)) as store:
        with changing(store) as tx:
            tx.artifacts.add(artifact("1.1.0"))
        with store.read() as tx:
            versions = [one.version for one in tx.artifacts.versions(PROMPT, after=None, limit=9)]
            found = tx.artifacts.get(PROMPT, version="1.0.0")
            assert (versions, found, tx.holds.list(APPLICATION)) == (
                ["1.1.0", "1.0.0"],
                artifact("1.0.0"),
                [hold("2.3.1")],
            )


def test_a_database_of_the_previous_schema_is_refused_until_it_is_migrated(url: str) -> None:
    upgrade(url, to=PREVIOUS)

    with pytest.raises(ConfigurationError, match=rf'has the schema "{PREVIOUS}", expected "\d{{4}}"') as caught:
        check(url)
    assert "reg admin migrate" in caught.value.hint


def test_migrating_twice_changes_nothing(url: str, path: Path) -> None:
    upgrade(url)
    before = path.read_bytes() if path.exists() else b""

    upgrade(url)

    assert (path.read_bytes() if path.exists() else b"") == before


def test_of_many_who_migrate_at_once_each_finds_it_done(url: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        done = [pool.submit(upgrade, url) for _ in range(4)]
        for one in done:
            one.result()

    check(url)


def test_a_migration_waits_for_no_table_that_is_in_use(catalogs: Catalogs) -> None:
    url = catalogs.make()
    upgrade(url, to=PREVIOUS)
    database = open_database(url)

    with psycopg.connect(plain(url)) as reader:
        reader.execute("SELECT count(*) FROM artifact")
        with pytest.raises(ConfigurationError, match="is kept by another change"):
            upgrade(url)
        with database.engine.connect() as connection:
            is_there = inspect(connection).has_table("last_change")

    assert (is_there, revision_of(database)) == (False, PREVIOUS)
    database.engine.dispose()


def test_a_database_that_was_never_migrated_is_refused(url: str, database: Database) -> None:
    with transaction(database, Begin.READ):  # it is there
        pass

    with pytest.raises(ConfigurationError, match=r'has the schema "nothing", expected "\d{4}"'):
        check(url)


def test_a_database_of_a_later_version_is_neither_migrated_nor_accepted(url: str, database: Database) -> None:
    upgrade(url)
    set_revision(database, "9999")

    with pytest.raises(ConfigurationError, match='"9999", which this version does not know'):
        upgrade(url)
    with pytest.raises(ConfigurationError, match='"9999", which this version does not know'):
        check(url)


def test_a_file_that_is_no_database_is_refused(path: Path) -> None:
    path.write_bytes(b"no database, but long enough to be read as one" * 100)

    with pytest.raises(ConfigurationError, match="the database can't be prepared"):
        upgrade(f"sqlite:///{path}")
    with pytest.raises(ConfigurationError, match="the database can't be opened"):
        check(f"sqlite:///{path}")


def test_a_role_that_may_make_no_tables_is_told(catalogs: Catalogs) -> None:
    url = catalogs.make()
    catalogs.execute("DROP ROLE IF EXISTS guest", "CREATE ROLE guest LOGIN")

    with pytest.raises(ConfigurationError, match="denies a right: permission denied for schema public"):
        upgrade(url.replace("regalia@", "guest@", 1))


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
