"""Following a channel: what is current is a look at memory, and a poll that fails takes nothing away."""

import asyncio
import gc
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from regalia import (
    AsyncClient,
    Client,
    EquivocationError,
    ExpiredError,
    NotPlacedError,
    RollbackError,
    UnavailableError,
)
from regalia._transport import Request, Response, Transport
from regalia.core.errors import InvalidError, InvalidNameError
from regalia.testing import MemoryRegistry
from tests.client.conftest import PROMPTS, TurnedClock

PROD = "acme/support-agent:prod"
OFTEN_S = 0.02


@dataclass
class Refusing:
    """A transport that refuses once it is told to, as the registry does what it will not place."""

    registry: MemoryRegistry
    code: str = ""

    def send(self, request: Request) -> Response:
        if not self.code:
            return self.registry.send(request)
        body = f'{{"status": 409, "code": "{self.code}", "detail": "gone", "hint": "", "request_id": "1"}}'
        return Response(409, {"content-type": "application/problem+json"}, body.encode())


@dataclass
class Breaking:
    """A transport with a fault of its own, that nobody foresaw."""

    registry: MemoryRegistry
    is_broken: bool = False
    broke: int = 0

    def send(self, request: Request) -> Response:
        if self.is_broken:
            self.broke += 1
            raise ZeroDivisionError
        return self.registry.send(request)


@dataclass
class Holding:
    """A transport whose requests wait, in the process that made it, while the gate is shut."""

    registry: MemoryRegistry
    gate: threading.Event = field(default_factory=threading.Event)
    waiting: threading.Event = field(default_factory=threading.Event)
    process: int = field(default_factory=os.getpid)

    def send(self, request: Request) -> Response:
        if not self.gate.is_set() and os.getpid() == self.process:
            self.waiting.set()
            self.gate.wait(30)
        return self.registry.send(request)


def client_of(registry: MemoryRegistry, transport: Transport) -> Client:
    return Client(
        trust_root=registry.trust_root,
        state=registry.folder / "state",
        transport=transport,
        clock=registry.clock,
        environment={},
        folder=registry.folder,
    )


def until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def reports(registry: MemoryRegistry) -> list[str]:
    return [one.headers["Regalia-Serves"] for one in registry.requests if "Regalia-Serves" in one.headers]


def test_what_is_current_changes_with_the_channel_and_a_kept_bundle_does_not(registry: MemoryRegistry) -> None:
    with registry.client().follow(PROD) as prod:
        kept = prod.current()
        registry.release("2.3.1", prompts=PROMPTS, channel="prod")

        prod.poll()

        assert (kept.version, prod.current().version) == ("2.3.0", "2.3.1")


def test_the_thread_sees_a_move_by_itself(registry: MemoryRegistry) -> None:
    with registry.client().follow(PROD, every_s=OFTEN_S) as prod:
        registry.release("2.3.1", prompts=PROMPTS, channel="prod")

        until(lambda: prod.current().version == "2.3.1")


def test_a_look_at_what_is_current_sends_nothing(registry: MemoryRegistry) -> None:
    with registry.client().follow(PROD, every_s=3600) as prod:
        until(lambda: bool(reports(registry)))  # its thread has polled once
        sent = len(registry.requests)

        for _ in range(100):
            prod.current()

        assert len(registry.requests) == sent


def test_a_poll_without_news_is_answered_from_what_is_there(registry: MemoryRegistry) -> None:
    with registry.client().follow(PROD, every_s=3600) as prod:
        prod.poll()
        prod.poll()

        assert "If-None-Match" in registry.requests[-1].headers


def test_a_client_has_one_thread_for_all_that_it_follows(registry: MemoryRegistry) -> None:
    registry.promote("2.3.0", "staging")
    client, before = registry.client(), set(threading.enumerate())

    with client.follow(PROD), client.follow("acme/support-agent:staging") as staging:
        [thread] = set(threading.enumerate()) - before
        assert staging.current().channel == "staging"
    until(lambda: not thread.is_alive())


def test_a_follower_that_nobody_keeps_is_not_polled_for(registry: MemoryRegistry) -> None:
    client, before = registry.client(), set(threading.enumerate())
    forgotten = client.follow(PROD, every_s=OFTEN_S)
    [thread] = set(threading.enumerate()) - before

    del forgotten
    gc.collect()

    until(lambda: not thread.is_alive())


