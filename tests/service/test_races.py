"""Two at once: exactly one wins, and the other is told."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from regalia import moving, publishing
from regalia.client import Client
from regalia.core.errors import BundleHeldError, ConflictError, PointerMovedError, RegaliaError, VersionConflictError
from regalia.core.kinds.prompt import PromptConfig
from regalia.core.names import ApplicationName, Kind, Slot
from regalia.core.references import BundleReference
from regalia.sources import Draft
from regalia_cli.demo.stage import FILES
from tests.support.registries import Home, home

APPLICATION = ApplicationName("acme", "support-agent")
CHANNEL = BundleReference(APPLICATION, channel="prod")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    with home(tmp_path_factory.mktemp("home"), files=FILES) as made:
        made.must("init", str(APPLICATION), "--registry", made.url)
        made.start(workers=2)
        made.must("bundle", "create", "1.0.0")
        made.must("promote", "1.0.0", "--to", "prod")
        yield made


def client_of(made: Home) -> Client:
    return Client(environment=made.environment, folder=made.project)


def outcomes(*calls: Callable[[], object]) -> list[type[RegaliaError] | None]:
    def outcome(call: Callable[[], object]) -> type[RegaliaError] | None:
        try:
            call()
        except RegaliaError as error:
            return type(error)
        return None

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(outcome, calls))


def draft(version: str, text: str) -> Draft:
    config = PromptConfig("raced", version, "none", template=text)
    content = {"raced.txt": ("text/plain", text.encode())}
    return Draft(Slot(Kind.PROMPT, "raced"), config, content, origin="raced.txt", has_version=True)


@pytest.mark.parametrize("version", ["1.0.0", "1.0.1", "1.0.2", "1.0.3"])
def test_of_two_pushes_of_one_version_one_wins(served: Home, version: str) -> None:
    first, second = client_of(served), client_of(served)

    found = outcomes(
        lambda: publishing.push(first, "acme", [draft(version, f"first {version}")]),
        lambda: publishing.push(second, "acme", [draft(version, f"second {version}")]),
    )

    assert sorted(found, key=str) == sorted([None, VersionConflictError], key=str)


def test_of_two_promotions_from_one_pointer_one_wins_and_the_other_is_void(served: Home) -> None:
    client = client_of(served)
    edited = served.project / "config" / "retrieval.yaml"
    edited.write_text("top_k: 9\nmin_score: 0.5\n")
    (served.project / "regalia.yaml").write_text(
        (served.project / "regalia.yaml").read_text() + "  config/retrieval: config/retrieval.yaml\n"
    )
    served.must("bundle", "create", "1.1.0")
    target = BundleReference(APPLICATION, version="1.1.0")
    plans = [moving.plan_promote(client, CHANNEL, target, moving.Facts(reason)) for reason in ("one", "two")]
    signer = moving.channel_signer(client, CHANNEL)

    found = outcomes(*(lambda plan=plan: moving.execute(client_of(served), plan, signer) for plan in plans))

    assert [one for one in found if one is not None] == [PointerMovedError]
    loser = plans[found.index(PointerMovedError)]
    with pytest.raises(ConflictError):
        moving.execute(client, loser, signer)


def test_who_tries_again_within_the_second_of_a_refusal_is_not_held_to_the_pointer_that_was_refused(
    served: Home,
) -> None:
    client = client_of(served)
    served.must("bundle", "create", "1.2.0")
    target = BundleReference(APPLICATION, version="1.2.0")
    plan = moving.plan_promote(client, CHANNEL, target, moving.Facts("again"))
    signer = moving.channel_signer(client, CHANNEL)
    served.must("hold", "1.2.0", "--reason", "INC-41")
    for _ in range(2):
        with pytest.raises(BundleHeldError):
            moving.execute(client, plan, signer)
    served.must("lift", "1.2.0", "--reason", "INC-41 is over")

    moved = moving.execute(client, plan, signer)

    assert (moved.pointer.version, moved.pointer.sequence) == ("1.2.0", plan.pointer.sequence + 2)


def test_pushes_without_a_version_of_their_own_never_clash(served: Home, tmp_path: Path) -> None:
    def push(number: int) -> None:
        config = PromptConfig("counted", "0.0.0", "none", template=str(number))
        content = {"counted.txt": ("text/plain", str(number).encode())}
        made = Draft(Slot(Kind.PROMPT, "counted"), config, content, origin=str(tmp_path), has_version=False)
        publishing.push(client_of(served), "acme", [made])

    found = outcomes(*(lambda number=number: push(number) for number in range(4)))

    assert found == [None] * 4
