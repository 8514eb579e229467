"""What PostgreSQL's tables hold, and what of it a snapshot keeps, refuses, or can't be tricked into."""

import json
import os
import signal
import struct
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import psycopg
import pytest

from regalia.core.errors import (
    AccessError,
    ConfigurationError,
    DocumentError,
    RegaliaError,
    UnavailableError,
    UnsupportedError,
)
from regalia.core.kinds.snapshot import VectorSpace
from regalia_registry.adapters.memory.vectors import MemoryLedger
from regalia_registry.adapters.vectors.pgvector.embedded import EmbeddedPostgres
from regalia_registry.adapters.vectors.pgvector.grammar import Column, Index, Table
from regalia_registry.adapters.vectors.pgvector.provider import PgvectorProvider, open_pgvector
from regalia_registry.domain.operations import Holder
from regalia_registry.domain.snapshots.rows import Row, encode_key, encode_properties
from regalia_registry.domain.snapshots.schema import Family, KeyKind, Property, Schema
from regalia_registry.domain.snapshots.translation import translator
from tests.servers import postgres
from tests.support.engines import root_of

KINDS = {
    "smallint": ["-32768", "32767"],
    "integer": ["-2147483648"],
    "bigint": ["9223372036854775807", "9007199254740993"],
    "numeric": ["123456789012345678901234567890.5", "'NaN'"],
    "numeric(10,2)": ["1.50"],
    "real": ["'1e-45'", "'-0'"],
    "double precision": ["5e-324", "1.7976931348623157e308", "0.1::float8 + 0.2", "'NaN'"],
    "boolean": ["true", "false"],
    "text": ["'Łódź\u2028\"\\'", "''", "repeat('x', 100000)"],
    "character varying(20)": ["'short'"],
    "bytea": [r"'\xdeadbeef'", r"'\x'"],
    "uuid": ["'6ba7b811-9dad-11d1-80b4-00c04fd430c8'"],
    "date": ["'9999-12-31'", "'0001-01-01 BC'", "'infinity'"],
    "timestamp with time zone": ["'2026-03-15 12:00:00.123456+02'"],
    "timestamp without time zone": ["'2026-03-15 12:00:00'"],
    "interval": ["'1 year 2 mons 3 days 04:05:06.7'"],
    "time without time zone": ["'23:59:59.999999'"],
    "json": ['\'{"b": 1, "a":  [1e2]}\''],
    "jsonb": ['\'{"b": 1, "a": [1e2]}\''],
    "text[]": ["ARRAY['a', NULL, 'b,\"c']", "'{}'"],
    "integer[]": ["'{{1,2},{3,4}}'"],
    "inet": ["'2001:db8::1/64'"],
    "point": ["'(1.5,-2)'"],
    "int4range": ["'[1,10)'"],
    "tsvector": ["to_tsvector('simple', 'a fat cat')"],
    "bit(3)": ["B'101'"],
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    with postgres.running(tmp_path_factory.mktemp("postgres")) as started:
        yield started


@pytest.fixture
def connection(server: EmbeddedPostgres) -> Iterator[psycopg.Connection]:
    with psycopg.connect(server.url, autocommit=True) as made:
        yield made
        made.execute("DROP TABLE IF EXISTS kb CASCADE")


@pytest.fixture
def provider(server: EmbeddedPostgres) -> Iterator[PgvectorProvider]:
    made = open_pgvector(server.url, holder=Holder("test", 1))
    yield made
    made.drop("copy_1", mark="test")
    made.close()


def rows_of(provider: PgvectorProvider, name: str) -> list[Row]:
    with provider.open(name) as reading:
        return sorted(row for batch in reading.batches() for row in batch)


def copied(provider: PgvectorProvider, name: str) -> tuple[Schema, list[Row]]:
    schema, rows = provider.describe(name).schema, rows_of(provider, name)
    provider.create("copy_1", schema, mark="test")
    list(provider.load("copy_1", schema, [rows], ledger=MemoryLedger()))
    provider.build_index("copy_1", schema)
    return schema, rows


@pytest.mark.parametrize("kind", KINDS)
def test_every_type_comes_back_as_it_was(connection: psycopg.Connection, provider: PgvectorProvider, kind: str) -> None:
    connection.execute(f"CREATE TABLE kb (id bigint PRIMARY KEY, value {kind}, embedding vector(2))")
    for number, value in enumerate(KINDS[kind]):
        connection.execute(f"INSERT INTO kb VALUES ({number}, {value}, '[1,-0]')")  # noqa: S608 # a table of ours
    connection.execute("INSERT INTO kb VALUES (-1, NULL, NULL)")

    schema, rows = copied(provider, "kb")

    assert provider.describe("copy_1").schema == schema
    assert root_of(schema, rows_of(provider, "copy_1")) == root_of(schema, rows)
    assert len(rows) == len(KINDS[kind]) + 1
    assert Row(encode_key(-1), (), b"{}") in rows


@pytest.mark.parametrize(
    ("kind", "value"),
    [("uuid", "'6ba7b811-9dad-11d1-80b4-00c04fd430c8'"), ("smallint", "-7"), ("text", "'Łódź'"), ("varchar(9)", "'k'")],
)
def test_every_kind_of_key_comes_back(
    connection: psycopg.Connection, provider: PgvectorProvider, kind: str, value: str
) -> None:
    connection.execute(f"CREATE TABLE kb (k {kind} PRIMARY KEY, embedding vector(1))")
    connection.execute(f"INSERT INTO kb VALUES ({value}, '[0.5]')")  # noqa: S608 # a table of ours

    schema, rows = copied(provider, "kb")

    assert rows_of(provider, "copy_1") == rows
    assert provider.describe("copy_1").schema == schema


def test_types_of_the_users_own_come_back(connection: psycopg.Connection, provider: PgvectorProvider) -> None:
    connection.execute(
        "CREATE TYPE mood AS ENUM ('good', 'bad'); CREATE DOMAIN short AS text CHECK (length(value) < 9)"
    )
    try:
        connection.execute("CREATE TABLE kb (id int PRIMARY KEY, m mood, s short, embedding vector(1))")
        connection.execute("INSERT INTO kb VALUES (1, 'bad', 'word', '[1]')")

        schema, rows = copied(provider, "kb")

        assert rows_of(provider, "copy_1") == rows
        assert provider.describe("copy_1").schema == schema
    finally:
        provider.drop("copy_1", mark="test")
        connection.execute("DROP TABLE kb; DROP TYPE mood; DROP DOMAIN short")


def test_a_function_of_a_user_never_answers_for_the_server(
    connection: psycopg.Connection, provider: PgvectorProvider
) -> None:
    connection.execute("CREATE TABLE kb (id int PRIMARY KEY, embedding vector(1))")
    before = provider.describe("kb")
    connection.execute(
        "CREATE FUNCTION public.format_type(oid, integer) RETURNS text LANGUAGE sql AS $$ SELECT 'text' $$"
    )

    after = provider.describe("kb")

    connection.execute("DROP FUNCTION public.format_type(oid, integer)")
    assert after == before


def test_names_that_need_quotes_come_back(connection: psycopg.Connection, provider: PgvectorProvider) -> None:
    connection.execute('CREATE TABLE kb ("Id 1" int PRIMARY KEY, "a""; DROP" text, "Über" text, "e mb" vector(1))')
    connection.execute("INSERT INTO kb VALUES (1, 'x', 'y', '[1]')")

    schema, rows = copied(provider, "kb")

    assert rows_of(provider, "copy_1") == rows
    assert provider.describe("copy_1").schema == schema


def test_defaults_and_indexes_are_rebuilt(connection: psycopg.Connection, provider: PgvectorProvider) -> None:
    connection.execute("""CREATE TABLE kb (id serial PRIMARY KEY, made timestamptz NOT NULL DEFAULT now(),
        token uuid DEFAULT gen_random_uuid(), state text NOT NULL DEFAULT 'it''s new', n int DEFAULT -3,
        slug text UNIQUE, embedding vector(3))""")
    connection.execute("CREATE INDEX ON kb USING hnsw (embedding vector_ip_ops) WITH (m = 8, ef_construction = 40)")
    connection.execute("CREATE INDEX ON kb (state, n)")
    connection.execute("INSERT INTO kb (slug, embedding) VALUES ('a', '[1,2,3]'), ('b', '[3,2,1]')")

    schema, _ = copied(provider, "kb")

    assert [space.metric for space in schema.vectors] == ["dot"]
    assert provider.describe("copy_1").schema == schema
    row = connection.execute("SELECT state, n, made IS NOT NULL FROM copy_1.kb WHERE slug = 'a'").fetchone()
    assert row == ("it's new", -3, True)
    with pytest.raises(psycopg.errors.UniqueViolation):
        connection.execute("INSERT INTO copy_1.kb (id, slug) VALUES (99, 'a')")


def test_what_can_not_be_kept_is_told_in_one_list(connection: psycopg.Connection, provider: PgvectorProvider) -> None:
    connection.execute("""CREATE TABLE kb (a int, b int, half halfvec(3), late text DEFAULT upper('x'),
        PRIMARY KEY (a, b))""")
    connection.execute("CREATE TABLE child (a int, b int, FOREIGN KEY (a, b) REFERENCES kb)")
    connection.execute("CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'")
    connection.execute("CREATE TRIGGER touched BEFORE INSERT ON kb FOR EACH ROW EXECUTE FUNCTION touch()")
    try:
        told = "\n".join(provider.describe("kb").refusals)

        for word in ("primary key has 2", "halfvec(3)", "upper('x'", "child", "touched", "no column of type vector"):
            assert word in told
        with pytest.raises(UnsupportedError, match="can't be a snapshot"), provider.open("kb"):
            pass
    finally:
        connection.execute("DROP TABLE child; DROP TABLE kb; DROP FUNCTION touch")


def test_what_is_not_rebuilt_is_told(connection: psycopg.Connection, provider: PgvectorProvider) -> None:
    connection.execute("""CREATE TABLE kb (id int PRIMARY KEY, n int CHECK (n > 0),
        twice int GENERATED ALWAYS AS (n * 2) STORED, embedding vector(2))""")
    connection.execute("CREATE INDEX partly ON kb (n) WHERE n > 5")

    told = "\n".join(provider.describe("kb").fidelity)

    assert all(word in told for word in ("kb_n_check", "twice", "partly"))


@pytest.mark.parametrize("statement", ["CREATE VIEW kb AS SELECT 1 AS id", "CREATE TABLE kb (id int)"])
def test_what_is_no_table_with_a_key_is_refused(
    connection: psycopg.Connection, provider: PgvectorProvider, statement: str
) -> None:
    connection.execute(statement)
    try:
        assert provider.describe("kb").refusals
    finally:
        connection.execute("DROP VIEW IF EXISTS kb" if "VIEW" in statement else "DROP TABLE kb")


def test_a_reading_sees_one_moment(connection: psycopg.Connection, provider: PgvectorProvider) -> None:
    connection.execute("CREATE TABLE kb (id int PRIMARY KEY, embedding vector(1))")
    connection.execute("INSERT INTO kb SELECT n, '[1]' FROM generate_series(1, 5000) n")
    with provider.open("kb") as reading:
        batches = reading.batches()
        first = next(batches)
        connection.execute("DELETE FROM kb WHERE id > 100")
        connection.execute("INSERT INTO kb VALUES (9999, '[1]')")
        rows = [*first, *(row for batch in batches for row in batch)]

    assert len(rows) == 5000
    assert reading.consistency == "point-in-time"


def test_a_reading_that_is_left_half_way_leaves_the_connection_usable(
    connection: psycopg.Connection, provider: PgvectorProvider
) -> None:
    connection.execute("CREATE TABLE kb (id int PRIMARY KEY, embedding vector(1))")
    connection.execute("INSERT INTO kb SELECT n, '[1]' FROM generate_series(1, 50000) n")
    with provider.open("kb") as reading:
        next(reading.batches())

    assert provider.check().version.startswith("PostgreSQL")


def test_a_reading_that_the_server_ends_says_why_and_leaves_the_connection_usable(
    connection: psycopg.Connection, provider: PgvectorProvider
) -> None:
    connection.execute("CREATE TABLE kb (id bigint PRIMARY KEY, body text, embedding vector(2))")
    connection.execute("INSERT INTO kb SELECT n, repeat('x', 1000), '[1,2]' FROM generate_series(1, 20000) n")

    with provider.open("kb") as reading, pytest.raises(RegaliaError, match="canceling statement"):
        list(map(lambda _: provider.interrupt(), reading.batches()))

    assert len(rows_of(provider, "kb")) == 20000


@pytest.mark.parametrize("rows", [0, 1], ids=["no row", "one row"])
def test_a_small_table_is_read_to_its_end(
    connection: psycopg.Connection, provider: PgvectorProvider, rows: int
) -> None:
    connection.execute("CREATE TABLE kb (id bigint PRIMARY KEY, embedding vector(2))")
    connection.execute("INSERT INTO kb SELECT n, '[1,2]' FROM generate_series(1, %s) n", (rows,))

    assert [len(rows_of(provider, "kb")) for _ in range(2)] == [rows, rows]


def test_a_policy_that_hides_rows_is_an_error_and_not_a_smaller_snapshot(
    server: EmbeddedPostgres, connection: psycopg.Connection
) -> None:
    connection.execute("CREATE TABLE kb (id int PRIMARY KEY, embedding vector(1))")
    connection.execute("INSERT INTO kb VALUES (1, '[1]')")
    connection.execute("ALTER TABLE kb ENABLE ROW LEVEL SECURITY; ALTER TABLE kb FORCE ROW LEVEL SECURITY")
    provider = open_pgvector(server.url, holder=Holder("test", 1))

    with pytest.raises(AccessError, match="row-level security"):
        rows_of(provider, "kb")
    provider.close()


@pytest.mark.parametrize(
    "hostile",
    [
        "text); DROP TABLE kb; --",
        "text DEFAULT pg_sleep(9)",
        "text'",
        'text" DEFAULT 1, "x',
        "text\nCHECK (true)",
        "int REFERENCES kb",
        "text[1]",
        "",
    ],
)
def test_a_type_that_is_more_than_a_type_never_reaches_the_database(
    connection: psycopg.Connection, provider: PgvectorProvider, hostile: str
) -> None:
    connection.execute("CREATE TABLE kb (id int PRIMARY KEY, value text, embedding vector(1))")
    written = (
        provider.describe("kb").schema.written().replace(b'"type":"text"', b'"type":' + json.dumps(hostile).encode())
    )
    schema = Schema.parse(written)

    with pytest.raises(RegaliaError):
        provider.create("copy_1", schema, mark="test")
    assert connection.execute("SELECT count(*) FROM pg_namespace WHERE nspname = 'copy_1'").fetchone() == (0,)
    assert connection.execute("SELECT count(*) FROM pg_tables WHERE tablename = 'kb'").fetchone() == (1,)


def test_hostile_words_of_an_index_or_default_are_refused() -> None:
    with pytest.raises(DocumentError):
        Index("hnsw (x); DROP", ("a",), ("",))
    with pytest.raises(DocumentError):
        Index("hnsw", ("a",), ("",), (("m", "8); DROP"),))
    with pytest.raises(DocumentError):
        Column("a", "text", default="pg_sleep(9)")
    literal = Column("a", "text", default="literal", literal="'; DROP TABLE kb; --").ddl().as_string()
    assert literal == "\"a\" text DEFAULT '''; DROP TABLE kb; --'::text"


def test_a_table_reads_back_from_its_words() -> None:
    table = Table("kb", (Column("id", "uuid", True, "uuid"),), (Index("hnsw", ("e",), ("",), (("m", "8"),), True),))  # noqa: FBT003 # a value of the table

    assert Table.parse(table.written()) == table


def test_a_row_of_another_dimension_or_kind_is_refused(
    connection: psycopg.Connection, provider: PgvectorProvider
) -> None:
    connection.execute("CREATE TABLE kb (id int PRIMARY KEY, embedding vector(2))")
    schema = provider.describe("kb").schema
    provider.create("copy_1", schema, mark="test")

    for row in (
        Row(encode_key(1), (("embedding", struct.pack("<3f", 1, 2, 3)),), b"{}"),
        Row(encode_key("text"), (), b"{}"),
        Row(encode_key(2**40), (), b"{}"),
    ):
        with pytest.raises(RegaliaError):
            list(provider.load("copy_1", schema, [[row]], ledger=MemoryLedger()))
    assert rows_of(provider, "copy_1") == []


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("postgresql://nobody@127.0.0.1:1/x", UnavailableError),
        ("no url at all", ConfigurationError),
        ("mysql://x", ConfigurationError),
    ],
)
def test_a_wrong_address_is_told(url: str, kind: type[RegaliaError]) -> None:
    with pytest.raises(kind) as refused:
        open_pgvector(url, password="hunter2", holder=Holder("test", 1))
    assert "hunter2" not in str(refused.value)
    assert refused.value.hint