def test_what_a_follower_saw_is_what_resolve_answers(registry: MemoryRegistry) -> None:
    client = registry.client()
    client.resolve(PROD)
    with client.follow(PROD, every_s=3600) as prod:
        registry.release("2.3.1", prompts=PROMPTS, channel="prod")
        prod.poll()

    assert client.resolve(PROD).version == "2.3.1"


def test_a_poll_tells_who_asks_and_what_is_served(registry: MemoryRegistry) -> None:
    with registry.client().follow(PROD, every_s=3600) as prod:
        registry.requests.clear()
        first = prod.poll().pointer
        registry.release("2.3.1", prompts=PROMPTS, channel="prod")
        second = prod.poll().pointer
        prod.poll()

    assert first is not None
    assert second is not None
    told = [f"{one.epoch}.{one.sequence} {one.bundle}" for one in (first, second)]
    assert list(dict.fromkeys(reports(registry))) == told
    assert len({one.headers["Regalia-Instance"] for one in registry.requests}) == 1


def test_a_resolve_tells_nothing_of_who_asks(registry: MemoryRegistry) -> None:
    registry.client().refresh(PROD)

    assert not [one for one in registry.requests if {"Regalia-Instance", "Regalia-Serves"} & set(one.headers)]


def test_news_are_reported_soon_and_not_a_poll_later(registry: MemoryRegistry) -> None:
    with registry.client().follow(PROD, every_s=3600):
        until(lambda: bool(reports(registry)))


def test_a_registry_that_is_down_takes_nothing_away(registry: MemoryRegistry, clock: TurnedClock) -> None:
    with registry.client().follow(PROD, every_s=3600) as prod:
        registry.is_down = True
        clock.turn(hours=1)

        held = prod.poll()

        assert (held.version, held.provenance) == ("2.3.0", "disk")
        assert "the registry is down" in held.warnings[0]
        assert held.origin.confirmed_at < clock()
        registry.is_down = False
        assert (prod.poll().warnings, prod.current().provenance) == ((), "fresh")


