"""Aliases in PostgreSQL: who may read through one, which rows, and what is in the way of a flip."""

import struct
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress

import psycopg
import pytest

from regalia.core.errors import AccessError, ConflictError, InvalidNameError, UnavailableError
from regalia.core.kinds.snapshot import VectorSpace
from regalia_registry.adapters.memory.vectors import MemoryLedger
from regalia_registry.adapters.vectors.pgvector import locks
from regalia_registry.adapters.vectors.pgvector.embedded import EmbeddedPostgres
from regalia_registry.adapters.vectors.pgvector.grammar import Column, Table
from regalia_registry.adapters.vectors.pgvector.provider import PgvectorProvider, open_pgvector
from regalia_registry.domain.operations import Holder
from regalia_registry.domain.snapshots.rows import Row, encode_key, encode_properties
from regalia_registry.domain.snapshots.schema import Family, KeyKind, Property, Schema
from tests.servers import postgres

ROLES = ("app_a", "app_b", "app_c")
CLEAN = """
DROP SCHEMA IF EXISTS kb_1 CASCADE; DROP SCHEMA IF EXISTS kb_2 CASCADE; DROP SCHEMA IF EXISTS kb_3 CASCADE;
DROP SCHEMA IF EXISTS app CASCADE; DROP SCHEMA IF EXISTS regalia CASCADE;
DROP VIEW IF EXISTS docs CASCADE
"""


def table_schema(*more: Column, dims: int = 1, key: str = "bigint") -> Schema:
    columns = (
        Column("id", key, not_null=True),
        Column("tenant", "text"),
        Column("embedding", f"vector({dims})"),
        *more,
    )
    return Schema(
        Family.POSTGRESQL,
        Property("id", key),
        KeyKind.INTEGER,
        (VectorSpace("embedding", dims, "l2"),),
        tuple(
            sorted(
                (Property("tenant", "text"), *(Property(one.name, one.type) for one in more)), key=lambda one: one.name
            )
        ),
        Table("kb", columns).written(),
    )


SCHEMA = table_schema()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    with postgres.running(tmp_path_factory.mktemp("postgres")) as started:
        with psycopg.connect(as_role(started, "postgres"), autocommit=True) as superuser:
            for role in ROLES:
                superuser.execute(f"CREATE ROLE {role} LOGIN")
            superuser.execute("GRANT app_a TO regalia")
        yield started


@pytest.fixture
def superuser(server: EmbeddedPostgres) -> Iterator[psycopg.Connection]:
    with psycopg.connect(as_role(server, "postgres"), autocommit=True) as opened:
        yield opened
        opened.execute(CLEAN)


@pytest.fixture
def provider(server: EmbeddedPostgres, superuser: psycopg.Connection) -> Iterator[PgvectorProvider]:  # noqa: ARG001 # it cleans up
    opened = open_pgvector(server.url, holder=Holder("op", 1))
    for number, tenants in ((1, "ab"), (2, "aab")):
        make(opened, f"kb_{number}", SCHEMA, tenants)
    yield opened
    opened.close()


def as_role(server: EmbeddedPostgres, role: str) -> str:
    return server.url.replace("regalia@", f"{role}@", 1)


def make(provider: PgvectorProvider, name: str, schema: Schema, tenants: str) -> None:
    dims = schema.vectors[0].dims
    rows = [
        Row(
            encode_key(number),
            (("embedding", struct.pack(f"<{dims}f", *([number] * dims))),),
            encode_properties({"tenant": f"app_{tenant}"}),
        )
        for number, tenant in enumerate(tenants)
    ]
    provider.create(name, schema, mark="op")
    list(provider.load(name, schema, [rows], ledger=MemoryLedger()))
    provider.seals.seal(name, mark="op")


def seen(server: EmbeddedPostgres, role: str, alias: str = "docs") -> int | str:
    """Count what a role sees through an alias, or say why it sees nothing."""
    with psycopg.connect(as_role(server, role), autocommit=True) as connection:
        try:
            [row] = connection.execute(f"SELECT count(*) FROM {alias}").fetchall()  # noqa: S608 # the test's own words
        except psycopg.Error as error:
            return str(error.diag.message_primary)
    return int(row[0])


