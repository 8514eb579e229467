"""What `reg admin check` finds in a database."""

from pathlib import Path

import psycopg
import pytest
from sqlalchemy import make_url

from regalia.core.errors import ConfigurationError
from regalia_registry.adapters.sql.migrate import check, examine, upgrade
from tests.servers.postgres import Catalogs, plain
from tests.servers.process import free_port


@pytest.fixture
def url(catalogs: Catalogs) -> str:
    return catalogs.migrated("examined")


def states(url: str) -> dict[str, str]:
    return {found.name: found.state for found in examine(url)}


def told(url: str, name: str) -> str:
    """Give what was found under a name, and what to do."""
    return next(f"{found.told}: {found.hint}" for found in examine(url) if found.name == name)


def test_a_migrated_database_suits(url: str) -> None:
    assert states(url) == {
        "database": "ok",
        "version": "ok",
        "encoding": "ok",
        "durability": "warning",  # the tests' server does not sync
        "rights": "ok",
        "tables": "ok",
    }


def test_a_migrated_sqlite_suits(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'registry.db'}"
    upgrade(url)

    assert states(url) == {"database": "ok", "version": "ok", "tables": "ok"}


def test_a_look_makes_no_database(tmp_path: Path) -> None:
    path = tmp_path / "registry.db"
    url = f"sqlite:///{path}"

    assert states(url) == {"database": "failed"}
    assert "reg admin migrate" in told(url, "database")
    with pytest.raises(ConfigurationError, match="there is no"):
        check(url)
    assert not path.exists()


def test_a_server_that_nobody_reaches_is_a_finding() -> None:
    url = f"postgresql://me:opensesame@127.0.0.1:{free_port()}/registry"

    assert states(url) == {"database": "failed"}
    assert "can't be reached" in told(url, "database")


def test_an_address_is_shown_without_its_passwords(url: str) -> None:
    with_passwords = plain(url).replace("regalia@", "regalia:opensesame@", 1) + "&password=opensesame"

    assert "opensesame" not in told(with_passwords, "database")


def test_tables_that_are_not_made_are_a_finding(catalogs: Catalogs) -> None:
    assert 'has the schema "nothing", expected' in told(catalogs.make(), "tables")


def test_a_database_of_another_encoding_is_refused_at_the_start(catalogs: Catalogs) -> None:
    url = catalogs.make("ENCODING 'LATIN1' TEMPLATE template0")

    assert states(url)["encoding"] == "failed"
    with pytest.raises(ConfigurationError, match="keeps texts as LATIN1, expected UTF8"):
        upgrade(url)


def test_a_database_that_can_only_be_read_is_a_warning(catalogs: Catalogs, url: str) -> None:
    name = make_url(url).database
    catalogs.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")

    found = told(url, "writing")

    catalogs.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only")
    assert found.startswith("default_transaction_read_only is on")


def test_a_right_that_is_missing_is_told_with_the_words_that_grant_it(catalogs: Catalogs, url: str) -> None:
    catalogs.execute("DROP ROLE IF EXISTS clerk", "CREATE ROLE clerk LOGIN")
    as_clerk = url.replace("regalia@", "clerk@", 1)

    before = told(as_clerk, "rights")
    with psycopg.connect(plain(url), autocommit=True) as owner:
        owner.execute(before.partition(": ")[2].encode())

    assert 'the role "clerk" may not read and write access_token, agent, alembic_version' in before
    assert (states(as_clerk)["rights"], states(as_clerk)["migrating"]) == ("ok", "warning")


def test_a_role_without_a_schema_is_told(catalogs: Catalogs) -> None:
    url = catalogs.make()
    with psycopg.connect(plain(url), autocommit=True) as owner:
        owner.execute("DROP SCHEMA public")

    assert states(url)["rights"] == "failed"
    with pytest.raises(ConfigurationError, match="finds no schema"):
        upgrade(url)
