"""Weaviate classes that applications made, adopted where they are."""

from collections.abc import Iterator
from contextlib import closing

import httpx
import pytest

from regalia.core.errors import ConflictError, NotFoundError, UnavailableError, UnsupportedError
from regalia_registry.adapters.vectors.weaviate.provider import WeaviateProvider, open_weaviate
from regalia_registry.domain.operations import Holder
from tests.servers import weaviate
from tests.servers.weaviate import Weaviate
from tests.snapshots.test_weaviate import fill, make, read

INTO = "Kb_a1b2c3d4"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Weaviate]:
    with weaviate.running(tmp_path_factory.mktemp("weaviate")) as running:
        yield running


@pytest.fixture
def rest(server: Weaviate) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.origin, timeout=60) as client:
        yield client
        for one in client.get("/v1/aliases").json()["aliases"]:
            client.delete(f"/v1/aliases/{one['alias']}")
        for one in client.get("/v1/schema").json()["classes"]:
            client.delete(f"/v1/schema/{one['class']}")


@pytest.fixture
def provider(server: Weaviate) -> Iterator[WeaviateProvider]:
    with closing(open_weaviate(server.url, holder=Holder("test", 1))) as made:
        yield made


def test_a_class_keeps_its_name_and_what_its_description_said(rest: httpx.Client, provider: WeaviateProvider) -> None:
    make(rest, description="Passages of the help pages.")
    fill(rest)
    before, rows = rest.get("/v1/schema/Kb").json(), read(provider)

    assert provider.adoption.renamed("Kb", into=INTO) == "Kb"
    with pytest.raises(UnsupportedError, match="a class keeps its name"):
        provider.adoption.adopt("Kb", into=INTO, mark="test")

    provider.adoption.adopt("Kb", into="Kb", mark="test")

    after = rest.get("/v1/schema/Kb").json()
    told = after.pop("description")
    assert told.startswith("regalia: test\n")
    assert before.pop("description") in told
    assert (after, read(provider)) == (before, rows)
    assert rest.get(f"/v1/schema/{INTO}").status_code == 404


def test_its_consequences_say_what_to_say_instead_of_its_name(rest: httpx.Client, provider: WeaviateProvider) -> None:
    make(rest, "Other", invertedIndexConfig={"indexTimestamps": True})
    make(rest)
    rest.post("/v1/aliases", json={"alias": "Docs", "class": "Kb"}).raise_for_status()

    told = " ".join(provider.adoption.consequences("Kb"))

    for words in ('no alias can have its name: who says "Kb"', "asks the resolver", 'alias "Docs"', "no index of time"):
        assert words in told
    assert "no index of time" not in " ".join(provider.adoption.consequences("Other"))


def test_an_alias_that_led_to_it_moves_with_the_channel(rest: httpx.Client, provider: WeaviateProvider) -> None:
    make(rest)
    fill(rest, 1)
    rest.post("/v1/aliases", json={"alias": "Docs", "class": "Kb"}).raise_for_status()
    provider.adoption.adopt("Kb", into="Kb", mark="test")
    provider.create(INTO, provider.describe("Kb").schema, mark="test")

    provider.aliases.set("Docs", INTO)

    assert rest.get("/v1/aliases/Docs").json()["class"] == INTO


def test_an_alias_of_an_adopted_class_may_be_its_applications_and_keeps_it(
    rest: httpx.Client, provider: WeaviateProvider
) -> None:
    make(rest)
    rest.post("/v1/aliases", json={"alias": "Docs", "class": "Kb"}).raise_for_status()
    provider.adoption.adopt("Kb", into="Kb", mark="test")

    assert provider.aliases.leading_to("Kb") == ()
    with pytest.raises(ConflictError, match="something depends on it: the alias Docs"):
        provider.drop("Kb", mark="test")

    assert rest.get("/v1/aliases/Docs").json()["class"] == "Kb"


def test_a_class_without_timestamps_shows_a_late_write_in_its_marker(
    rest: httpx.Client, provider: WeaviateProvider
) -> None:
    make(rest)
    fill(rest)
    provider.adoption.adopt("Kb", into="Kb", mark="test")
    provider.seals.seal("Kb", mark="test")
    before = provider.seals.standing("Kb", mark="test")

    provider.seals.unseal("Kb", mark="test")
    fill(rest, 1)
    provider.seals.seal("Kb", mark="test")

    assert before.sealed
    assert provider.seals.standing("Kb", mark="test").marker != before.marker


def test_a_class_that_somebody_froze_is_not_changed_by_halves(rest: httpx.Client, provider: WeaviateProvider) -> None:
    make(rest, description="theirs")
    [shard] = provider.writable("Kb")
    rest.put(f"/v1/schema/Kb/shards/{shard}", json={"status": "READONLY"}).raise_for_status()

    with pytest.raises(UnavailableError, match="takes no writes"):
        provider.adoption.adopt("Kb", into="Kb", mark="test")

    assert rest.get("/v1/schema/Kb").json()["description"] == "theirs"


def test_what_can_not_be_a_snapshot_is_not_adopted(rest: httpx.Client, provider: WeaviateProvider) -> None:
    make(rest, multiTenancyConfig={"enabled": True})

    for ask in (
        lambda: provider.adoption.consequences("Kb"),
        lambda: provider.adoption.adopt("Kb", into="Kb", mark="test"),
    ):
        with pytest.raises(UnsupportedError, match="has tenants"):
            ask()


def test_an_alias_is_no_class_to_adopt(rest: httpx.Client, provider: WeaviateProvider) -> None:
    make(rest)
    rest.post("/v1/aliases", json={"alias": "Docs", "class": "Kb"}).raise_for_status()

    with pytest.raises(NotFoundError):
        provider.adoption.adopt("Docs", into="Docs", mark="test")
    assert not rest.get("/v1/schema/Kb").json().get("description")