def test_a_killed_server_starts_again_with_everything(tmp_path: Path) -> None:
    with postgres.running(tmp_path) as server:
        with psycopg.connect(server.url, autocommit=True) as connection:
            connection.execute("CREATE TABLE kb (id int PRIMARY KEY, embedding vector(1))")
            connection.execute("INSERT INTO kb SELECT n, '[1]' FROM generate_series(1, 1000) n")
            pid = int((server.folder / "cluster" / "postmaster.pid").read_text().splitlines()[0])
        os.kill(pid, signal.SIGKILL)

        server.start()

        provider = open_pgvector(server.url, holder=Holder("test", 1))
        assert len(rows_of(provider, "kb")) == 1000
        provider.close()


def test_a_foreign_row_is_one_text_and_its_jsonb(provider: PgvectorProvider, connection: psycopg.Connection) -> None:
    schema = Schema(
        Family.FILES,
        Property("id", "uuid"),
        KeyKind.UUID,
        (VectorSpace("b", 2, "dot"), VectorSpace("b1", 2, "cosine"), VectorSpace("wide", 2001, "cosine")),
        (Property("p", "json"),),
        {},
    )
    hosted = provider.hosted(schema)
    documents: tuple[dict[str, object], ...] = (
        {"p": [1e2, "Łódź"]},
        {"p": "\0"},
        {"p": 10**400},
        {"p": "x" * 10_000_000},
    )
    rows = [Row(encode_key(UUID(int=place)), (), encode_properties(one)) for place, one in enumerate(documents)]

    provider.create("copy_1", hosted.schema, mark="test")
    list(provider.load("copy_1", hosted.schema, [list(map(translator(schema, hosted), rows))], ledger=MemoryLedger()))
    provider.build_index("copy_1", hosted.schema)

    assert provider.describe("copy_1").schema == hosted.schema
    assert provider.describe("copy_1").refusals == provider.describe("copy_1").fidelity == ()
    found = connection.execute("SELECT properties, properties_json FROM copy_1.rows ORDER BY id").fetchall()
    assert [text.encode() for text, _ in found] == [row.properties for row in rows]
    assert [document for _, document in found] == [documents[0], None, documents[2], documents[3]]