def test_who_may_read_the_alias_reads_what_it_leads_to_next_and_nobody_else(
    server: EmbeddedPostgres, provider: PgvectorProvider, superuser: psycopg.Connection
) -> None:
    provider.aliases.set("docs", "kb_1")
    before = [seen(server, role) for role in ROLES]
    superuser.execute("GRANT SELECT ON docs TO app_a, app_b")

    provider.aliases.set("docs", "kb_1")
    after = [seen(server, role) for role in ROLES]
    provider.aliases.set("docs", "kb_2")
    flipped = [seen(server, role) for role in ROLES]

    assert before == ["permission denied for view docs"] * 3
    assert after == [2, 2, "permission denied for view docs"]
    assert flipped == [3, 3, "permission denied for view docs"]


def test_who_reads_a_collection_reads_its_first_alias_and_the_next_collection(
    server: EmbeddedPostgres, provider: PgvectorProvider, superuser: psycopg.Connection
) -> None:
    superuser.execute("GRANT SELECT ON kb_1.kb TO app_a; GRANT SELECT (id), UPDATE (tenant) ON kb_1.kb TO app_b")
    superuser.execute("GRANT SELECT, TRUNCATE, TRIGGER ON kb_1.kb TO app_c WITH GRANT OPTION")

    provider.aliases.set("docs", "kb_1")
    provider.aliases.set("docs", "kb_2")

    assert [seen(server, role) for role in ROLES] == [3, "permission denied for view docs", 3]
    granted = superuser.execute(
        "SELECT grantee, privilege_type, is_grantable FROM information_schema.table_privileges "
        "WHERE table_schema = 'kb_2' AND grantee LIKE 'app%' ORDER BY 1, 2"
    ).fetchall()
    assert granted == [("app_a", "SELECT", "NO"), ("app_c", "SELECT", "YES")]
    with psycopg.connect(as_role(server, "app_b"), autocommit=True) as limited:
        assert limited.execute("SELECT id FROM kb_2.kb ORDER BY 1").fetchall() == [(0,), (1,), (2,)]
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            limited.execute("SELECT tenant FROM kb_2.kb")
        with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState, match="sealed"):
            limited.execute("UPDATE kb_2.kb SET tenant = 'x'")


def test_rows_that_a_policy_hides_stay_hidden_after_a_flip(
    server: EmbeddedPostgres, provider: PgvectorProvider, superuser: psycopg.Connection
) -> None:
    superuser.execute(
        "GRANT SELECT ON kb_1.kb TO app_a, app_b, app_c; ALTER TABLE kb_1.kb ENABLE ROW LEVEL SECURITY;"
        "CREATE POLICY own ON kb_1.kb FOR SELECT TO app_a, app_b USING (tenant = current_user);"
        "CREATE POLICY few ON kb_1.kb AS RESTRICTIVE FOR ALL USING (id < 100) WITH CHECK (id < 50)"
    )
    provider.aliases.set("docs", "kb_1")
    before = [seen(server, role) for role in ROLES]

    provider.aliases.set("docs", "kb_2")

    assert before == [1, 1, 0]
    assert [seen(server, role) for role in ROLES] == [2, 1, 0]
    provider.aliases.set("docs", "kb_1")
    assert [seen(server, role) for role in ROLES] == [1, 1, 0]
    policies = (
        "SELECT policyname, permissive, roles, cmd, qual, with_check FROM pg_policies WHERE schemaname = %s ORDER BY 1"
    )
    assert superuser.execute(policies, ("kb_1",)).fetchall() == superuser.execute(policies, ("kb_2",)).fetchall()


def test_rows_stay_hidden_where_the_alias_was_changed_by_hand_before_the_flip(
    server: EmbeddedPostgres, provider: PgvectorProvider, superuser: psycopg.Connection
) -> None:
    superuser.execute(
        "GRANT SELECT ON kb_1.kb TO app_b; ALTER TABLE kb_1.kb ENABLE ROW LEVEL SECURITY;"
        "CREATE POLICY own ON kb_1.kb USING (tenant = current_user)"
    )
    provider.aliases.set("docs", "kb_1")
    superuser.execute("CREATE OR REPLACE VIEW docs AS SELECT id, tenant, embedding FROM kb_2.kb")

    provider.aliases.set("docs", "kb_2")

    assert (provider.aliases.get("docs"), seen(server, "app_b")) == ("kb_2", 1)