def test_a_follower_without_its_disk_goes_on_too(registry: MemoryRegistry) -> None:
    with registry.client().follow(PROD, every_s=3600) as prod:
        for path in sorted((registry.folder / "state").rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        registry.is_down = True

        assert prod.poll().prompt("customer_support").version == "2.3.0"


def test_what_has_expired_is_no_longer_current(registry: MemoryRegistry, clock: TurnedClock) -> None:
    with registry.client(on_stale="strict").follow(PROD, every_s=3600) as prod:
        registry.is_down = True
        clock.turn(days=2)

        with pytest.raises(ExpiredError):
            prod.current()
        with pytest.raises(ExpiredError):
            prod.current()
        registry.is_down = False
        assert prod.poll().version == prod.current().version == "2.3.0"


def test_stale_polls_go_on_within_the_grace(registry: MemoryRegistry, clock: TurnedClock) -> None:
    with registry.client().follow(PROD, every_s=3600) as prod:
        registry.is_down = True
        clock.turn(days=2)

        assert (prod.current().provenance, prod.current().version) == ("stale", "2.3.0")


def test_an_older_pointer_is_not_followed(registry: MemoryRegistry) -> None:
    older = registry.pointers["prod"]
    registry.release("2.3.1", prompts=PROMPTS, channel="prod")
    with registry.client().follow(PROD, every_s=3600) as prod:
        registry.pointers["prod"] = older

        assert prod.poll().version == "2.3.1"
        assert any("older pointer" in one for one in prod.current().warnings)


def test_two_pointers_with_one_sequence_end_it_until_one_is_gone(registry: MemoryRegistry) -> None:
    registry.release("2.3.1", prompts=PROMPTS)
    rival = registry.next_pointer("2.3.1", "prod")
    registry.promote("2.3.0", "prod")
    with registry.client().follow(PROD, every_s=3600) as prod:
        good, registry.pointers["prod"] = registry.pointers["prod"], registry.sign_pointer(rival)

        with pytest.raises(EquivocationError):
            prod.poll()
        with pytest.raises(EquivocationError):
            prod.current()
        registry.pointers["prod"] = good
        assert prod.poll().version == prod.current().version == "2.3.0"


def test_a_floor_holds_from_the_first_resolve(registry: MemoryRegistry) -> None:
    with pytest.raises(RollbackError):
        registry.client(min_pointer="1.9000000000").follow(PROD)


def test_a_follower_starts_with_a_bundle_or_not_at_all(registry: MemoryRegistry) -> None:
    registry.is_down = True

    with pytest.raises(UnavailableError):
        registry.client().follow(PROD)


def test_a_pin_is_followed_to_say_that_it_is_served(registry: MemoryRegistry) -> None:
    pinned = f"{PROD}@{registry.bundles['2.3.0'].index.digest}"
    registry.release("2.3.1", prompts=PROMPTS, channel="prod")

    with registry.client().follow(pinned, every_s=3600) as prod:
        assert prod.poll().version == "2.3.0"
        assert reports(registry)


def test_a_pin_whose_collections_are_gone_is_over(registry: MemoryRegistry) -> None:
    pinned = f"{PROD}@{registry.bundles['2.3.0'].index.digest}"
    transport = Refusing(registry)
    with client_of(registry, transport).follow(pinned, every_s=3600) as prod:
        transport.code = "not_placed"

        with pytest.raises(NotPlacedError):
            prod.poll()
        with pytest.raises(NotPlacedError):
            prod.current()


@pytest.mark.parametrize("every_s", [0, -1, 3601, float("nan")])
def test_a_pause_out_of_bounds_is_refused(registry: MemoryRegistry, every_s: float) -> None:
    with pytest.raises(InvalidError, match="poll every"):
        registry.client().follow(PROD, every_s=every_s)


def test_what_never_changes_is_not_followed(registry: MemoryRegistry) -> None:
    with pytest.raises(InvalidNameError, match="never changes"):
        registry.client().follow("acme/support-agent@2.3.0")


def test_a_closed_follower_says_so(registry: MemoryRegistry) -> None:
    prod = registry.client().follow(PROD)
    prod.close()
    prod.close()

    with pytest.raises(InvalidError, match="closed"):
        prod.current()
    with pytest.raises(InvalidError, match="closed"):
        prod.poll()


def test_a_fork_in_the_middle_of_a_poll_follows_on(registry: MemoryRegistry) -> None:
    transport = Holding(registry)
    transport.gate.set()
    prod = client_of(registry, transport).follow(PROD, every_s=OFTEN_S)
    transport.gate.clear()
    assert transport.waiting.wait(30)

    child = os.fork()
    if child == 0:
        status = 1
        try:
            registry.release("2.3.1", prompts=PROMPTS, channel="prod")
            kept = prod.current().version
            until(lambda: prod.current().version == "2.3.1")
            status = 0 if kept in {"2.3.0", "2.3.1"} else 1
        finally:
            os._exit(status)

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    transport.gate.set()
    prod.close()


def test_a_slow_poll_keeps_nobody_waiting(registry: MemoryRegistry) -> None:
    transport = Holding(registry)
    transport.gate.set()
    client = client_of(registry, transport)
    with client.follow(PROD, every_s=OFTEN_S) as prod:
        transport.gate.clear()
        assert transport.waiting.wait(30)

        assert prod.current().version == client.resolve(PROD).version == "2.3.0"
        transport.gate.set()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_broke_is_replaced_and_what_was_known_stays(registry: MemoryRegistry) -> None:
    transport = Breaking(registry)
    with client_of(registry, transport).follow(PROD, every_s=OFTEN_S) as prod:
        transport.is_broken = True
        until(lambda: transport.broke > 3 or prod.current().version != "2.3.0")
        assert prod.current().version == "2.3.0"

        transport.is_broken = False
        registry.release("2.3.1", prompts=PROMPTS, channel="prod")
        until(lambda: prod.current().version == "2.3.1")


async def _follow(client: AsyncClient, registry: MemoryRegistry) -> list[str]:
    async with await client.follow(PROD, every_s=3600) as prod:
        first = await prod.current()
        registry.release("2.3.1", prompts=PROMPTS, channel="prod")
        polled = await prod.poll()
        return [first.version, polled.version, (await prod.current()).version]


def test_asyncio_follows_too(registry: MemoryRegistry) -> None:
    client = AsyncClient(
        "http://registry.test",
        trust_root=registry.trust_root,
        state=registry.folder / "state",
        transport=registry,
        clock=registry.clock,
        environment={},
    )

    assert asyncio.run(_follow(client, registry)) == ["2.3.0", "2.3.1", "2.3.1"]
