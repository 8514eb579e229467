"""What polls tell of agents: read with suspicion, kept within bounds, and written by nobody who answers."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regalia.core.references import BundleReference
from regalia_registry.adapters.memory.blobs import MemoryBlobs
from regalia_registry.adapters.memory.keys import MemoryKeys, MemoryRoot
from regalia_registry.adapters.memory.store import MemoryStore, MemoryTransaction
from regalia_registry.adapters.memory.system import MemoryClock, MemoryIds
from regalia_registry.domain.agents import Agent, read_agent
from regalia_registry.ports.store import Told
from regalia_registry.services.context import Ports
from regalia_registry.services.sightings import Sightings
from tests.support.records import APPLICATION, NOW, digest

PROD = BundleReference(APPLICATION, channel="prod")
PINNED = BundleReference(APPLICATION, channel="prod", digest=digest("2.3.1"))
SERVES = f"1.7 {digest('2.3.1')}"


class Counting(MemoryStore):
    """A store that counts what is noted in it."""

    notes = 0

    @contextmanager
    def note(self, *, to: Told = Told.ALL) -> Iterator[MemoryTransaction]:
        self.notes += 1
        with super().note(to=to) as tx:
            yield tx


@dataclass
class Watched:
    """A catalog in memory, with a clock that tests turn."""

    store: Counting
    clock: MemoryClock
    ports: Ports
    sightings: Sightings

    def agents(self) -> list[Agent]:
        with self.store.read() as tx:
            return list(tx.agents.list(APPLICATION, "prod", after=None, limit=100))


@pytest.fixture
def watched() -> Watched:
    store, clock = Counting(), MemoryClock(NOW)
    ports = Ports(store, MemoryBlobs(), clock, MemoryIds(), MemoryKeys(), MemoryRoot())
    return Watched(store, clock, ports, Sightings(ports))


def agent(instance: str, *, sequence: int = 7) -> Agent:
    return Agent(APPLICATION, "prod", instance, 1, sequence, digest("2.3.1"), NOW)


def poll(told: Sightings, instance: str, *, sequence: int = 7) -> None:
    told.saw(PROD, instance=instance, serves=SERVES.replace(".7", f".{sequence}"))


def test_a_poll_tells_who_asks_and_what_is_served() -> None:
    assert read_agent(PROD, instance="a1", serves=SERVES, seen_at=NOW) == agent("a1")
    assert read_agent(PINNED, instance="a1", serves=SERVES, seen_at=NOW) == replace(agent("a1"), pinned=True)


@pytest.mark.parametrize(
    ("instance", "serves"),
    [
        ("", SERVES),
        ("a" * 33, SERVES),
        ("a b", SERVES),
        ("../a", SERVES),
        ("a\n", SERVES),
        ("a1", ""),
        ("a1", "1.7"),
        ("a1", f"{SERVES}\n"),
        ("a1", f"1.7 {digest('x')} {digest('x')}"),
        ("a1", SERVES.replace("1.7", "-1.7")),
        ("a1", SERVES.replace("1.7", "1.99999999999999999")),
        ("a1", SERVES.replace("1.7", f"{2**53}.7")),
        ("a1", SERVES.replace("1.7", f"1.{2**53}")),
        ("a1", SERVES.replace("1.7", "٣.7")),
        ("a1", SERVES.upper()),
        ("a1", SERVES.replace("sha256", "sha512")),
    ],
)
def test_what_makes_no_sense_is_no_agent(instance: str, serves: str) -> None:
    assert read_agent(PROD, instance=instance, serves=serves, seen_at=NOW) is None


def test_a_bundle_without_a_channel_is_followed_by_nobody() -> None:
    assert read_agent(BundleReference(APPLICATION, version="2.3.1"), instance="a", serves=SERVES, seen_at=NOW) is None


@given(st.text(max_size=40), st.text(max_size=120))
def test_no_text_breaks_it(instance: str, serves: str) -> None:
    found = read_agent(PROD, instance=instance, serves=serves, seen_at=NOW)

    assert found is None or found.instance == instance


def test_polls_are_written_together_and_empty_nobodys_memory(watched: Watched) -> None:
    for number in range(3):
        poll(watched.sightings, "a", sequence=number)
    poll(watched.sightings, "b")
    before = watched.store.version()
    assert watched.agents() == []

    assert watched.sightings.flush() == 2

    assert watched.agents() == [agent("a", sequence=2), agent("b")]
    assert (watched.store.notes, watched.store.version()) == (1, before)


def test_where_nobody_polled_nothing_is_written(watched: Watched) -> None:
    watched.sightings.flush()
    before = watched.store.notes

    assert watched.sightings.flush() == 0

    assert watched.store.notes == before


def test_who_has_gone_is_forgotten_after_a_day(watched: Watched) -> None:
    poll(watched.sightings, "a")
    watched.sightings.flush()
    watched.clock.turn(timedelta(hours=24))
    watched.sightings.flush()
    assert watched.agents() == [agent("a")]
    watched.clock.turn(timedelta(hours=1))

    watched.sightings.flush()

    assert watched.agents() == []


def test_what_waits_is_bounded_and_who_is_known_is_still_noted(watched: Watched) -> None:
    bounded = Sightings(watched.ports, most=2)
    for one in ("a", "b", "c"):
        poll(bounded, one)
    poll(bounded, "a", sequence=8)

    bounded.flush()

    assert watched.agents() == [agent("a", sequence=8), agent("b")]


def test_what_makes_no_sense_is_passed_over_among_the_others(watched: Watched) -> None:
    poll(watched.sightings, "../a")
    watched.sightings.saw(PROD, instance="b", serves="everything")
    watched.sightings.saw(PROD, instance="c", serves=f"{SERVES}{' ' * 1000}")
    poll(watched.sightings, "d")

    assert watched.sightings.flush() == 1
    assert watched.agents() == [agent("d")]