def test_a_comment_that_only_begins_like_ours_makes_no_alias(
    provider: PgvectorProvider, superuser: psycopg.Connection
) -> None:
    superuser.execute("CREATE VIEW docs AS SELECT * FROM kb_1.kb; COMMENT ON VIEW docs IS 'regalia: alias of mine'")

    with pytest.raises(ConflictError, match="no alias of ours"):
        provider.aliases.get("docs")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("CREATE POLICY other ON kb_2.kb USING (true)", "different row-level policies"),
        ("ALTER POLICY own ON kb_1.kb USING (id IN (SELECT max(k.id) FROM kb_1.kb k))", "names its own table"),
    ],
)
def test_a_policy_that_can_not_be_carried_over_refuses_the_flip(
    server: EmbeddedPostgres, provider: PgvectorProvider, superuser: psycopg.Connection, change: str, told: str
) -> None:
    superuser.execute("GRANT SELECT ON kb_1.kb TO app_b; ALTER TABLE kb_1.kb ENABLE ROW LEVEL SECURITY")
    superuser.execute("CREATE POLICY own ON kb_1.kb USING (tenant = current_user)")
    provider.aliases.set("docs", "kb_1")
    superuser.execute(change)

    with pytest.raises(ConflictError, match=told):
        provider.aliases.set("docs", "kb_2")

    assert provider.aliases.get("docs") == "kb_1"
    assert seen(server, "app_b", "kb_2.kb") == "permission denied for schema kb_2"


def test_a_role_that_could_not_read_the_next_collection_refuses_the_flip(
    server: EmbeddedPostgres, provider: PgvectorProvider, superuser: psycopg.Connection
) -> None:
    superuser.execute(
        "GRANT SELECT ON kb_1.kb TO app_a; CREATE SCHEMA app;"
        "CREATE FUNCTION app.allowed() RETURNS boolean LANGUAGE sql AS 'SELECT true';"
        "GRANT USAGE ON SCHEMA app TO PUBLIC; REVOKE ALL ON FUNCTION app.allowed() FROM PUBLIC;"
        "ALTER TABLE kb_2.kb ENABLE ROW LEVEL SECURITY; CREATE POLICY asking ON kb_2.kb USING (app.allowed())"
    )
    provider.aliases.set("docs", "kb_1")

    with pytest.raises(AccessError, match=r'role "app_a" could not read it: .* function app.allowed'):
        provider.aliases.set("docs", "kb_2")

    assert (provider.aliases.get("docs"), seen(server, "app_a")) == ("kb_1", 2)
    leftovers = "SELECT FROM pg_class WHERE relname LIKE 'regalia%' AND relkind = 'v'"
    assert superuser.execute(leftovers).fetchall() == []


def test_a_policy_that_names_a_table_with_a_quoted_schema_is_not_carried_over(
    provider: PgvectorProvider, superuser: psycopg.Connection
) -> None:
    make(provider, "Kb-3", SCHEMA, "ab")
    superuser.execute(
        'ALTER TABLE "Kb-3".kb ENABLE ROW LEVEL SECURITY;'
        'CREATE POLICY own ON "Kb-3".kb USING (id IN (SELECT max(k.id) FROM "Kb-3".kb k))'
    )
    provider.aliases.set("docs", "Kb-3")

    with pytest.raises(ConflictError, match="names its own table"):
        provider.aliases.set("docs", "kb_1")

    assert provider.aliases.get("docs") == "Kb-3"
    assert provider.aliases.remove("docs")
    assert provider.drop("Kb-3", mark="op")


def test_what_somebodys_view_reads_is_not_dropped_and_the_view_is_named(
    provider: PgvectorProvider, superuser: psycopg.Connection
) -> None:
    superuser.execute("CREATE VIEW report AS SELECT count(*) FROM kb_1.kb")

    with pytest.raises(ConflictError, match=r"view report depends on table kb_1\.kb") as caught:
        provider.drop("kb_1", mark="op")

    assert "let whoever made that drop it" in caught.value.hint
    assert superuser.execute("SELECT * FROM report").fetchall() == [(2,)]
    superuser.execute("DROP VIEW report")
    assert provider.drop("kb_1", mark="op")


FOREIGN = {
    "a foreign key": ("CREATE TABLE notes (kb bigint REFERENCES kb_1.kb)", "DROP TABLE notes"),
    "a table beside ours": ("CREATE TABLE kb_1.notes (n int)", "DROP TABLE kb_1.notes"),
    "a function beside ours": (
        "CREATE FUNCTION kb_1.f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "DROP FUNCTION kb_1.f()",
    ),
}


