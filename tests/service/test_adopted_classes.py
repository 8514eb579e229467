"""A Weaviate class in use becomes what a channel serves: it keeps its name, and its application goes on writing."""

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from regalia import adopting, moving, operations
from regalia.client import Client
from regalia.core.names import Kind, Slot
from tests.servers import weaviate
from tests.support.registries import Home
from tests.support.stages import PROD, release, staged

NAME, ROWS = "Notes", 60
CLASS = {
    "class": NAME,
    "description": "what the wiki says",
    "properties": [{"name": "body", "dataType": ["text"]}],
    "vectorConfig": {"embedding": {"vectorizer": {"none": {}}, "vectorIndexType": "hnsw"}},
}
ASKED = ("target", "adopt", "far", NAME, "--for", PROD, "--slot", "kb", "--reason", "CHG-7")


class Application:
    """Knows the class, and nothing of the registry."""

    def __init__(self, server: weaviate.Weaviate) -> None:
        self.url = server.url
        self._rest = httpx.Client(base_url=server.origin, timeout=60)
        self._rest.post("/v1/schema", json=CLASS).raise_for_status()
        for number in range(ROWS):
            self.write(number).raise_for_status()

    def close(self) -> None:
        self._rest.close()

    def write(self, number: int, body: str = "") -> httpx.Response:
        row = {
            "class": NAME,
            "id": f"00000000-0000-4000-8000-{number:012}",
            "properties": {"body": body or f"passage {number}"},
            "vectors": {"embedding": [1.0, number / ROWS, 0.5]},
        }
        there = self._rest.put(f"/v1/objects/{NAME}/{row['id']}", json=row)
        return there if there.is_success else self._rest.post("/v1/objects", json=row)

    def rows(self) -> int:
        asked = {"query": f"{{ Aggregate {{ {NAME} {{ meta {{ count }} }} }} }}"}
        told = self._rest.post("/v1/graphql", json=asked).json()
        return int(told["data"]["Aggregate"][NAME][0]["meta"]["count"])


@pytest.fixture
def application(tmp_path: Path) -> Iterator[Application]:
    (tmp_path / "weaviate").mkdir()
    with weaviate.running(tmp_path / "weaviate") as server:
        made = Application(server)
        yield made
        made.close()


@pytest.fixture
def served(tmp_path: Path, application: Application) -> Iterator[Home]:
    """Serve a registry whose channel stands on 1.0.0; 1.1.0 has one row that says something else."""
    with staged(tmp_path, snapshots=False) as made:
        made.must("target", "add", "far", application.url, "--provider", "weaviate")
        with (made.project / "regalia.yaml").open("a") as file:
            file.write(f"  snapshots/kb: {{target: far, collection: {NAME}}}\n")
        release(made, "1.0.0")
        application.write(7, "better").raise_for_status()
        release(made, "1.1.0")
        application.write(7).raise_for_status()
        made.must("channel", "set", PROD, "--snapshot", "kb=far")
        made.must("promote", "1.0.0", "--to", "prod")
        yield made


def collection(made: Home) -> str:
    bundle = Client(environment=made.environment, folder=made.project).refresh(PROD)
    return bundle.collection("kb").collection


def test_what_was_written_to_an_adopted_class_is_kept_when_its_channel_leaves_it(
    served: Home, application: Application
) -> None:
    planned = served.reg(*ASKED, "--dry-run")
    assert "stays a class, and no alias can have its name" in planned.stderr
    served.must(*ASKED, "--yes")
    assert collection(served) == NAME
    application.write(9001, "as ever").raise_for_status()

    told = served.reg("promote", "1.1.0", "--to", "prod")

    assert told.returncode == 0, told.stderr
    assert f"1 rows were written to {NAME} and 0 removed: kept as acme/snapshot/kb-leftover@1.0.0" in told.stderr
    assert collection(served) != NAME
    assert "read-only" in application.write(9002).text
    written = json.loads(served.must("snapshot", "diff", "kb@1.0.0", "kb-leftover@1.0.0", "--json"))
    assert (written["added"], written["removed"]) == (1, 0)


def test_a_class_whose_adoption_nobody_signed_is_taken_up_when_it_is_asked_for_again(
    served: Home, application: Application
) -> None:
    client = Client(environment=served.environment, folder=served.project)
    plan = adopting.plan_adoption(client, client.parse(PROD), moving.Facts("CHG-7"))
    adopted = adopting.Adopted(Slot(Kind.SNAPSHOT, "kb"), "far", NAME)
    unsigned = adopting.adopt(client, plan, adopted, lambda _: None).operation
    operations.cancel(client, "acme", str(unsigned))
    application.write(9001, "as ever").raise_for_status()

    served.must(*ASKED, "--yes")

    assert collection(served) == NAME
    application.write(9002).raise_for_status()
    assert application.rows() == ROWS + 2
