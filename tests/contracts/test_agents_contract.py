"""What every store remembers of agents: each once, as it was seen last, for as long as somebody may ask."""

from dataclasses import replace
from datetime import timedelta

import pytest

from regalia.core.names import ApplicationName
from regalia_registry.domain import agents
from regalia_registry.domain.agents import Agent
from regalia_registry.ports.store import Store
from tests.support.records import APPLICATION, NOW, digest

OTHER = ApplicationName("acme", "search")


def agent(instance: str, *, sequence: int = 7, after_s: int = 0) -> Agent:
    return Agent(APPLICATION, "prod", instance, 1, sequence, digest("2.3.1"), NOW + timedelta(seconds=after_s))


def note(store: Store, *seen: Agent) -> None:
    with store.note() as tx:
        tx.agents.note(seen)


def listed(store: Store, *, after: str | None = None, limit: int = 100) -> list[Agent]:
    with store.read() as tx:
        return list(tx.agents.list(APPLICATION, "prod", after=after, limit=limit))


def test_agents_are_listed_by_instance_as_they_were_seen(store: Store) -> None:
    pinned = replace(agent("a"), pinned=True, epoch=2**52, sequence=2**52)
    note(store, agent("b"), pinned)

    assert listed(store) == [pinned, agent("b")]
    assert listed(store, limit=1) == [pinned]
    assert listed(store, after="a", limit=1) == [agent("b")]


def test_other_channels_and_applications_have_their_own(store: Store) -> None:
    note(store, agent("a"), replace(agent("a"), channel="staging"), replace(agent("a"), application=OTHER))

    assert listed(store) == [agent("a")]


def test_an_agent_is_kept_as_it_was_seen_last_whoever_notes_it_first(store: Store) -> None:
    newer = agent("a", sequence=8, after_s=10)
    note(store, agent("a"))
    note(store, newer)
    note(store, agent("a"))

    assert listed(store) == [newer]


def test_what_is_seen_again_in_the_same_second_counts(store: Store) -> None:
    note(store, agent("a"))
    note(store, agent("a", sequence=8))

    assert listed(store) == [agent("a", sequence=8)]


def test_times_are_kept_in_whole_seconds(store: Store) -> None:
    note(store, replace(agent("a"), seen_at=NOW + timedelta(milliseconds=900)))

    assert listed(store) == [agent("a")]


def test_who_was_not_seen_for_long_is_forgotten(store: Store) -> None:
    note(store, agent("a"), agent("b", after_s=60))

    with store.note() as tx:
        assert tx.agents.forget(before=NOW + timedelta(seconds=60)) == 1

    assert listed(store) == [agent("b", after_s=60)]


def test_noting_nothing_does_nothing(store: Store) -> None:
    note(store)

    assert listed(store) == []


def test_a_channel_remembers_only_so_many_those_that_were_seen_last(store: Store) -> None:
    seen = [agent(f"{number:05}", after_s=number) for number in range(agents.MAX_AGENTS + 2)]
    note(store, replace(agent("z"), channel="staging"), *seen[:-2])
    note(store, *seen[-2:])

    found = listed(store, limit=agents.MAX_AGENTS + 2)

    assert found == seen[2:]
    with store.read() as tx:
        assert len(tx.agents.list(APPLICATION, "staging", after=None, limit=9)) == 1


@pytest.mark.parametrize("limit", [1, 3])
def test_pages_meet(store: Store, limit: int) -> None:
    note(store, *(agent(one) for one in "abcdefg"))
    found: list[Agent] = []

    while part := listed(store, after=found[-1].instance if found else None, limit=limit):
        found += part

    assert "".join(one.instance for one in found) == "abcdefg"


def test_the_pointers_that_agents_serve_are_told_each_once(store: Store) -> None:
    staging = replace(agent("d", sequence=9), channel="staging")
    note(store, agent("a", sequence=8), agent("b"), agent("c", sequence=8), staging)

    with store.read() as tx:
        assert list(tx.agents.served(APPLICATION, "prod")) == [7, 8]
        assert list(tx.agents.served(OTHER, "prod")) == []
