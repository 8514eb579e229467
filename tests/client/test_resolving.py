"""What an agent gets, and from where."""

import asyncio
import fcntl
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from regalia import AsyncClient, Client
from regalia.cache import Cache
from regalia.core.errors import (
    ClockError,
    ConfigurationError,
    ExpiredError,
    NotFoundError,
    NotPlacedError,
    RenderError,
    UnavailableError,
)
from regalia.testing import MemoryRegistry
from tests.client.conftest import PROMPTS, TurnedClock

PROD = "acme/support-agent:prod"


def test_a_resolve_is_one_request_and_the_next_is_none(registry: MemoryRegistry) -> None:
    client = registry.client()

    first, second = client.resolve(PROD), client.resolve(PROD)

    assert first is second
    assert len(registry.requests) == 1


def test_a_bundle_gives_its_prompts_models_and_configs(registry: MemoryRegistry) -> None:
    bundle = registry.client().resolve(PROD)

    assert (
        bundle.prompt("customer_support").render(context="Fees: none.", user_query="{context}").endswith("{context}\n")
    )
    assert bundle.model("complex_queries").revision == "gpt-4-0125-preview"
    assert bundle.config("retrieval") == {"top_k": 8}
    assert (bundle.version, bundle.provenance, bundle.channel) == ("2.3.0", "fresh", "prod")


def test_a_config_is_a_fresh_copy(registry: MemoryRegistry) -> None:
    bundle = registry.client().resolve(PROD)
    taken = bundle.config("retrieval")
    assert isinstance(taken, dict)

    taken["top_k"] = 9

    assert bundle.config("retrieval") == {"top_k": 8}


def test_a_missing_variable_is_named(registry: MemoryRegistry) -> None:
    prompt = registry.client().resolve(PROD).prompt("customer_support")

    with pytest.raises(RenderError, match='misses "context", "user_query"'):
        prompt.render()


def test_what_a_bundle_lacks_is_named_with_what_it_has(registry: MemoryRegistry) -> None:
    bundle = registry.client().resolve(PROD)

    with pytest.raises(NotFoundError) as caught:
        bundle.prompt("greeting")

    assert caught.value.hint == "it has prompts/customer_support"


def test_files_are_the_authors_bytes(registry: MemoryRegistry) -> None:
    bundle = registry.client().resolve(PROD)

    assert bundle.files("prompts/customer_support") == {"customer_support.txt": PROMPTS["customer_support"].encode()}


def test_a_collection_that_is_not_pinned_is_not_found(registry: MemoryRegistry) -> None:
    with pytest.raises((NotFoundError, NotPlacedError)):
        registry.client().resolve(PROD).collection("kb")


def test_a_refresh_follows_the_channel(registry: MemoryRegistry) -> None:
    client = registry.client()
    client.resolve(PROD)

    registry.release("2.3.1", prompts=PROMPTS, channel="prod")

    assert client.resolve(PROD).version == "2.3.0"
    assert client.refresh(PROD).version == "2.3.1"
    assert client.resolve(PROD).version == "2.3.1"


def test_a_bundle_that_is_held_does_not_change_under_its_session(registry: MemoryRegistry) -> None:
    client = registry.client()
    held = client.resolve(PROD)

    registry.release("2.3.1", prompts={"customer_support": "Other {x}"}, channel="prod")
    client.refresh(PROD)

    assert held.prompt("customer_support").template == PROMPTS["customer_support"]


def test_an_unchanged_channel_costs_no_body(registry: MemoryRegistry) -> None:
    client = registry.client()
    client.resolve(PROD)
    client.refresh(PROD)

    client.refresh(PROD)

    assert "If-None-Match" in registry.requests[-1].headers


def test_a_fresh_process_starts_from_the_disk_when_the_registry_is_down(registry: MemoryRegistry) -> None:
    registry.client().resolve(PROD)
    registry.is_down = True

    bundle = registry.client().resolve(PROD)

    assert (bundle.version, bundle.provenance) == ("2.3.0", "disk")
    assert "the registry is down" in bundle.warnings[0]


def test_without_cache_and_registry_there_is_no_bundle(registry: MemoryRegistry) -> None:
    registry.is_down = True

    with pytest.raises(UnavailableError):
        registry.client().resolve(PROD)


@pytest.mark.parametrize("reference", ["acme/support-agent@2.3.0", "digest"])
def test_a_version_and_a_digest_resolve_and_are_cached(registry: MemoryRegistry, reference: str) -> None:
    pinned = f"acme/support-agent@{registry.bundles['2.3.0'].index.digest}" if reference == "digest" else reference
    registry.client().resolve(pinned)
    registry.is_down = True

    bundle = registry.client().resolve(pinned)

    assert (bundle.version, bundle.channel, bundle.provenance) == ("2.3.0", None, "disk")


