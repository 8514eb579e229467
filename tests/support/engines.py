"""The engines that contracts run on: a provider of each, and what its applications do there without us."""

import json
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from uuid import UUID, uuid5

import httpx
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from psycopg import sql

from regalia.core.digest import Digest
from regalia.core.errors import ConflictError
from regalia.core.kinds.snapshot import VectorSpace
from regalia_registry.adapters.memory.vectors import Held, MemoryLedger, MemoryVectors
from regalia_registry.adapters.vectors.files.provider import open_files
from regalia_registry.adapters.vectors.pgvector.provider import open_pgvector
from regalia_registry.adapters.vectors.weaviate.provider import open_weaviate
from regalia_registry.domain.operations import Holder
from regalia_registry.domain.snapshots.root import BUCKETS, bucket_digest, content_root
from regalia_registry.domain.snapshots.rows import Row, encode_key, encode_properties
from regalia_registry.domain.snapshots.schema import Family, KeyKind, Property, Schema
from regalia_registry.ports.vectors import Provider
from tests.servers import postgres, weaviate
from tests.support.segments import row_digest

SPACE = UUID("6ba7b811-9dad-11d1-80b4-00c04fd430c8")
COUNT = 2500
SCHEMA = Schema(
    Family.FILES,
    Property("id", "uuid"),
    KeyKind.UUID,
    (VectorSpace("embedding", 3, "cosine"),),
    (Property("body", "text"),),
    {},
)


CLASS = {
    "class": "Kb",
    "properties": [{"name": "body", "dataType": ["text"]}],
    "vectorConfig": {"embedding": {"vectorizer": {"none": {}}, "vectorIndexType": "hnsw"}},
}


def vector(number: int) -> list[float]:
    return [1.0, number / COUNT, -0.0]


def name_of(number: int) -> UUID:
    return uuid5(SPACE, str(number))


class RefusedWriteError(Exception):
    """What an application gets whose write the engine refuses, in the engine's own words."""


def _serves_nobody(*_: object) -> int:
    raise AssertionError("nobody is served from this engine")


@dataclass
class Engine:
    """A provider, and what applications do in it.

    `fill` makes the collection `kb` with rows from 0 up to a number; `write` writes one more row into a collection of
    ours, or raises `RefusedWriteError`; `seen` counts the rows under an alias, of which `alias` is one; `lose` drops a
    collection of ours behind our back. An engine that nobody is served from has the first alone.
    """

    provider: Provider
    fill: Callable[[int], str]
    suffix: str = ""
    write: Callable[[str, int], object] = _serves_nobody
    seen: Callable[[str], int] = _serves_nobody
    lose: Callable[[str], object] = _serves_nobody
    alias: str = ""


def made_row(number: int) -> Row:
    return Row(
        encode_key(name_of(number)),
        (("embedding", struct.pack("<3f", *vector(number))),),
        encode_properties({"body": f"passage {number}"}),
    )


def memory(_: Path) -> Iterator[Engine]:
    provider = MemoryVectors()

    def fill(count: int) -> str:
        rows = map(made_row, range(count))
        provider.held["kb"] = Held(SCHEMA, rows={row.key: row for row in rows})
        return "kb"

    def write(name: str, number: int) -> None:
        try:
            list(provider.load(name, SCHEMA, [[made_row(number)]], ledger=MemoryLedger()))
        except ConflictError as error:
            raise RefusedWriteError(str(error)) from error

    def seen(alias: str) -> int:
        return len(provider.held[provider.led[alias]].rows)

    def lose(name: str) -> None:
        del provider.held[name]

    yield Engine(provider, fill, write=write, seen=seen, lose=lose, alias="docs")


def pgvector(folder: Path) -> Iterator[Engine]:
    with postgres.running(folder) as server:

        def fill(count: int) -> str:
            with psycopg.connect(server.url, autocommit=True) as connection:
                connection.execute("DROP TABLE IF EXISTS kb")
                connection.execute("CREATE TABLE kb (id uuid PRIMARY KEY, body text NOT NULL, embedding vector(3))")
                connection.execute("CREATE INDEX ON kb USING hnsw (embedding vector_cosine_ops) WITH (m = 8)")
                rows = [(name_of(number), f"passage {number}", str(vector(number))) for number in range(count)]
                connection.cursor().executemany("INSERT INTO kb VALUES (%s, %s, %s)", rows)
            return "public.kb"

        def write(name: str, number: int) -> None:
            row = (name_of(number), f"passage {number}", str(vector(number)))
            query = sql.SQL("INSERT INTO {} VALUES (%s, %s, %s)").format(sql.Identifier(name, "kb"))
            with psycopg.connect(server.url, autocommit=True) as connection:
                try:
                    connection.execute(query, row)
                except psycopg.errors.ObjectNotInPrerequisiteState as error:
                    raise RefusedWriteError(str(error)) from error

        def seen(alias: str) -> int:
            with psycopg.connect(server.url, autocommit=True) as connection:
                [row] = connection.execute(
                    sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(*alias.split(".")))
                ).fetchall()
            return int(row[0])

        def lose(name: str) -> None:
            with psycopg.connect(server.url, autocommit=True) as connection:
                connection.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(name)))

        provider = open_pgvector(server.url, holder=Holder("test", 1))
        yield Engine(provider, fill, write=write, seen=seen, lose=lose, alias="docs")
        provider.close()


