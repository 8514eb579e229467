"""A catalog that is copied into another database is the same there, or the copy says that it is not."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from regalia.core.errors import ConflictError, RegaliaError
from regalia_registry.adapters.sql.copying import CopiedTable, copy_catalog
from regalia_registry.adapters.sql.migrate import upgrade
from regalia_registry.adapters.sql.store import SqlStore
from tests.servers.postgres import TABLES, Catalogs
from tests.support.records import APPLICATION, PROMPT, artifact, changing, deployment, digest, entry, hold, pointer
from tests.support.statements import move_and_read_everything, read_everything


@pytest.fixture
def source(tmp_path: Path) -> str:
    """Give a catalog with something of most things in it."""
    url = f"sqlite:///{tmp_path / 'registry.db'}"
    upgrade(url)
    with closing(SqlStore.open(url)) as store, changing(store) as tx:
        read_everything(tx)
        move_and_read_everything(tx)
        tx.holds.add(hold("2.3.1"))
        tx.audit.record(entry(record=deployment()))
        for number in range(1200):
            tx.artifacts.add(artifact(f"2.0.{number}"))
        tx.blobs.link("acme", sizes={digest(str(number)): number for number in range(5)})
    return url


@pytest.fixture
def target(catalogs: Catalogs) -> str:
    return catalogs.migrated("copies")


def rows(copied: list[CopiedTable]) -> dict[str, int]:
    return {table.name: table.rows for table in copied if table.rows}


def test_every_table_is_copied_and_reads_alike(source: str, target: str) -> None:
    copied = list(copy_catalog(source, target))

    pages = []
    for url in (source, target):
        with closing(SqlStore.open(url)) as store, store.read() as tx:
            versions = tx.artifacts.versions(PROMPT, after="2.0.1100", limit=200)
            pages.append((tx.audit.list(after=None, limit=50), versions, tx.channels.find(APPLICATION, "prod")))
    assert pages[0] == pages[1]
    assert {table.name for table in copied} == set(TABLES) - {"last_change"}
    assert (rows(copied)["artifact"], rows(copied)["namespace_blob"]) == (1201, 6)


def test_a_copied_catalog_takes_changes(source: str, target: str) -> None:
    list(copy_catalog(source, target))

    with closing(SqlStore.open(target)) as store:
        with changing(store) as tx:
            assert tx.artifacts.add(artifact("3.0.0"))
        with store.read() as tx:
            assert tx.artifacts.versions(PROMPT, after=None, limit=1)[0].version == "3.0.0"


def test_a_copy_that_broke_off_is_gone_on_with(source: str, target: str) -> None:
    with sqlite3.connect(source.removeprefix("sqlite:///")) as connection:
        connection.execute("ALTER TABLE namespace_blob RENAME TO gone")
    with pytest.raises(RegaliaError, match="no such table"):
        list(copy_catalog(source, target))
    connection.execute("ALTER TABLE gone RENAME TO namespace_blob")
    connection.close()

    again = list(copy_catalog(source, target))

    assert rows(again)["artifact"] == 1201
    assert rows(list(copy_catalog(source, target))) == rows(again)


def test_a_database_with_other_rows_is_told_at_its_table(source: str, target: str) -> None:
    with closing(SqlStore.open(target)) as store, changing(store) as tx:
        tx.holds.add(hold("9.9.9"))

    with pytest.raises(ConflictError, match=r'the table "audit_entry" has 4 rows there and 3 here'):
        list(copy_catalog(source, target))


def test_a_row_that_changed_since_an_earlier_copy_is_told(source: str, target: str) -> None:
    list(copy_catalog(source, target))
    with closing(sqlite3.connect(source.removeprefix("sqlite:///"))) as connection:
        connection.execute("UPDATE channel SET pointer = ?", (pointer(1).identity.hex,))
        connection.commit()

    with pytest.raises(ConflictError, match='the table "channel" has 1 rows there and 1 here, or others'):
        list(copy_catalog(source, target))