def test_memory_is_asked_again_once_freshness_ends(registry: MemoryRegistry, clock: TurnedClock) -> None:
    client = registry.client()
    client.resolve(PROD)

    clock.turn(hours=25)
    client.resolve(PROD)

    assert len(registry.requests) == 2


def test_a_day_without_the_registry_is_stale_with_a_warning(registry: MemoryRegistry, clock: TurnedClock) -> None:
    registry.client().resolve(PROD)
    registry.is_down = True
    clock.turn(hours=25)

    assert registry.client().resolve(PROD).provenance == "stale"


@pytest.mark.parametrize(("on_stale", "days"), [("strict", 2), ("grace", 16)])
def test_stale_ends_where_the_setting_says(
    registry: MemoryRegistry, clock: TurnedClock, on_stale: str, days: int
) -> None:
    registry.client().resolve(PROD)
    registry.is_down = True
    clock.turn(days=days)

    with pytest.raises(ExpiredError) as caught:
        registry.client(on_stale=on_stale).resolve(PROD)

    assert caught.value.document == "freshness"


def test_pin_keeps_the_last_known_good_for_ever(registry: MemoryRegistry, clock: TurnedClock) -> None:
    registry.client().resolve(PROD)
    registry.is_down = True
    clock.turn(days=4000)

    assert registry.client(on_stale="pin").resolve(PROD).version == "2.3.0"


def test_nothing_is_trusted_on_first_use(registry: MemoryRegistry, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    client = Client("http://registry.test", transport=registry, environment={}, folder=Path("/"))

    with pytest.raises(ConfigurationError, match="nothing is trusted on first use"):
        client.resolve(PROD)


def test_a_root_by_digest_is_fetched_and_compared(registry: MemoryRegistry, tmp_path: Path) -> None:
    digest = registry.client().resolver.trust.newest().identity
    client = Client(
        "http://registry.test",
        trust_root=str(digest),
        state=tmp_path / "other",
        transport=registry,
        environment={},
        clock=registry.clock,
    )

    assert client.resolve(PROD).version == "2.3.0"


def test_threads_share_one_request(registry: MemoryRegistry) -> None:
    client = registry.client()

    with ThreadPoolExecutor(8) as pool:
        found = set(map(id, pool.map(client.resolve, [PROD] * 64)))

    assert len(found) == 1
    assert len(registry.requests) == 1


def test_a_forked_child_resolves(registry: MemoryRegistry) -> None:
    client = registry.client()
    client.resolve(PROD)

    child = os.fork()
    if child == 0:
        status = 1
        try:
            status = 0 if client.refresh(PROD).version == "2.3.0" else 1
        finally:
            os._exit(status)

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_child_that_was_forked_while_a_record_was_replaced_keeps_nobody_waiting(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    with Cache(tmp_path).locked():
        child = os.fork()
        if child == 0:
            os.close(writing)
            os.read(reading, 1)
            os._exit(0)

    with (tmp_path / "lock").open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)

    os.close(writing)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    os.close(reading)


async def _resolve_async(client: AsyncClient) -> tuple[str, str]:
    return (await client.resolve(PROD)).version, (await client.refresh(PROD)).version


def test_the_async_client_gives_the_same(registry: MemoryRegistry) -> None:
    client = AsyncClient(
        "http://registry.test",
        trust_root=registry.trust_root,
        state=registry.folder / "state",
        transport=registry,
        clock=registry.clock,
        environment={},
    )

    assert asyncio.run(_resolve_async(client)) == ("2.3.0", "2.3.0")


def test_a_long_walk_of_roots_is_followed(registry: MemoryRegistry) -> None:
    for _ in range(30):
        registry.renew_root()

    client = registry.client()

    assert client.resolve(PROD).version == "2.3.0"
    assert client.resolver.trust.newest().root.version == 31


def test_a_clock_that_is_set_back_judges_nothing(registry: MemoryRegistry, clock: TurnedClock) -> None:
    registry.client().resolve(PROD)
    clock.turn(days=-2)

    with pytest.raises(ClockError, match="the clock says"):
        registry.client().resolve(PROD)


def test_a_clock_that_is_an_hour_behind_is_no_trouble(registry: MemoryRegistry, clock: TurnedClock) -> None:
    registry.client().resolve(PROD)
    clock.turn(hours=-1)

    assert registry.client().resolve(PROD).version == "2.3.0"


def test_a_clock_that_jumps_ahead_makes_everything_expired_and_nothing_forged(
    registry: MemoryRegistry, clock: TurnedClock
) -> None:
    client = registry.client(on_stale="strict")
    client.resolve(PROD)
    registry.is_down = True
    clock.turn(days=4000)

    with pytest.raises(ExpiredError):
        client.resolve(PROD)
    clock.turn(days=-4000)
    assert client.resolve(PROD).version == "2.3.0"
