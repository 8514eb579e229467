"""The embedded PostgreSQL: who gets in, with which rights, and what a change of its settings does."""

import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from regalia.core.errors import AccessError, ConfigurationError, UnavailableError
from regalia_registry.adapters.memory.vectors import MemoryLedger
from regalia_registry.adapters.vectors.pgvector import places
from regalia_registry.adapters.vectors.pgvector.connection import connect
from regalia_registry.adapters.vectors.pgvector.embedded import EmbeddedPostgres, wheel_binaries
from regalia_registry.adapters.vectors.pgvector.provider import open_pgvector
from regalia_registry.domain.operations import Holder
from regalia_registry.domain.snapshots.rows import Row, encode_key
from tests.servers import postgres
from tests.servers.process import free_port

HOLDER = Holder("test", 1)
MADE = """
CREATE TABLE public.kb (id int PRIMARY KEY, embedding vector(1));
INSERT INTO public.kb VALUES (1, '[1]');
CREATE SCHEMA kb_a1b2c3d4;
CREATE TABLE kb_a1b2c3d4.kb (id int PRIMARY KEY, embedding vector(1));
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data") / "postgres"


@pytest.fixture(scope="module")
def server(place: Path) -> Iterator[EmbeddedPostgres]:
    with postgres.running(place, port=free_port()) as started:
        with psycopg.connect(started.url, autocommit=True) as owner:
            owner.execute(MADE)
        yield started


@pytest.fixture
def password(place: Path) -> str:
    return (place / places.PASSWORD_FILE).read_text()


@pytest.fixture
def reader(server: EmbeddedPostgres, password: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(server.agents_url, password=password, autocommit=True) as made:
        yield made


def pid_of(server: EmbeddedPostgres) -> int:
    return int((server.folder / "cluster" / "postmaster.pid").read_text().splitlines()[0])


@pytest.mark.parametrize("table", ["kb", "kb_a1b2c3d4.kb"])
def test_an_agent_reads_what_users_and_the_registry_made(reader: psycopg.Connection, table: str) -> None:
    assert reader.execute(f"SELECT id FROM {table} WHERE id > 1").fetchall() == []  # noqa: S608 # a name of the test


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO kb VALUES (2, '[1]')",
        "DROP TABLE kb",
        "CREATE TABLE mine (id int)",
        "CREATE SCHEMA mine",
        "CREATE TEMP TABLE mine (id int)",
        "COPY kb TO PROGRAM 'cat'",
        "SELECT pg_read_file('postgresql.conf')",
        "ALTER ROLE regalia_reader SUPERUSER",
        "SELECT rolpassword FROM pg_authid",
        "SET ROLE regalia",
        "SET ROLE postgres",
    ],
)
def test_an_agent_changes_nothing_and_gets_no_further(reader: psycopg.Connection, statement: str) -> None:
    reader.execute("SET default_transaction_read_only = off")

    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        reader.execute(statement.encode())


def test_an_agent_reads_what_the_registry_serves_and_where_it_leads_next(
    server: EmbeddedPostgres, reader: psycopg.Connection
) -> None:
    with closing(open_pgvector(server.url, holder=HOLDER)) as provider:
        schema, names = provider.describe("public.kb").schema, ("kb_e5f6g7h8", "kb_i9j0k1l2")
        for count, name in enumerate(names):
            rows = [Row(encode_key(number), (("embedding", struct.pack("<f", 1)),), b"{}") for number in range(count)]
            provider.create(name, schema, mark="test")
            list(provider.load(name, schema, [rows], ledger=MemoryLedger()))
            provider.seals.seal(name, mark="test")

        found = []
        for name in names:
            provider.aliases.set("served", name)
            found.append(reader.execute("SELECT count(*) FROM served").fetchall())

        assert found == [[(0,)], [(1,)]]
        assert reader.execute("SELECT count(*) FROM kb_i9j0k1l2.kb").fetchall() == [(1,)]
        provider.aliases.remove("served")
        for name in names:
            provider.drop(name, mark="test")


def test_what_the_owner_made_is_adopted_and_read_on(server: EmbeddedPostgres, reader: psycopg.Connection) -> None:
    with closing(open_pgvector(server.url, holder=HOLDER)) as provider:
        with psycopg.connect(server.url, autocommit=True) as owner:
            owner.execute(
                "CREATE TABLE used (id int PRIMARY KEY, embedding vector(1)); INSERT INTO used VALUES (1, '[1]')"
            )

        provider.adoption.adopt("used", into="used_a1b2c3d4", mark="test")

        assert reader.execute("SELECT count(*) FROM used").fetchall() == [(1,)]
        assert provider.aliases.remove("used")
        assert provider.drop("used_a1b2c3d4", mark="test")


@pytest.mark.parametrize("statement", ["COPY kb TO PROGRAM 'cat'", "CREATE ROLE mine", "CREATE DATABASE mine"])
def test_the_owner_is_no_superuser(server: EmbeddedPostgres, statement: str) -> None:
    with (
        psycopg.connect(server.url, autocommit=True) as owner,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        owner.execute(statement.encode())


@pytest.mark.parametrize(
    ("user", "database"),
    [("regalia", "local"), ("postgres", "local"), ("postgres", "postgres"), ("regalia_reader", "postgres")],
)
def test_nobody_but_the_reader_comes_through_the_port(
    server: EmbeddedPostgres, password: str, user: str, database: str
) -> None:
    port = server.agents_url.partition("127.0.0.1:")[2].partition("/")[0]

    with pytest.raises(AccessError, match="no pg_hba"):
        connect(f"postgresql://{user}@127.0.0.1:{port}/{database}", password=password)


@pytest.mark.parametrize("given", [None, "", "wrong"])
def test_the_port_takes_the_readers_password(server: EmbeddedPostgres, given: str | None) -> None:
    with pytest.raises(AccessError, match="password"):
        connect(server.agents_url, password=given)


def test_the_password_is_made_once_for_its_owner_and_never_logged(
    server: EmbeddedPostgres, place: Path, password: str
) -> None:
    server.start()

    assert (place / places.PASSWORD_FILE).read_text() == password
    assert (place / places.PASSWORD_FILE).stat().st_mode & 0o777 == 0o600
    assert len(password) > 40
    assert password not in (server.folder / "postgres.log").read_text()


def test_a_password_whose_file_was_removed_is_made_anew(server: EmbeddedPostgres, place: Path, password: str) -> None:
    (place / places.PASSWORD_FILE).unlink()

    server.start()

    renewed = (place / places.PASSWORD_FILE).read_text()
    assert renewed != password
    connect(server.agents_url, password=renewed).close()
    with pytest.raises(AccessError, match="password"):
        connect(server.agents_url, password=password)


def test_a_killed_one_starts_again_with_its_port(server: EmbeddedPostgres, password: str) -> None:
    os.kill(pid_of(server), signal.SIGKILL)

    server.start()

    with psycopg.connect(server.agents_url, password=password) as reader:
        assert reader.execute("SELECT id FROM kb").fetchall() == [(1,)]


def test_the_server_knows_nothing_of_its_workers_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KB_PASSWORD", "hunter2")

    with postgres.running(tmp_path / "postgres") as server:
        assert b"hunter2" not in Path(f"/proc/{pid_of(server)}/environ").read_bytes()


def test_a_port_that_is_set_later_is_opened_and_closed_again(tmp_path: Path) -> None:
    port = free_port()
    with postgres.running(tmp_path / "postgres") as closed:
        with psycopg.connect(closed.url, autocommit=True) as owner:
            owner.execute(MADE)
        opened = EmbeddedPostgres(tmp_path / "postgres", wheel_binaries(), port=port)

        opened.start()
        password = (tmp_path / "postgres" / places.PASSWORD_FILE).read_text()
        with psycopg.connect(opened.agents_url, password=password) as reader:
            found = reader.execute("SELECT id FROM kb").fetchall()
        closed.start()

        assert found == [(1,)]
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port))
        connect(closed.url).close()


def test_one_that_runs_with_its_settings_is_adopted(server: EmbeddedPostgres) -> None:
    before = pid_of(server)

    server.start()

    assert pid_of(server) == before


def test_a_cluster_that_trusts_everybody_on_this_machine_is_closed(tmp_path: Path) -> None:
    port = free_port()
    with postgres.running(tmp_path / "postgres") as server:
        server.stop()
        cluster = server.folder / "cluster"
        (cluster / "pg_hba.conf").write_text("local all all trust\nhost all all 127.0.0.1/32 trust\n")
        (cluster / "postgresql.conf").write_text(f"listen_addresses = '127.0.0.1'\nport = {port}\n")

        server.start()

        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port))


def test_a_port_that_another_has_is_told(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        server = EmbeddedPostgres(tmp_path / "postgres", wheel_binaries(), port=port)

        with pytest.raises(ConfigurationError, match=f"can't have port {port}"):
            server.start()
    shutil.rmtree(server.folder)


def test_a_setting_that_it_does_not_start_with_is_told_at_once(tmp_path: Path) -> None:
    with postgres.running(tmp_path / "postgres") as server:
        server.stop()
        with (server.folder / "cluster" / "postgresql.conf").open("a") as settings:
            settings.write("work_mem = 'much'\n")

        with pytest.raises(UnavailableError, match="contains errors"):
            server.start()


def test_the_registrys_own_server_is_no_target_by_its_socket(tmp_path: Path) -> None:
    with postgres.running(places.embedded_folder(tmp_path)) as own:
        (tmp_path / "link").symlink_to(own.folder / "run")

        for host in (own.folder / "run", tmp_path / "link", own.folder / "cluster" / ".." / "run"):
            with pytest.raises(ConfigurationError, match="registry's own PostgreSQL"):
                open_pgvector(f"postgresql://postgres@/local?host={host}", holder=HOLDER, data=tmp_path)


@pytest.fixture
def nobodys() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="regalia-"))  # pytest's own folders are closed to others
    shutil.chown(made, "nobody")
    yield made
    shutil.rmtree(made)


@pytest.mark.skipif(os.geteuid() != 0, reason="no root: every other test here is of a user that is not root")
def test_it_runs_for_a_user_that_is_not_root(nobodys: Path) -> None:
    script = (
        "import os, pathlib, psycopg, sys; from tests.servers import postgres\n"
        "with postgres.running(pathlib.Path(sys.argv[1])) as server, psycopg.connect(server.url) as owner:\n"
        "    print(os.geteuid(), *owner.execute('SELECT current_user').fetchone(), server.folder)\n"
    )
    # One right of root's is left to it: to read this environment, which may lie under root's home.
    may_read = ["--inh-caps", "+dac_read_search", "--ambient-caps", "+dac_read_search"]
    command = ["setpriv", "--reuid", "nobody", "--regid", "nogroup", "--clear-groups", *may_read, sys.executable]

    done = subprocess.run(
        [*command, "-c", script, str(nobodys / "postgres")], capture_output=True, text=True, check=False
    )

    assert done.stdout.split() == [str(nobodys.stat().st_uid), "regalia", str(nobodys / "postgres")], done.stderr