def test_a_generated_column_of_a_snapshot_runs_no_sql_of_its_own() -> None:
    hostile = Column("p", "jsonb", default="json", literal="x) STORED, y int DEFAULT pg_sleep(9")

    assert '"x) STORED, y int DEFAULT pg_sleep(9"::jsonb' in hostile.ddl().as_string()
    with pytest.raises(DocumentError, match="can be rebuilt"):
        Column("p", "text", default="json", literal="x")


def test_a_search_for_many_rows_gives_as_many_through_the_index(
    connection: psycopg.Connection, provider: PgvectorProvider
) -> None:
    connection.execute("CREATE TABLE kb (id int PRIMARY KEY, e vector(2))")
    connection.execute("INSERT INTO kb SELECT n, ARRAY[n, 1]::vector FROM generate_series(1, 5000) n")
    connection.execute("CREATE INDEX ON kb USING hnsw (e vector_l2_ops)")
    connection.execute("ANALYZE kb")

    hits = provider.search("kb", struct.pack("<2f", 0, 1), space="e", limit=100)

    plan = connection.execute("EXPLAIN SELECT id FROM kb ORDER BY e <-> '[0,1]' LIMIT 100").fetchall()
    assert "Index Scan" in str(plan)
    assert [hit.key for hit in hits] == [encode_key(number) for number in range(1, 101)]


