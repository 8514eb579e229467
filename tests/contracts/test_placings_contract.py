"""What every store keeps of where a channel places its snapshots, and of what it demands."""

from dataclasses import replace

import pytest

from regalia.core.errors import ConflictError
from regalia.core.names import Slot
from regalia_registry.domain.placing import ChannelPlacings, Placing
from regalia_registry.ports.store import Store
from tests.support.records import APPLICATION

KB, DOCS = (
    Placing(Slot.parse("snapshots/kb"), "local", "kb", alias="kb"),
    Placing(Slot.parse("snapshots/docs"), "w", "d"),
)
PROD = ChannelPlacings(APPLICATION, "prod", (DOCS, KB))


def put(store: Store, *placings: ChannelPlacings) -> None:
    with store.note() as tx:
        for one in placings:
            tx.placings.put(one)


def found(store: Store, channel: str = "prod") -> ChannelPlacings:
    with store.read() as tx:
        return tx.placings.find(APPLICATION, channel)


def test_a_channel_of_which_nobody_said_anything_places_and_demands_nothing(store: Store) -> None:
    assert found(store) == ChannelPlacings(APPLICATION, "prod", ())


def test_what_is_put_is_found_in_place_of_what_was(store: Store) -> None:
    put(store, replace(PROD, require_warm=True))
    assert found(store) == replace(PROD, require_warm=True)

    put(store, replace(PROD, placings=(KB,)))

    assert found(store) == replace(PROD, placings=(KB,))


def test_a_channel_that_places_nothing_may_still_demand(store: Store) -> None:
    demanding = ChannelPlacings(APPLICATION, "prod", (), require_warm=True)
    put(store, demanding)

    assert found(store) == demanding
    with store.read() as tx:
        assert tx.placings.list() == []


def test_channels_that_place_something_are_listed_with_what_they_demand(store: Store) -> None:
    staging = ChannelPlacings(APPLICATION, "staging", (DOCS,))
    put(store, staging, replace(PROD, require_warm=True))

    with store.read() as tx:
        assert tx.placings.list() == [replace(PROD, require_warm=True), staging]


def test_an_alias_belongs_to_one_channel(store: Store) -> None:
    put(store, PROD)

    with pytest.raises(ConflictError, match='"kb" on "local"'):
        put(store, ChannelPlacings(APPLICATION, "staging", (KB,)))
