"""What a hand-made snapshot can say to a PostgreSQL that it is loaded into: nothing of it is executed."""

from collections.abc import Iterator
from dataclasses import replace

import psycopg
import pytest

from regalia.core.errors import RegaliaError
from regalia.core.kinds.snapshot import VectorSpace
from regalia.core.strict_json import JsonObject
from regalia_registry.adapters.memory.vectors import MemoryLedger
from regalia_registry.adapters.vectors.pgvector.embedded import EmbeddedPostgres
from regalia_registry.adapters.vectors.pgvector.grammar import Table
from regalia_registry.adapters.vectors.pgvector.provider import PgvectorProvider, open_pgvector
from regalia_registry.domain.operations import Holder
from regalia_registry.domain.snapshots.schema import KeyKind, Property, Schema
from tests.servers import postgres

NAME = "copy_1"
DROP = "DROP TABLE victim"
MADE = """
CREATE TABLE victim (id int);
CREATE TABLE kb (id int PRIMARY KEY, body text DEFAULT 'new', embedding vector(1));
CREATE INDEX ON kb USING hnsw (embedding vector_l2_ops) WITH (m = 8);
INSERT INTO kb VALUES (1, 'x', '[1]');
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    with postgres.running(tmp_path_factory.mktemp("postgres")) as started:
        with psycopg.connect(started.url, autocommit=True) as connection:
            connection.execute(MADE)
        yield started


@pytest.fixture
def provider(server: EmbeddedPostgres) -> Iterator[PgvectorProvider]:
    made = open_pgvector(server.url, holder=Holder("test", 1))
    yield made
    made.drop(NAME, mark="test")
    made.close()


def load(provider: PgvectorProvider, schema: Schema) -> None:
    with provider.open("kb") as reading:
        rows = [row for batch in reading.batches() for row in batch]
    provider.create(NAME, schema, mark="test")
    list(provider.load(NAME, schema, [rows], ledger=MemoryLedger()))
    provider.build_index(NAME, schema)


def altered(schema: Schema, column: int = 1, **changes: object) -> Schema:
    """Change what the engine's part says of a column, and the property that says the same."""
    table = Table.parse(schema.engine).written()
    columns = table["columns"]
    assert isinstance(columns, list)
    there = columns[column]
    assert isinstance(there, dict)
    there |= changes  # type: ignore[arg-type] # hostile on purpose
    said = Property(str(there["name"]), str(there["type"]))
    return replace(schema, properties=(said,) if column == 1 else schema.properties, engine=table)


def indexed(schema: Schema, **changes: object) -> Schema:
    table = Table.parse(schema.engine).written()
    index: JsonObject = {"method": "hnsw", "columns": ["embedding"], "opclasses": [""], "options": {}, "unique": False}
    index |= changes  # type: ignore[arg-type] # hostile on purpose
    return replace(schema, engine={**table, "indexes": [index]})


HOSTILE = {
    "a type beside the one of its column": lambda schema: replace(
        schema, properties=(Property("body", f"text FROM regalia_group; {DROP}; --"),)
    ),
    "a key's type beside the one of its column": lambda schema: replace(
        schema, key=Property("id", f"integer FROM regalia_group; {DROP}; --")
    ),
    "a property without a column": lambda schema: replace(
        schema, properties=(*schema.properties, Property("more", "text"))
    ),
    "a column without a property": lambda schema: replace(schema, properties=()),
    "a vector without a column": lambda schema: replace(
        schema, vectors=(*schema.vectors, VectorSpace("more", 1, "l2"))
    ),
    "a vector of other dimensions": lambda schema: replace(schema, vectors=(VectorSpace("embedding", 2, "l2"),)),
    "a vector that is a text": lambda schema: replace(
        schema, vectors=(VectorSpace("body", 1, "l2"), *schema.vectors), properties=()
    ),
    "a key of another column": lambda schema: replace(schema, key=Property("victim", "integer")),
    "a key of another kind": lambda schema: replace(schema, key_kind=KeyKind.UUID),
    "a statement in a type": lambda schema: altered(schema, type=f"text); {DROP}; --"),
    "a statement in quotes in a type": lambda schema: altered(schema, type=f'text" ; {DROP}; --"'),
    "a default in a type": lambda schema: altered(schema, type="text DEFAULT current_user"),
    "a rule in a type": lambda schema: altered(schema, type="integer REFERENCES victim"),
    "a type that is a table's": lambda schema: altered(schema, type="pg_catalog.pg_authid"),
    "a type that is not there": lambda schema: altered(schema, type="mood"),
    "a pseudotype": lambda schema: altered(schema, type="trigger"),
    "a type with NUL": lambda schema: altered(schema, type="text\x00"),
    "an expression as default": lambda schema: altered(schema, default=f"(SELECT 1); {DROP}"),
    "a literal that its type can't read": lambda schema: altered(
        schema, type="integer", default="literal", literal=DROP
    ),
    "a name that would be cut": lambda schema: altered(schema, name="n" * 64),
    "a name of too many bytes": lambda schema: altered(schema, name="ł" * 40),
    "a name with NUL": lambda schema: altered(schema, name="body\x00"),
    "no name": lambda schema: altered(schema, name=""),
    "a table's name that would be cut": lambda schema: replace(schema, engine={**schema.engine, "table": "ł" * 40}),
    "a statement for a method": lambda schema: indexed(schema, method=f"hnsw (embedding); {DROP}; --"),
    "a statement for an option": lambda schema: indexed(schema, options={f"m = 8); {DROP}; --": "8"}),
    "a statement for an option's value": lambda schema: indexed(schema, options={"m": f"8); {DROP}; --"}),
    "an option that is none": lambda schema: indexed(schema, options={"color": "8"}),
    "a class of operators that is none": lambda schema: indexed(schema, opclasses=[f'vector_l2_ops"); {DROP}; --']),
    "an index of an expression": lambda schema: indexed(schema, columns=["lower(body)"]),
    "an index of a column that is not there": lambda schema: indexed(schema, columns=["absent"]),
}


@pytest.mark.parametrize("change", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_schema_is_refused_and_nothing_of_it_runs(
    server: EmbeddedPostgres, provider: PgvectorProvider, change: object
) -> None:
    assert callable(change)
    schema = provider.describe("kb").schema

    with pytest.raises(RegaliaError):
        load(provider, change(schema))

    assert standing(server) == [("kb",), ("victim",)]


QUOTED = {
    "a column": lambda schema: altered(schema, name=f'a"); {DROP}; --'),
    "a literal": lambda schema: altered(schema, default="literal", literal=f"'); {DROP}; --"),
    "a table": lambda schema: replace(schema, engine={**schema.engine, "table": f'a"; {DROP}; --'}),
}


@pytest.mark.parametrize("change", QUOTED.values(), ids=QUOTED)
def test_a_statement_where_any_text_may_stand_is_that_text(
    server: EmbeddedPostgres, provider: PgvectorProvider, change: object
) -> None:
    assert callable(change)
    schema = provider.describe("kb").schema

    load(provider, change(schema))

    assert standing(server) == [("kb",), ("victim",)]
    assert provider.describe(NAME).schema == change(schema)


def standing(server: EmbeddedPostgres) -> list[tuple[str]]:
    with psycopg.connect(server.url, autocommit=True) as connection:
        return connection.execute(
            "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public' ORDER BY 1"
        ).fetchall()
