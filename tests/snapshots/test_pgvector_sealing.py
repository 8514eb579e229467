"""Seals in PostgreSQL: no statement gets past one, and whoever takes one off leaves a trace."""

import struct
from collections.abc import Iterator

import psycopg
import pytest

from regalia.core.errors import ConflictError, UnavailableError
from regalia.core.kinds.snapshot import VectorSpace
from regalia_registry.adapters.memory.vectors import MemoryLedger
from regalia_registry.adapters.vectors.pgvector.connection import connect
from regalia_registry.adapters.vectors.pgvector.embedded import EmbeddedPostgres
from regalia_registry.adapters.vectors.pgvector.grammar import Column, Index, Table
from regalia_registry.adapters.vectors.pgvector.provider import PgvectorProvider, open_pgvector
from regalia_registry.domain.operations import Holder
from regalia_registry.domain.snapshots.rows import Row, encode_key, encode_properties
from regalia_registry.domain.snapshots.schema import Family, KeyKind, Property, Schema
from tests.servers import postgres

NAME = "kb_1"
TABLE = Table(
    "kb",
    (Column("id", "bigint", not_null=True), Column("body", "text"), Column("embedding", "vector(1)")),
    (Index("hnsw", ("embedding",), ("vector_l2_ops",)),),
)
SCHEMA = Schema(
    Family.POSTGRESQL,
    Property("id", "bigint"),
    KeyKind.INTEGER,
    (VectorSpace("embedding", 1, "l2"),),
    (Property("body", "text"),),
    TABLE.written(),
)
ROWS = [
    Row(encode_key(number), (("embedding", struct.pack("<f", number)),), encode_properties({"body": "as it was"}))
    for number in range(10)
]
WRITES = {
    "insert": "INSERT INTO kb_1.kb VALUES (99, '', '[1]')",
    "insert of nothing": "INSERT INTO kb_1.kb SELECT * FROM kb_1.kb WHERE false",
    "upsert": "INSERT INTO kb_1.kb VALUES (1, '', '[1]') ON CONFLICT (id) DO UPDATE SET body = 'changed'",
    "update": "UPDATE kb_1.kb SET body = 'changed'",
    "delete": "DELETE FROM kb_1.kb",
    "truncate": "TRUNCATE kb_1.kb",
    "merge": "MERGE INTO kb_1.kb USING (SELECT 1 AS n) s ON kb.id = s.n WHEN MATCHED THEN DELETE",
    "copy": "COPY kb_1.kb FROM PROGRAM 'echo'",
}
OPENED = {
    "for a write": """
        BEGIN; ALTER TABLE kb_1.kb DISABLE TRIGGER USER; UPDATE kb_1.kb SET body = 'changed';
        ALTER TABLE kb_1.kb ENABLE ALWAYS TRIGGER regalia_sealed, ENABLE ALWAYS TRIGGER regalia_sealed_rows; COMMIT""",
    "of rows alone": """
        ALTER TABLE kb_1.kb DISABLE TRIGGER regalia_sealed_rows;
        ALTER TABLE kb_1.kb ENABLE ALWAYS TRIGGER regalia_sealed_rows""",
    "by its function": """
        BEGIN; CREATE TEMP TABLE kept AS SELECT pg_get_functiondef('kb_1.regalia_sealed'::regproc) AS text;
        CREATE OR REPLACE FUNCTION kb_1.regalia_sealed() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
        UPDATE kb_1.kb SET body = 'changed';
        DO $$ BEGIN EXECUTE (SELECT text FROM kept); END $$; DROP TABLE kept; COMMIT""",
    "by a type's new reading": "ALTER TABLE kb_1.kb ALTER body TYPE text USING 'changed'",
    "by a column less": "ALTER TABLE kb_1.kb DROP COLUMN body",
    "by a column more": "ALTER TABLE kb_1.kb ADD COLUMN more text DEFAULT 'changed'",
    "of its index": "DO $$ BEGIN EXECUTE (SELECT 'DROP INDEX ' || indexrelid::regclass FROM pg_index x JOIN pg_class c"
    " ON c.oid = indexrelid JOIN pg_am m ON m.oid = relam WHERE indrelid = 'kb_1.kb'::regclass AND amname = 'hnsw');"
    " END $$",
}
UNSEALED = {
    "disabled": "ALTER TABLE kb_1.kb DISABLE TRIGGER regalia_sealed",
    "not for replicas": "ALTER TABLE kb_1.kb ENABLE TRIGGER regalia_sealed",
    "for replicas alone": "ALTER TABLE kb_1.kb ENABLE REPLICA TRIGGER regalia_sealed_rows",
    "dropped": "DROP TRIGGER regalia_sealed_rows ON kb_1.kb",
    "never fired": """
        CREATE OR REPLACE TRIGGER regalia_sealed_rows BEFORE INSERT OR UPDATE OR DELETE ON kb_1.kb
        FOR EACH ROW WHEN (false) EXECUTE FUNCTION kb_1.regalia_sealed();
        ALTER TABLE kb_1.kb ENABLE ALWAYS TRIGGER regalia_sealed_rows""",
    "of one column": """
        CREATE OR REPLACE TRIGGER regalia_sealed_rows BEFORE INSERT OR UPDATE OF body OR DELETE ON kb_1.kb
        FOR EACH ROW EXECUTE FUNCTION kb_1.regalia_sealed();
        ALTER TABLE kb_1.kb ENABLE ALWAYS TRIGGER regalia_sealed_rows""",
    "of another function": """
        CREATE OR REPLACE FUNCTION kb_1.regalia_sealed() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'""",
    "owned by another": "ALTER TABLE kb_1.kb OWNER TO postgres",
    "inherited": "CREATE TABLE heir () INHERITS (kb_1.kb)",
}
HARMLESS = {
    "vacuum": "VACUUM (FREEZE, ANALYZE) kb_1.kb",
    "grants": "GRANT SELECT ON kb_1.kb TO pg_monitor; GRANT SELECT (body) ON kb_1.kb TO pg_monitor",
    "reindexing": "REINDEX TABLE kb_1.kb",
    "policies": "ALTER TABLE kb_1.kb ENABLE ROW LEVEL SECURITY",
    "a checkpoint": "CHECKPOINT",
    "the catalog's own vacuum": "VACUUM (FREEZE, FULL) pg_trigger",
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    with postgres.running(tmp_path_factory.mktemp("postgres")) as started:
        yield started


def superuser_url(server: EmbeddedPostgres) -> str:
    return server.url.replace("regalia@", "postgres@", 1)


@pytest.fixture
def superuser(server: EmbeddedPostgres) -> Iterator[psycopg.Connection]:
    with psycopg.connect(superuser_url(server), autocommit=True) as opened:
        yield opened


@pytest.fixture
def provider(server: EmbeddedPostgres) -> Iterator[PgvectorProvider]:
    opened = open_pgvector(server.url, holder=Holder("op", 1))
    opened.create(NAME, SCHEMA, mark="op")
    list(opened.load(NAME, SCHEMA, [ROWS], ledger=MemoryLedger()))
    opened.build_index(NAME, SCHEMA)
    opened.seals.seal(NAME, mark="op")
    yield opened
    opened.close()
    with psycopg.connect(superuser_url(server), autocommit=True) as cleaning:
        cleaning.execute("DROP SCHEMA IF EXISTS kb_1 CASCADE; DROP SCHEMA IF EXISTS regalia CASCADE")


def rows_of(provider: PgvectorProvider) -> list[Row]:
    with provider.open(NAME) as reading:
        return sorted(row for batch in reading.batches() for row in batch)


def standing_of(provider: PgvectorProvider) -> tuple[bool, str]:
    found = provider.seals.standing(NAME, mark="op")
    return found.sealed, found.marker


@pytest.mark.parametrize("role", ["origin", "replica"])
@pytest.mark.parametrize("statement", WRITES.values(), ids=WRITES)
def test_no_statement_gets_past_a_seal(
    provider: PgvectorProvider, superuser: psycopg.Connection, statement: str, role: str
) -> None:
    superuser.execute(f"SET session_replication_role = {role}")

    with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState, match="sealed: resolve the channel again"):
        superuser.execute(statement)

    assert rows_of(provider) == ROWS


