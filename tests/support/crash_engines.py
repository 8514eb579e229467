"""The engines under channels that are moved: what their applications do there, and what goes wrong with them."""

import os
import shutil
import signal
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol
from uuid import UUID

import httpx
import psycopg
from psycopg import sql

from regalia.core.statements import Place
from regalia_registry.adapters.vectors.pgvector.embedded import EmbeddedPostgres, wheel_binaries
from regalia_registry.adapters.vectors.pgvector.provider import open_pgvector
from regalia_registry.adapters.vectors.users import Users
from regalia_registry.adapters.vectors.weaviate.provider import open_weaviate
from regalia_registry.domain.operations import Holder
from regalia_registry.ports.vectors import Provider
from tests.servers import postgres, weaviate
from tests.support.registries import Home

ROWS = 150

_HOLDER = Holder("the-test", 1)


def table_of(place: Place) -> sql.Identifier:
    """Name the table of a place in a statement."""
    return sql.Identifier(place.collection, str(place.table))


class Engine(Protocol):
    """A real engine; `collection` is where its application prepares what is released, each row with its version."""

    target: str
    collection: str
    alias: str

    def fill(self, version: str) -> None:
        """Write all rows of the collection anew."""
        ...

    def bodies(self, place: Place) -> list[str]:
        """Read a released collection as an agent does."""
        ...

    def write(self, place: Place, number: int, body: str) -> None:
        """Write a row into a live collection as its application does."""
        ...

    def lose(self, place: Place) -> None:
        """Drop a released collection, as somebody who does not ask us."""
        ...

    def break_open(self, place: Place) -> None:
        """Open a sealed collection and change a row of it, as a superuser can."""
        ...

    def provider(self) -> Provider:
        """Connect."""
        ...

    def kill(self) -> None:
        """End it at once, and start it again."""
        ...

    def close(self) -> None:
        """Leave nothing of it."""
        ...


class Pgvector:
    """The embedded PostgreSQL."""

    target, collection, alias = "local", "kb", "help"

    def __init__(self, made: Home) -> None:
        data = made.folder / ".local/share/regalia"
        Users(data).join()  # agents read where no worker runs: the last worker to go stops it otherwise
        self._server = EmbeddedPostgres(data / "postgres", wheel_binaries())
        self._server.start()
        self.run(sql.SQL("CREATE TABLE kb (id bigint PRIMARY KEY, body text NOT NULL, embedding vector(4))"))
        self.run(sql.SQL("CREATE INDEX ON kb USING hnsw (embedding vector_cosine_ops)"))

    @property
    def url(self) -> str:
        """Where its owner connects."""
        return self._server.url

    def fill(self, version: str) -> None:
        self.run(
            sql.SQL(
                "INSERT INTO kb SELECT n, %s || ' passage ' || n, ARRAY[n, 1, 0, -n]::vector "
                "FROM generate_series(1, %s) n ON CONFLICT (id) DO UPDATE SET body = excluded.body"
            ),
            version,
            ROWS,
        )

    def bodies(self, place: Place) -> list[str]:
        with psycopg.connect(self.url) as connection:
            found = connection.execute(sql.SQL("SELECT body FROM {}").format(table_of(place))).fetchall()
        return [body for (body,) in found]

    def write(self, place: Place, number: int, body: str) -> None:
        with psycopg.connect(self.url) as connection:
            insert = sql.SQL("INSERT INTO {} VALUES (%s, %s, '[1,0,0,1]')").format(table_of(place))
            connection.execute(insert, (number, body))

    def lose(self, place: Place) -> None:
        self.run(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(place.collection)))

    def break_open(self, place: Place) -> None:
        table = table_of(place)
        self.run(sql.SQL("ALTER TABLE {} DISABLE TRIGGER USER").format(table))
        self.run(sql.SQL("UPDATE {} SET body = 'by hand' WHERE id = 7").format(table))
        self.run(sql.SQL("ALTER TABLE {} ENABLE TRIGGER USER").format(table))

    def provider(self) -> Provider:
        self._server.start()
        return open_pgvector(self._server.url, password=None, holder=_HOLDER)

    def kill(self) -> None:
        for pid in postgres.processes(self._server):
            with suppress(ProcessLookupError):  # a backend that ended by itself
                os.kill(pid, signal.SIGKILL)
        self._server.start()

    def close(self) -> None:
        self._server.stop()
        shutil.rmtree(self._server.folder, ignore_errors=True)

    def run(self, statement: sql.SQL | sql.Composed, *given: object) -> None:
        """Say something as its owner."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(statement, given)


class OfWeaviate:
    """A Weaviate of its own."""

    target, collection, alias = "far", "Kb", "Help"

    def __init__(self, made: Home) -> None:
        self._server = weaviate.make(made.folder / "weaviate")
        self._server.start()
        made.must("target", "add", self.target, self._server.url, "--provider", "weaviate")
        self._post("/v1/schema", {"class": self.collection, "properties": [{"name": "body", "dataType": ["text"]}]})

    def fill(self, version: str) -> None:
        found = [self._object(self.collection, n, f"{version} passage {n}") for n in range(1, ROWS + 1)]
        self._post("/v1/batch/objects", {"objects": found})

    def bodies(self, place: Place) -> list[str]:
        with httpx.Client(base_url=self._server.origin, timeout=30) as client:
            answer = client.get("/v1/objects", params={"class": place.collection, "limit": 10 * ROWS})
            answer.raise_for_status()
        return [str(one["properties"]["body"]) for one in answer.json()["objects"]]

    def write(self, place: Place, number: int, body: str) -> None:
        self._post("/v1/objects", self._object(place.collection, number, body))

    def lose(self, place: Place) -> None:
        with httpx.Client(base_url=self._server.origin, timeout=120) as client:
            client.delete(f"/v1/schema/{place.collection}").raise_for_status()

    def break_open(self, place: Place) -> None:
        path = f"/v1/schema/{place.collection}/shards"
        with httpx.Client(base_url=self._server.origin, timeout=120) as client:
            for shard in client.get(path).json():
                client.put(f"{path}/{shard['name']}", json={"status": "READY"}).raise_for_status()
            client.delete(f"/v1/objects/{place.collection}/{UUID(int=7)}").raise_for_status()

    def stop(self) -> None:
        """End it."""
        self._server.stop()

    def start(self) -> None:
        """Start it again."""
        self._server.start()

    def provider(self) -> Provider:
        return open_weaviate(self._server.url, holder=_HOLDER)

    def kill(self) -> None:
        self._server.stop(signal.SIGKILL)
        self._server.start()

    def close(self) -> None:
        self._server.stop(signal.SIGKILL)
        shutil.rmtree(self._server.folder, ignore_errors=True)

    def _object(self, collection: str, number: int, body: str) -> dict[str, object]:
        vector = [number % 97, number % 89, 1, -number]
        return {"class": collection, "id": str(UUID(int=number)), "properties": {"body": body}, "vector": vector}

    def _post(self, path: str, body: object) -> None:
        with httpx.Client(base_url=self._server.origin, timeout=120) as client:
            client.post(path, json=body).raise_for_status()


ENGINES: dict[str, Callable[[Home], Engine]] = {"pgvector": Pgvector, "weaviate": OfWeaviate}