@pytest.mark.parametrize(("made", "dropped"), FOREIGN.values(), ids=FOREIGN)
def test_what_somebody_built_on_a_collection_keeps_it(
    provider: PgvectorProvider, superuser: psycopg.Connection, made: str, dropped: str
) -> None:
    superuser.execute(made.encode())

    with pytest.raises(ConflictError, match='"kb_1" is not dropped, something depends on it'):
        provider.drop("kb_1", mark="op")

    assert superuser.execute("SELECT count(*) FROM kb_1.kb").fetchall() == [(2,)]
    superuser.execute(dropped.encode())
    assert provider.drop("kb_1", mark="op")


def test_an_alias_that_somebodys_view_reads_is_not_removed(
    provider: PgvectorProvider, superuser: psycopg.Connection
) -> None:
    provider.aliases.set("docs", "kb_1")
    superuser.execute("CREATE VIEW report AS SELECT count(*) FROM docs")

    with pytest.raises(ConflictError):
        provider.aliases.remove("docs")

    assert superuser.execute("SELECT * FROM report").fetchall() == [(2,)]


def test_an_alias_that_was_changed_by_hand_is_nobodys_to_remove_with_its_collection(
    provider: PgvectorProvider, superuser: psycopg.Connection
) -> None:
    provider.aliases.set("docs", "kb_1")
    superuser.execute("CREATE OR REPLACE VIEW docs AS SELECT * FROM kb_1.kb WHERE id = 1")

    assert provider.aliases.leading_to("kb_1") == ()
    with pytest.raises(ConflictError, match="view docs depends"):
        provider.drop("kb_1", mark="op")


def test_aliases_in_another_schema_are_named_with_it(provider: PgvectorProvider, superuser: psycopg.Connection) -> None:
    superuser.execute("CREATE SCHEMA app AUTHORIZATION regalia")
    for alias in ("app.docs", "docs"):
        provider.aliases.set(alias, "kb_1")

    found = provider.aliases.leading_to("kb_1")

    assert found == ("app.docs", "docs")
    assert [provider.aliases.remove(alias) for alias in found] == [True, True]


def test_a_table_on_which_we_can_grant_nothing_refuses_the_flip(
    server: EmbeddedPostgres, provider: PgvectorProvider, superuser: psycopg.Connection
) -> None:
    superuser.execute("GRANT SELECT ON kb_1.kb TO app_b")
    provider.aliases.set("docs", "kb_1")
    superuser.execute("ALTER TABLE kb_2.kb OWNER TO postgres; GRANT SELECT ON kb_2.kb TO regalia")

    with pytest.raises(AccessError, match=r'role "app_b" could not read it: .* table kb_2.kb'):
        provider.aliases.set("docs", "kb_2")

    assert (provider.aliases.get("docs"), seen(server, "app_b")) == ("kb_1", 2)


def test_no_function_of_a_policy_runs_with_our_rights(
    provider: PgvectorProvider, superuser: psycopg.Connection
) -> None:
    superuser.execute(
        "CREATE SCHEMA app; CREATE TABLE app.stolen (who name); GRANT ALL ON SCHEMA app TO PUBLIC;"
        "GRANT ALL ON app.stolen TO PUBLIC;"
        "CREATE FUNCTION app.steals(bigint) RETURNS boolean LANGUAGE plpgsql AS "
        "$$ BEGIN RESET ROLE; INSERT INTO app.stolen VALUES (current_user); RETURN true; END $$;"
        "GRANT SELECT ON kb_1.kb TO app_a; ALTER TABLE kb_1.kb ENABLE ROW LEVEL SECURITY;"
        "CREATE POLICY own ON kb_1.kb USING (app.steals(id))"
    )

    provider.aliases.set("docs", "kb_1")
    provider.aliases.set("docs", "kb_2")

    assert superuser.execute("SELECT * FROM app.stolen").fetchall() == []


