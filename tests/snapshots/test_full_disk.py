"""A target whose disk is full: it is told in words, and what was loaded is gone on with once there is room."""

import shutil
import subprocess
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from regalia.core.errors import StorageFullError
from regalia_registry.adapters.memory.vectors import MemoryLedger
from regalia_registry.adapters.vectors.pgvector import places
from regalia_registry.adapters.vectors.pgvector.embedded import EmbeddedPostgres, wheel_binaries
from regalia_registry.adapters.vectors.pgvector.provider import PgvectorProvider, open_pgvector
from regalia_registry.domain.operations import Holder
from regalia_registry.domain.snapshots.rows import Row
from tests.servers import postgres
from tests.servers.process import free_port
from tests.support.disks import fill, small_disk

HOLDER = Holder("test", 1)
MADE = """
CREATE TABLE kb (id int PRIMARY KEY, body text, embedding vector(1));
INSERT INTO kb SELECT n, repeat(md5(n::text), 30), '[1]' FROM generate_series(1, 8000) n;
"""


def test_a_load_that_met_a_full_disk_goes_on_when_there_is_room(tmp_path: Path) -> None:
    with postgres.running(tmp_path / "postgres") as server, small_disk(server.folder / "small", megabytes=5) as small:
        shutil.chown(small, server.folder.owner())
        with psycopg.connect(server.url.replace("regalia@", "postgres@", 1), autocommit=True) as superuser:
            superuser.execute(MADE)
            superuser.execute(f"CREATE TABLESPACE small LOCATION '{small}'")
            superuser.execute(
                "ALTER ROLE regalia SET default_tablespace = small; GRANT CREATE ON TABLESPACE small TO regalia"
            )
            superuser.execute("GRANT SELECT ON kb TO regalia")
        with closing(open_pgvector(server.url, holder=HOLDER)) as provider:
            schema, rows = provider.describe("kb").schema, rows_of(provider, "kb")
            groups = [rows[start : start + 1000] for start in range(0, len(rows), 1000)]
            provider.create("copy_1", schema, mark="test")

            with pytest.raises(StorageFullError, match="No space left on device") as caught:
                list(provider.load("copy_1", schema, groups, ledger=MemoryLedger()))
            subprocess.run(["mount", "-o", "remount,size=64m", str(small)], check=True)
            total = list(provider.load("copy_1", schema, groups, ledger=MemoryLedger()))[-1]

            assert "make room" in caught.value.hint
            assert (total, rows_of(provider, "copy_1")) == (len(rows), rows)
        server.stop()


def rows_of(provider: PgvectorProvider, name: str) -> list[Row]:
    with provider.open(name) as reading:
        return sorted(row for batch in reading.batches() for row in batch)


def write_until_it_ends(server: EmbeddedPostgres) -> None:
    with psycopg.connect(server.url, autocommit=True) as owner:
        owner.execute("CREATE TABLE more (body text)")
        while True:
            owner.execute("INSERT INTO more SELECT repeat(md5(n::text), 30) FROM generate_series(1, 8000) n")


def test_an_embedded_one_without_room_says_so_and_starts_once_there_is_some(tmp_path: Path) -> None:
    place = tmp_path / "postgres"
    server = EmbeddedPostgres(place, wheel_binaries())
    with small_disk(places.cluster_folder(place), megabytes=160) as disk:
        server.start()
        filler = fill(disk)
        with pytest.raises(psycopg.Error):
            write_until_it_ends(server)
        server.stop()

        with pytest.raises(StorageFullError):
            server.start()

        filler.unlink()
        server.start()
        with closing(open_pgvector(server.url, holder=HOLDER)) as provider:
            assert provider.check().warnings == ()
        server.stop()
    shutil.rmtree(server.folder, ignore_errors=True)


def test_settings_of_an_embedded_one_that_find_no_room_are_told(tmp_path: Path) -> None:
    place = tmp_path / "postgres"
    server = EmbeddedPostgres(place, wheel_binaries())
    with small_disk(places.cluster_folder(place), megabytes=160) as disk:
        server.start()
        server.stop()
        fill(disk)

        with pytest.raises(StorageFullError, match=r"settings can't be written: .*No space left on device"):
            EmbeddedPostgres(place, wheel_binaries(), port=free_port()).start()
    shutil.rmtree(server.folder, ignore_errors=True)


def test_an_embedded_one_that_has_no_room_from_the_start_says_so(tmp_path: Path) -> None:
    place = tmp_path / "postgres"
    with small_disk(places.cluster_folder(place), megabytes=5), pytest.raises(StorageFullError, match="can't be made"):
        EmbeddedPostgres(place, wheel_binaries()).start()
    shutil.rmtree(places.cluster_folder(place), ignore_errors=True)
