"""A worker that was taken over changes nothing in PostgreSQL any more, and nothing of it runs on there."""

import struct
import threading
import time
from collections.abc import Iterator, Sequence

import psycopg
import pytest

from regalia.core.errors import AccessError, ConflictError, RegaliaError, UnavailableError
from regalia.core.kinds.snapshot import VectorSpace
from regalia_registry.adapters.memory.vectors import MemoryLedger
from regalia_registry.adapters.vectors.pgvector.connection import connect
from regalia_registry.adapters.vectors.pgvector.embedded import EmbeddedPostgres
from regalia_registry.adapters.vectors.pgvector.fence import application_name
from regalia_registry.adapters.vectors.pgvector.grammar import Column, Index, Table
from regalia_registry.adapters.vectors.pgvector.provider import PgvectorProvider, open_pgvector
from regalia_registry.domain.operations import Holder
from regalia_registry.domain.snapshots.rows import Row, encode_key
from regalia_registry.domain.snapshots.schema import Family, KeyKind, Property, Schema
from tests.servers import postgres

DIMENSIONS = 256
TABLE = Table(
    "kb",
    (Column("id", "bigint", not_null=True), Column("embedding", f"vector({DIMENSIONS})")),
    (Index("hnsw", ("embedding",), ("vector_l2_ops",), (("ef_construction", "400"), ("m", "32"))),),
)
SCHEMA = Schema(
    Family.POSTGRESQL,
    Property("id", "bigint"),
    KeyKind.INTEGER,
    (VectorSpace("embedding", DIMENSIONS, "l2"),),
    (),
    TABLE.written(),
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    with postgres.running(tmp_path_factory.mktemp("postgres")) as started:
        yield started


@pytest.fixture
def connection(server: EmbeddedPostgres) -> Iterator[psycopg.Connection]:
    with psycopg.connect(server.url, autocommit=True) as opened:
        yield opened
        opened.execute("DROP SCHEMA IF EXISTS kb_1 CASCADE; DROP SCHEMA IF EXISTS regalia CASCADE")


def hidden(server: EmbeddedPostgres, epoch: int) -> PgvectorProvider:
    """Open a worker's connection that a takeover does not find: only the fence is in its way."""
    return PgvectorProvider(connect(server.url, application="elsewhere"), Holder("op", epoch))


def groups(count: int, size: int = 10) -> list[Sequence[Row]]:
    rows = [
        Row(encode_key(number), (("embedding", struct.pack(f"<{DIMENSIONS}f", *([number % 97] * DIMENSIONS))),), b"{}")
        for number in range(count * size)
    ]
    return [rows[start : start + size] for start in range(0, len(rows), size)]


def count_of(connection: psycopg.Connection) -> int:
    [row] = connection.execute("SELECT count(*) FROM kb_1.kb").fetchall()
    return int(row[0])


def test_a_late_workers_group_index_and_drop_are_refused(
    server: EmbeddedPostgres, connection: psycopg.Connection
) -> None:
    late, next_one = hidden(server, 1), open_pgvector(server.url, holder=Holder("op", 2))
    late.create("kb_1", SCHEMA, mark="op")
    loading = late.load("kb_1", SCHEMA, groups(3), ledger=MemoryLedger())
    next(loading)
    next_one.create("kb_1", SCHEMA, mark="op")

    with pytest.raises(ConflictError, match="another worker"):
        next(loading)
    for step in (
        lambda: late.build_index("kb_1", SCHEMA),
        lambda: late.drop("kb_1", mark="op"),
        lambda: late.create("kb_1", SCHEMA, mark="op"),
        lambda: list(late.load("kb_1", SCHEMA, groups(3), ledger=MemoryLedger())),
    ):
        with pytest.raises(ConflictError, match="another worker"):
            step()
    assert count_of(connection) == 10
    assert list(next_one.load("kb_1", SCHEMA, groups(3), ledger=MemoryLedger())) == [10, 20, 30]
    assert count_of(connection) == 30
    late.close()
    next_one.close()


def test_what_is_dropped_by_another_operation_is_loaded_no_further(
    server: EmbeddedPostgres, connection: psycopg.Connection
) -> None:
    loader, other = hidden(server, 1), open_pgvector(server.url, holder=Holder("another", 1))
    loader.create("kb_1", SCHEMA, mark="op")
    loading = loader.load("kb_1", SCHEMA, groups(2), ledger=MemoryLedger())
    next(loading)

    assert other.drop("kb_1", mark="op")

    with pytest.raises(ConflictError, match="another worker"):
        next(loading)
    assert connection.execute("SELECT FROM regalia.fence").fetchall() == []
    loader.close()
    other.close()


def test_a_collection_that_somebody_dropped_is_loaded_from_its_first_group(
    server: EmbeddedPostgres, connection: psycopg.Connection
) -> None:
    provider = open_pgvector(server.url, holder=Holder("op", 1))
    provider.create("kb_1", SCHEMA, mark="op")
    list(provider.load("kb_1", SCHEMA, groups(2), ledger=MemoryLedger()))
    connection.execute("DROP SCHEMA kb_1 CASCADE")

    provider.create("kb_1", SCHEMA, mark="op")
    list(provider.load("kb_1", SCHEMA, groups(2), ledger=MemoryLedger()))

    assert count_of(connection) == 20
    provider.close()


def test_an_index_that_a_killed_worker_left_building_is_ended_before_the_next_is_built(
    server: EmbeddedPostgres, connection: psycopg.Connection
) -> None:
    killed = open_pgvector(server.url, holder=Holder("op", 1))
    killed.create("kb_1", SCHEMA, mark="op")
    connection.execute(
        "INSERT INTO kb_1.kb SELECT n, ARRAY(SELECT random() FROM generate_series(1, 256) WHERE n > 0)::vector "
        "FROM generate_series(1, 20000) n"
    )
    refused: list[RegaliaError] = []

    def build() -> None:
        try:
            killed.build_index("kb_1", SCHEMA)
        except RegaliaError as error:
            refused.append(error)

    building = threading.Thread(target=build)
    building.start()
    deadline = time.monotonic() + 30
    while not connection.execute("SELECT FROM pg_stat_progress_create_index").fetchall():
        assert time.monotonic() < deadline
        time.sleep(0.01)

    next_one = open_pgvector(server.url, holder=Holder("op", 2))

    building.join()
    assert len(refused) == 1
    left = "SELECT FROM pg_stat_activity WHERE application_name = %s"
    assert connection.execute(left, (application_name(Holder("op", 1)),)).fetchall() == []
    connection.execute("DELETE FROM kb_1.kb WHERE id > 100")
    next_one.create("kb_1", SCHEMA, mark="op")
    next_one.build_index("kb_1", SCHEMA)
    found = connection.execute(
        "SELECT indisvalid FROM pg_index x JOIN pg_class c ON c.oid = x.indexrelid JOIN pg_am m ON m.oid = c.relam "
        "WHERE indrelid = 'kb_1.kb'::regclass AND amname = 'hnsw'"
    ).fetchall()
    assert found == [(True,)]
    killed.close()
    next_one.close()


def test_a_statement_that_takes_long_is_interrupted_from_another_thread(
    server: EmbeddedPostgres, connection: psycopg.Connection
) -> None:
    provider = open_pgvector(server.url, holder=Holder("op", 1))
    provider.create("kb_1", SCHEMA, mark="op")
    connection.execute("BEGIN; LOCK TABLE kb_1.kb IN EXCLUSIVE MODE")

    def interrupt_what_waits() -> None:
        waits = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        with psycopg.connect(server.url, autocommit=True) as looking:
            while looking.execute(waits).fetchone() is None:
                time.sleep(0.01)
        provider.interrupt()

    interrupting = threading.Thread(target=interrupt_what_waits)
    interrupting.start()

    with pytest.raises(UnavailableError, match="canceling statement due to user request"):
        provider.build_index("kb_1", SCHEMA)

    interrupting.join()
    connection.execute("ROLLBACK")
    provider.build_index("kb_1", SCHEMA)
    provider.close()


def test_connections_of_later_workers_and_other_operations_are_left_alone(server: EmbeddedPostgres) -> None:
    others = [open_pgvector(server.url, holder=holder) for holder in (Holder("other", 1), Holder("op", 3))]
    earlier = connect(server.url, application=application_name(Holder("op", 1)))

    worker = open_pgvector(server.url, holder=Holder("op", 2))

    assert [other.check().version for other in others] == [worker.check().version] * 2
    with pytest.raises(psycopg.OperationalError, match="terminating connection"):
        earlier.execute("SELECT 1")
    earlier.close()
    for provider in (*others, worker):
        provider.close()


def test_a_role_that_may_not_create_is_told_what_it_lacks(
    server: EmbeddedPostgres, connection: psycopg.Connection
) -> None:
    url = server.url.replace("regalia@", "postgres@")
    with psycopg.connect(url, autocommit=True) as superuser:
        superuser.execute("CREATE ROLE reader LOGIN")
    provider = open_pgvector(server.url.replace("regalia@", "reader@"), holder=Holder("op", 1))

    with pytest.raises(AccessError, match="permission denied") as refused:
        provider.create("kb_1", SCHEMA, mark="op")

    assert "grant" in refused.value.hint
    assert connection.execute("SELECT FROM pg_namespace WHERE nspname = 'kb_1'").fetchall() == []
    provider.close()
