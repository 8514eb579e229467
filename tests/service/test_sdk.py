"""What authors and SREs do from Python, on a real registry: the same as `reg` does."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from regalia import AsyncClient, BundleHeldError, Client, RegaliaError
from regalia_cli.demo.stage import FILES
from tests.support.registries import Home, home

PROD = "acme/support-agent:prod"
OLD, NEW = "acme/support-agent@1.0.0", "acme/support-agent@1.0.1"


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Home]:
    with home(tmp_path, files=FILES) as made:
        made.must("init", "acme/support-agent", "--registry", made.url)
        made.start()
        yield made


def change(made: Home) -> None:
    path = made.project / "prompts" / "customer_support.yaml"
    path.write_text(path.read_text().replace("2.3.0", "2.3.1").replace("You are", "You were"))


def test_a_release_and_its_way_back_from_python(served: Home) -> None:
    client = Client(environment=served.environment, folder=served.project)

    assert client.create_bundle("1.0.0") == OLD
    assert not any(pushed.created for pushed in client.push())
    client.promote(OLD, to="prod", reason="first release")
    change(served)
    assert client.create_bundle("1.0.1") == NEW
    client.promote(NEW, to="prod", reason="a better prompt", ticket="OPS-7")
    client.restore(PROD, to="previous", reason="answers got worse")

    assert client.refresh(PROD).version == "1.0.0"
    assert [(entry.move, entry.version) for entry in client.history(PROD)] == [
        ("restore", "1.0.0"),
        ("promote", "1.0.1"),
        ("promote", "1.0.0"),
    ]
    assert [change.sentence for change in client.diff(OLD, NEW)] == ["Updated customer_support prompt template"]
    with pytest.raises(BundleHeldError):
        client.promote(NEW, to="prod")


async def _release(client: AsyncClient, served: Home) -> tuple[list[str], list[str], str]:
    await client.create_bundle("1.0.0")
    await client.promote(OLD, to="prod")
    change(served)
    pushed = await client.push()
    assert sum(one.created for one in pushed) == 1
    await client.create_bundle("1.0.1")
    await client.promote(NEW, to="prod")
    await client.restore(PROD, reason="answers got worse", hold=False)
    moves = [entry.move async for entry in client.history(PROD)]
    sentences = [change.sentence for change in await client.diff(OLD, NEW)]
    return moves, sentences, (await client.resolve(PROD)).version


def test_a_release_and_its_way_back_from_asyncio(served: Home) -> None:
    client = AsyncClient(environment=served.environment, folder=served.project)

    moves, sentences, version = asyncio.run(_release(client, served))

    assert moves == ["restore", "promote", "promote"]
    assert sentences == ["Updated customer_support prompt template"]
    assert version == "1.0.0"


def test_a_promotion_of_what_is_not_there_says_so(served: Home) -> None:
    client = Client(environment=served.environment, folder=served.project)

    with pytest.raises(RegaliaError, match="no bundle"):
        client.promote("acme/support-agent@9.9.9", to="prod")
