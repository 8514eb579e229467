"""What `reg target check` tells of a PostgreSQL: rights, room, and settings that lose or hide rows."""

import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from regalia.core.errors import UnsupportedError
from regalia_registry.adapters.vectors.pgvector import places
from regalia_registry.adapters.vectors.pgvector.embedded import EmbeddedPostgres, open_embedded
from regalia_registry.adapters.vectors.pgvector.provider import open_pgvector
from regalia_registry.domain.operations import Holder
from regalia_registry.ports.vectors import Checked, EngineRight
from tests.servers import postgres
from tests.servers.odd_postgres import greeting, listening

CLIENTS = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"

HOLDER = Holder("test", 1)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    with postgres.running(tmp_path_factory.mktemp("postgres")) as started:
        yield started


@pytest.fixture
def superuser(server: EmbeddedPostgres) -> Iterator[psycopg.Connection]:
    with psycopg.connect(as_user(server, "postgres"), autocommit=True) as made:
        made.execute("CREATE TABLE kb (id int PRIMARY KEY, embedding vector(1)); CREATE ROLE guest LOGIN")
        made.execute("GRANT SELECT ON kb TO regalia")
        yield made
        made.execute("DROP TABLE kb; DROP SCHEMA IF EXISTS regalia; DROP OWNED BY guest; DROP ROLE guest")
        made.execute("GRANT CONNECT, TEMPORARY ON DATABASE local TO public")


def as_user(server: EmbeddedPostgres, role: str) -> str:
    return server.url.replace("regalia@", f"{role}@", 1)


def checked(url: str) -> Checked:
    with closing(open_pgvector(url, holder=HOLDER)) as provider:
        return provider.check()


def test_the_owner_may_do_all_and_there_is_room(server: EmbeddedPostgres) -> None:
    found = checked(server.url)

    assert (found.rights, found.aliases, found.warnings) == (frozenset(EngineRight), True, ())
    assert found.size_bytes is not None
    assert found.size_bytes > 1_000_000
    assert found.free_bytes is None


def test_a_guest_is_told_what_to_grant(server: EmbeddedPostgres, superuser: psycopg.Connection) -> None:
    superuser.execute("REVOKE ALL ON DATABASE local FROM public; GRANT CONNECT ON DATABASE local TO guest")
    superuser.execute("CREATE SCHEMA IF NOT EXISTS regalia")

    before = checked(as_user(server, "guest"))
    superuser.execute("GRANT SELECT ON kb TO guest; GRANT CREATE, TEMPORARY ON DATABASE local TO guest")
    superuser.execute("GRANT ALL ON SCHEMA regalia TO guest")
    after = checked(as_user(server, "guest"))

    told = "\n".join(before.warnings)
    assert before.rights == {EngineRight.FENCE}
    for word in ("public.kb", "GRANT CREATE ON DATABASE", "GRANT TEMPORARY ON DATABASE", "ON SCHEMA regalia"):
        assert word in told
    assert after.rights == {EngineRight.READ, EngineRight.CREATE, EngineRight.FENCE}
    assert after.warnings == ()


def test_a_policy_that_would_hide_rows_is_told(server: EmbeddedPostgres, superuser: psycopg.Connection) -> None:
    superuser.execute("GRANT SELECT ON kb TO guest; ALTER TABLE kb ENABLE ROW LEVEL SECURITY")

    found = checked(as_user(server, "guest"))

    assert any("row security hides rows of public.kb" in one for one in found.warnings)
    assert EngineRight.READ not in found.rights


def test_a_role_that_can_only_read_is_told(server: EmbeddedPostgres, superuser: psycopg.Connection) -> None:
    superuser.execute("GRANT SELECT ON kb TO guest; ALTER ROLE guest SET default_transaction_read_only = on")

    found = checked(as_user(server, "guest"))

    assert found.warnings == ("it can only be read: a standby, or default_transaction_read_only is on",)
    assert found.rights == {EngineRight.READ}


def test_settings_that_lose_rows_and_full_connections_are_told(
    server: EmbeddedPostgres, superuser: psycopg.Connection
) -> None:
    superuser.execute("ALTER SYSTEM SET fsync = off")
    superuser.execute("ALTER SYSTEM SET full_page_writes = off")
    superuser.execute("SELECT pg_reload_conf()")
    others = [psycopg.connect(server.url) for _ in range(57)]

    found = checked(server.url)

    superuser.execute("ALTER SYSTEM RESET ALL")
    superuser.execute("SELECT pg_reload_conf()")
    for other in others:
        other.close()
    while superuser.execute(CLIENTS).fetchall() > [(2,)]:  # a backend ends a while after its client
        time.sleep(0.05)
    told = "\n".join(found.warnings)
    for word in ("fsync is off", "full_page_writes is off", "connections are left"):
        assert word in told


@pytest.mark.parametrize(
    ("version", "told"),
    [
        ("0.7.4", ["pgvector 0.7.4 is too old"]),
        ("0.8.1", ["pgvector 0.8.1 has known faults"]),
        ("0.8.4", []),
        ("0.10.0", []),
    ],
)
def test_an_old_pgvector_is_told(
    server: EmbeddedPostgres, superuser: psycopg.Connection, version: str, told: list[str]
) -> None:
    found = superuser.execute("SELECT extversion FROM pg_extension WHERE extname = 'vector'").fetchone()
    superuser.execute("UPDATE pg_extension SET extversion = %s WHERE extname = 'vector'", (version,))

    warnings = checked(server.url).warnings

    superuser.execute("UPDATE pg_extension SET extversion = %s WHERE extname = 'vector'", found)
    assert [one.partition(":")[0] for one in warnings] == told


@pytest.mark.parametrize("version", ["9.6.24", "13.22"])
def test_a_server_that_is_too_old_is_refused(version: str) -> None:
    with listening(greeting(version)) as odd, pytest.raises(UnsupportedError, match="expected 14 or newer"):
        open_pgvector(f"postgresql://a@127.0.0.1:{odd.port}/x", holder=HOLDER)


def test_the_embedded_one_says_what_its_disk_has_left(tmp_path: Path) -> None:
    with (
        postgres.running(places.embedded_folder(tmp_path)),
        closing(open_embedded("embedded:", holder=HOLDER, data=tmp_path)) as provider,
    ):
        found = provider.check()

    assert found.free_bytes is not None
    assert found.free_bytes > 0