def parquet(folder: Path) -> Iterator[Engine]:
    def fill(count: int) -> str:
        columns = {
            "id": pa.array([name_of(number).bytes for number in range(count)], pa.binary(16)),
            "body": pa.array([f"passage {number}" for number in range(count)], pa.string()),
            "embedding": pa.array([vector(number) for number in range(count)], pa.list_(pa.float32(), 3)),
        }
        pq.write_table(pa.table(columns), folder / "kb.parquet", row_group_size=700)
        return "kb.parquet"

    with closing(open_files(folder.as_uri(), holder=Holder("test", 1))) as provider:
        yield Engine(provider, fill, ".parquet")


def jsonl(folder: Path) -> Iterator[Engine]:
    head = {"v": 1, "schema": json.loads(SCHEMA.written())}

    def fill(count: int) -> str:
        lines = [json.dumps({"regalia": head})]
        for number in range(count):
            row = {"id": str(name_of(number)), "vectors": {"embedding": vector(number)}, "body": f"passage {number}"}
            lines.append(json.dumps(row))
        (folder / "kb.jsonl").write_text("\n".join(lines))
        return "kb.jsonl"

    with closing(open_files(folder.as_uri(), holder=Holder("test", 1))) as provider:
        yield Engine(provider, fill, ".jsonl")


def of_weaviate(folder: Path) -> Iterator[Engine]:
    with weaviate.running(folder) as server, httpx.Client(base_url=server.origin, timeout=60) as client:

        def fill(count: int) -> str:
            client.delete("/v1/schema/Kb")
            client.post("/v1/schema", json=CLASS)
            rows = [
                {
                    "class": "Kb",
                    "id": str(name_of(number)),
                    "properties": {"body": f"passage {number}"},
                    "vectors": {"embedding": one},
                }
                for number in range(count)
                for one in [vector(number)]
            ]
            for start in range(0, count, 500):
                client.post("/v1/batch/objects", json={"objects": rows[start : start + 500]}).raise_for_status()
            return "Kb"

        def write(name: str, number: int) -> None:
            row = {
                "class": name,
                "id": str(name_of(number)),
                "properties": {"body": f"passage {number}"},
                "vectors": {"embedding": vector(number)},
            }
            answer = client.post("/v1/objects", json=row)
            if "read-only" in answer.text:
                raise RefusedWriteError(answer.text)
            answer.raise_for_status()

        def seen(alias: str) -> int:
            question = f"{{ Aggregate {{ {alias} {{ meta {{ count }} }} }} }}"
            told = client.post("/v1/graphql", json={"query": question}).json()
            return int(told["data"]["Aggregate"][alias][0]["meta"]["count"])

        def lose(name: str) -> None:
            client.delete(f"/v1/schema/{name}").raise_for_status()

        provider = open_weaviate(server.url, holder=Holder("test", 1))
        yield Engine(provider, fill, write=write, seen=seen, lose=lose, alias="Docs")
        provider.close()


ENGINES: dict[str, Callable[[Path], Iterator[Engine]]] = {
    "memory": memory,
    "pgvector": pgvector,
    "another pgvector": pgvector,
    "weaviate": of_weaviate,
    "parquet": parquet,
    "jsonl": jsonl,
}
SERVING = ("memory", "pgvector", "weaviate")  # of these, what a channel can serve from
ADOPTING = SERVING  # and what collections in use can be adopted in
RENAMING = ("memory", "pgvector")  # where what is adopted gets another name, and an alias takes its own


def opened(kind: str, factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """Open an engine by its name, in a folder of its own."""
    yield from ENGINES[kind](factory.mktemp("engine"))


def rows_of(engine: Engine, name: str) -> list[Row]:
    with engine.provider.source.open(name) as reading:
        return sorted(row for batch in reading.batches() for row in batch)


def root_of(schema: Schema, rows: Sequence[Row]) -> Digest:
    buckets: list[list[tuple[bytes, bytes]]] = [[] for _ in range(BUCKETS)]
    for row in rows:
        place = sha256(row.key).digest()
        buckets[place[0]].append((place, row_digest(row)))
    return content_root(schema.digest, count=len(rows), buckets=[bucket_digest(one) for one in buckets])


def groups(rows: Sequence[Row], size: int = 600) -> list[Sequence[Row]]:
    return [rows[start : start + size] for start in range(0, len(rows), size)]


def loaded(engine: Engine, name: str, source: str) -> tuple[Schema, list[Row]]:
    schema, rows = engine.provider.collections.describe(source).schema, rows_of(engine, source)
    engine.provider.collections.create(name, schema, mark="test")
    assert list(engine.provider.sink.load(name, schema, groups(rows), ledger=MemoryLedger()))[-1] == len(rows)
    engine.provider.sink.build_index(name, schema)
    return schema, rows