def test_no_row_goes_with_the_row_that_it_refers_to(provider: PgvectorProvider, superuser: psycopg.Connection) -> None:
    superuser.execute("CREATE TABLE sources AS SELECT id FROM kb_1.kb; ALTER TABLE sources ADD PRIMARY KEY (id)")
    superuser.execute("ALTER TABLE kb_1.kb ADD FOREIGN KEY (id) REFERENCES sources ON DELETE CASCADE")

    with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState, match="sealed"):
        superuser.execute("DELETE FROM sources")

    superuser.execute("DROP TABLE sources CASCADE")
    assert rows_of(provider) == ROWS


@pytest.mark.parametrize("change", OPENED.values(), ids=OPENED)
def test_a_seal_that_a_superuser_took_off_and_put_on_again_is_told(
    provider: PgvectorProvider, superuser: psycopg.Connection, change: str
) -> None:
    _, before = standing_of(provider)

    superuser.execute(change)

    sealed, after = standing_of(provider)
    assert sealed
    assert after != before


@pytest.mark.parametrize("change", UNSEALED.values(), ids=UNSEALED)
def test_what_could_be_written_is_not_sealed(
    provider: PgvectorProvider, superuser: psycopg.Connection, change: str
) -> None:
    _, before = standing_of(provider)

    superuser.execute(change)

    sealed, after = standing_of(provider)
    assert not sealed
    assert after != before