def test_prepared_statements_and_views_of_others_follow_a_flip(
    server: EmbeddedPostgres, provider: PgvectorProvider, superuser: psycopg.Connection
) -> None:
    superuser.execute("GRANT SELECT ON kb_1.kb TO app_b")
    provider.aliases.set("docs", "kb_1")
    superuser.execute("CREATE SCHEMA app; CREATE VIEW app.counted AS SELECT count(*) FROM docs")
    with psycopg.connect(as_role(server, "app_b"), autocommit=True) as application:
        application.execute("PREPARE all_of AS SELECT * FROM docs ORDER BY embedding <-> '[0]'")
        counts = []

        for name in ("kb_1", "kb_2") * 4:
            provider.aliases.set("docs", name)
            [others] = superuser.execute("SELECT * FROM app.counted").fetchall()
            counts.append((len(application.execute("EXECUTE all_of").fetchall()), others[0]))

    assert counts == [(2, 2), (3, 3)] * 4


def test_two_workers_that_set_aliases_at_once_never_stumble_over_each_other(
    server: EmbeddedPostgres,
    provider: PgvectorProvider,
    superuser: psycopg.Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(locks, "_PAUSES_S", (0.0, 0.5, 1.0, 2.0, 4.0))  # for a busy machine
    superuser.execute(
        "GRANT SELECT ON kb_1.kb TO app_a, app_b, app_c; CREATE SCHEMA app; GRANT ALL ON SCHEMA app TO regalia"
    )
    start = threading.Barrier(2)

    def work(operation: str, alias: str) -> list[str | None]:
        with closing(open_pgvector(server.url, holder=Holder(operation, 1))) as worker:
            start.wait()
            found = []
            for name in ("kb_1", "kb_2") * 10:
                worker.aliases.set(alias, name)
                found.append(worker.aliases.get(alias))
                worker.aliases.set("app.shared", name)
                with suppress(psycopg.errors.InternalError_):  # who grants by hand may stumble over a worker
                    superuser.execute(
                        "REVOKE UPDATE ON kb_1.kb, kb_2.kb FROM app_a; GRANT UPDATE ON app.shared TO app_a"
                    )
            return found

    with ThreadPoolExecutor(2) as pool:
        working = [pool.submit(work, *one) for one in (("another", "docs"), ("third", "app.docs"))]
        found = [one.result() for one in working]

    assert found == [["kb_1", "kb_2"] * 10] * 2
    assert provider.aliases.get("app.shared") in {"kb_1", "kb_2"}


def test_a_reader_whose_transaction_is_left_open_is_named_and_nothing_changes(
    server: EmbeddedPostgres, provider: PgvectorProvider, superuser: psycopg.Connection
) -> None:
    superuser.execute("GRANT SELECT ON kb_1.kb TO app_b")
    provider.aliases.set("docs", "kb_1")
    with psycopg.connect(as_role(server, "app_b"), application_name="search page") as reader:
        reader.execute("SELECT * FROM docs WHERE tenant = 'a secret'")

        with pytest.raises(UnavailableError, match=r'of "app_b" \(search page\)') as refused:
            provider.aliases.set("docs", "kb_2")

        assert f"process {reader.info.backend_pid} " in refused.value.message
        assert "secret" not in refused.value.message
        assert (provider.aliases.get("docs"), seen(server, "app_b")) == ("kb_1", 2)
        reader.rollback()
        provider.aliases.set("docs", "kb_2")
    assert (provider.aliases.get("docs"), seen(server, "app_b")) == ("kb_2", 3)


@pytest.mark.parametrize(
    "change",
    [
        "CREATE OR REPLACE VIEW docs WITH (security_invoker) AS SELECT id, tenant, embedding FROM kb_2.kb",
        "CREATE OR REPLACE VIEW docs WITH (security_invoker) AS SELECT id, tenant, embedding FROM kb_1.kb WHERE id < 1",
        "CREATE OR REPLACE VIEW docs WITH (security_invoker) AS SELECT a.id, a.tenant, b.embedding "
        "FROM kb_1.kb a JOIN kb_2.kb b ON a.id = b.id",
        "ALTER VIEW docs RESET (security_invoker)",
        "ALTER VIEW docs SET (security_invoker = false)",
    ],
)
def test_an_alias_that_was_changed_by_hand_is_none_until_it_is_set_again(
    provider: PgvectorProvider, superuser: psycopg.Connection, server: EmbeddedPostgres, change: str
) -> None:
    superuser.execute("GRANT SELECT ON kb_1.kb TO app_b")
    provider.aliases.set("docs", "kb_1")
    superuser.execute(change)

    found = provider.aliases.get("docs")
    provider.aliases.set("docs", "kb_1")

    assert found is None
    assert (provider.aliases.get("docs"), seen(server, "app_b")) == ("kb_1", 2)


@pytest.mark.parametrize(
    ("kind", "made"),
    [
        ("TABLE", "(id int)"),
        ("MATERIALIZED VIEW", "AS SELECT 1 AS id"),
        ("VIEW", "AS SELECT * FROM kb_1.kb"),
        ("SEQUENCE", "START 1"),
    ],
)
def test_what_has_the_name_already_is_left_alone(
    provider: PgvectorProvider, superuser: psycopg.Connection, kind: str, made: str
) -> None:
    superuser.execute(f"CREATE {kind} taken {made}")

    for step in (
        lambda: provider.aliases.get("taken"),
        lambda: provider.aliases.set("taken", "kb_1"),
        lambda: provider.aliases.remove("taken"),
    ):
        with pytest.raises(ConflictError, match="no alias of ours"):
            step()
    assert "no alias of ours" in provider.aliases.refusals("taken", SCHEMA)[0]
    superuser.execute(f"DROP {kind} taken")


@pytest.mark.parametrize(
    ("schema", "told"),
    [
        (table_schema(dims=2), "embedding is vector(1), and would be vector(2)"),
        (table_schema(Column("more", "text")), "more would be new"),
        (table_schema(key="integer"), "id is bigint, and would be integer"),
    ],
    ids=["dimensions", "columns", "types"],
)
def test_other_columns_are_refused_before_they_are_made_and_when_they_are(
    provider: PgvectorProvider, schema: Schema, told: str
) -> None:
    provider.aliases.set("docs", "kb_1")
    make(provider, "kb_3", schema, "a")

    refusals = provider.aliases.refusals("docs", schema)
    with pytest.raises(ConflictError) as refused:
        provider.aliases.set("docs", "kb_3")

    assert refusals == (told,)
    assert told in refused.value.message
    assert provider.aliases.get("docs") == "kb_1"


def test_what_the_target_lacks_is_told_before_anything_is_made(
    server: EmbeddedPostgres, provider: PgvectorProvider, superuser: psycopg.Connection
) -> None:
    superuser.execute("CREATE SCHEMA app")
    guest = open_pgvector(as_role(server, "app_c"), holder=Holder("op", 1))
    provider.aliases.set("docs", "kb_1")

    assert provider.aliases.refusals("app.docs", SCHEMA) == (
        'the target\'s role may not make it: GRANT USAGE, CREATE ON SCHEMA "app"',
    )
    assert provider.aliases.refusals("absent.docs", SCHEMA) == ('there is no schema "absent"',)
    assert 'another role owns the view "docs"' in guest.aliases.refusals("docs", SCHEMA)
    with pytest.raises(AccessError):
        provider.aliases.set("app.docs", "kb_1")
    guest.close()


def test_an_alias_may_have_a_schema_of_its_own(
    server: EmbeddedPostgres, provider: PgvectorProvider, superuser: psycopg.Connection
) -> None:
    superuser.execute("CREATE SCHEMA app; GRANT ALL ON SCHEMA app TO regalia; GRANT USAGE ON SCHEMA app TO app_b")
    superuser.execute("GRANT SELECT ON kb_1.kb TO app_b")

    provider.aliases.set('app.do"cs', "kb_1")

    assert seen(server, "app_b", 'app."do""cs"') == 2
    assert (provider.aliases.get('app.do"cs'), provider.aliases.get('do"cs')) == ("kb_1", None)
    assert provider.aliases.remove('app.do"cs')


@pytest.mark.parametrize("alias", ["", "app.", ".docs", "a.b.c", "d" * 64, "ü" * 32])
def test_a_name_that_no_view_has_is_refused(provider: PgvectorProvider, alias: str) -> None:
    with pytest.raises(InvalidNameError, match="no name of a view"):
        provider.aliases.get(alias)


def test_what_another_view_reads_is_not_removed_under_it(
    provider: PgvectorProvider, superuser: psycopg.Connection
) -> None:
    provider.aliases.set("docs", "kb_1")
    superuser.execute("CREATE SCHEMA app; CREATE VIEW app.counted AS SELECT count(*) FROM docs")

    with pytest.raises(ConflictError, match="other objects depend on it"):
        provider.aliases.remove("docs")

    assert provider.aliases.get("docs") == "kb_1"