def test_a_table_is_spelled_with_what_is_not_rebuilt_too(
    connection: psycopg.Connection, provider: PgvectorProvider
) -> None:
    connection.execute("CREATE TABLE IF NOT EXISTS authors (id bigint PRIMARY KEY)")
    connection.execute(
        """CREATE TABLE kb (id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, "Odd Name" text DEFAULT '%d' UNIQUE,
        author bigint REFERENCES authors, size int CHECK (size > 0), twice int GENERATED ALWAYS AS (size * 2) STORED,
        e vector(3) NOT NULL)"""
    )
    connection.execute("CREATE INDEX near ON kb USING hnsw (e vector_cosine_ops) WITH (m = 8)")

    text = provider.definition("kb")

    assert text.startswith("CREATE TABLE public.kb (\n")
    for words in (
        "    id bigint GENERATED BY DEFAULT AS IDENTITY NOT NULL,\n",
        "    \"Odd Name\" text DEFAULT '%d'::text,\n",
        "    twice integer GENERATED ALWAYS AS ((size * 2)) STORED,\n",
        "    e vector(3) NOT NULL,\n",
        "PRIMARY KEY (id)",
        "FOREIGN KEY (author) REFERENCES authors(id)",
        "CHECK ((size > 0))",
        "CREATE INDEX near ON public.kb USING hnsw (e vector_cosine_ops) WITH (m='8');\n",
    ):
        assert words in text