@pytest.mark.parametrize("change", [UNSEALED[one] for one in UNSEALED if one not in {"owned by another", "inherited"}])
def test_a_seal_is_made_whole_again_and_differs(
    provider: PgvectorProvider, superuser: psycopg.Connection, change: str
) -> None:
    _, before = standing_of(provider)
    superuser.execute(change)

    provider.seals.seal(NAME, mark="op")

    sealed, after = standing_of(provider)
    assert sealed
    assert after != before
    with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState):
        superuser.execute(WRITES["update"])


@pytest.mark.parametrize("change", HARMLESS.values(), ids=HARMLESS)
def test_what_changes_no_row_leaves_the_marker(
    provider: PgvectorProvider, superuser: psycopg.Connection, change: str
) -> None:
    before = standing_of(provider)

    superuser.execute(change)

    assert standing_of(provider) == before


def test_a_restart_leaves_seal_and_marker(server: EmbeddedPostgres, provider: PgvectorProvider) -> None:
    before = standing_of(provider)
    provider.close()
    server.stop()
    server.start()

    again = open_pgvector(server.url, holder=Holder("op", 2))

    assert standing_of(again) == before
    again.close()


def test_what_tables_inherit_from_can_not_be_sealed(provider: PgvectorProvider, superuser: psycopg.Connection) -> None:
    provider.seals.unseal(NAME, mark="op")
    superuser.execute(UNSEALED["inherited"])

    with pytest.raises(ConflictError, match="can't be sealed"):
        provider.seals.seal(NAME, mark="op")


def test_a_trigger_with_the_name_of_a_seal_is_foreign_all_the_same(
    provider: PgvectorProvider, superuser: psycopg.Connection
) -> None:
    superuser.execute(
        "CREATE TABLE public.other AS SELECT * FROM kb_1.kb; ALTER TABLE public.other ADD PRIMARY KEY (id)"
    )
    superuser.execute(
        "CREATE TRIGGER regalia_sealed BEFORE INSERT ON public.other EXECUTE FUNCTION kb_1.regalia_sealed()"
    )

    refusals = provider.describe("public.other").refusals

    superuser.execute("DROP TABLE public.other")
    assert "it has the trigger regalia_sealed" in refusals
    assert provider.describe(NAME).refusals == ()


def test_a_schema_of_ours_with_a_second_table_is_never_taken_for_another(
    provider: PgvectorProvider, superuser: psycopg.Connection
) -> None:
    superuser.execute("CREATE TABLE kb_1.second (id int); CREATE TABLE public.kb_1 (id int)")

    with pytest.raises(ConflictError, match="more than its one table"):
        provider.seals.unseal(NAME, mark="op")

    superuser.execute("DROP TABLE public.kb_1")
    with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState):
        superuser.execute(WRITES["update"])


def test_a_seal_waits_for_no_reader_and_names_the_writer_that_it_waits_for(
    server: EmbeddedPostgres, provider: PgvectorProvider
) -> None:
    provider.seals.unseal(NAME, mark="op")
    with psycopg.connect(server.url) as reader, psycopg.connect(server.url, application_name="ingestion") as writer:
        reader.execute("SELECT FROM kb_1.kb")
        writer.execute(WRITES["update"])

        with pytest.raises(
            UnavailableError, match=f'process {writer.info.backend_pid} of "regalia" .ingestion.'
        ) as told:
            provider.seals.seal(NAME, mark="op")

        assert "kb_1" not in str(told.value)
        assert not provider.seals.standing(NAME, mark="op").sealed
        writer.rollback()
        provider.seals.seal(NAME, mark="op")
        assert provider.seals.standing(NAME, mark="op").sealed
        provider.seals.unseal(NAME, mark="op")
        assert not provider.seals.standing(NAME, mark="op").sealed


@pytest.mark.usefixtures("provider")
def test_a_late_worker_neither_seals_nor_unseals(server: EmbeddedPostgres) -> None:
    late = PgvectorProvider(connect(server.url, application="elsewhere"), Holder("op", 1))
    later = open_pgvector(server.url, holder=Holder("op", 2))
    later.seals.unseal(NAME, mark="op")

    for step in (late.seals.seal, late.seals.unseal):
        with pytest.raises(ConflictError, match="another worker"):
            step(NAME, mark="op")

    assert not later.seals.standing(NAME, mark="op").sealed
    late.close()
    later.close()


@pytest.mark.usefixtures("provider")
def test_another_operation_seals_by_the_mark_alone(server: EmbeddedPostgres) -> None:
    other = open_pgvector(server.url, holder=Holder("another", 1))

    other.seals.unseal(NAME, mark="op")
    other.seals.seal(NAME, mark="op")

    assert other.seals.standing(NAME, mark="op").sealed
    other.close()
