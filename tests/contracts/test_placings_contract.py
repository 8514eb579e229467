"""What every store keeps about where channels place their snapshots."""

from dataclasses import replace

import pytest

from regalia.core.errors import ConflictError
from regalia.core.names import ApplicationName
from regalia_registry.domain.placing import ChannelPlacings, Mode, Placing
from regalia_registry.ports.store import Store
from tests.support.records import APPLICATION, placing

OTHER = ApplicationName("acme", "search")


def placings(*placed: Placing, channel: str = "prod", application: ApplicationName = APPLICATION) -> ChannelPlacings:
    return ChannelPlacings(application, channel, placed)


def put(store: Store, *put_: ChannelPlacings) -> None:
    with store.note() as tx:
        for one in put_:
            tx.placings.put(one)


def find(store: Store, channel: str = "prod") -> ChannelPlacings:
    with store.read() as tx:
        return tx.placings.find(APPLICATION, channel)


def test_a_channel_that_nobody_set_places_nothing(store: Store) -> None:
    assert find(store) == placings()


def test_placings_are_read_back_as_they_were_put(store: Store) -> None:
    put_ = placings(
        placing("faq", mode=Mode.LIVE, logical="questions", standby=True), placing("kb", alias="Kb", target="other")
    )
    put(store, put_)

    assert find(store) == put_


def test_another_channel_and_another_application_have_their_own(store: Store) -> None:
    put(store, placings(placing("kb")), placings(placing("faq"), channel="staging"))
    put(store, placings(placing("docs"), application=OTHER))

    assert find(store) == placings(placing("kb"))
    assert find(store, "staging") == placings(placing("faq"), channel="staging")


def test_what_is_put_stands_in_place_of_all_that_was(store: Store) -> None:
    put(store, placings(placing("faq"), placing("kb", alias="kb")))

    put(store, placings(placing("kb", target="other", alias="kb")))

    assert find(store) == placings(placing("kb", target="other", alias="kb"))


def test_what_places_nothing_any_more_is_not_listed(store: Store) -> None:
    put(store, placings(placing("kb")))

    put(store, placings())

    with store.read() as tx:
        assert list(tx.placings.list()) == []


def test_all_channels_are_listed_by_application_and_channel(store: Store) -> None:
    listed = [
        placings(placing("docs"), application=OTHER),
        placings(placing("faq"), placing("kb"), channel="prod"),
        placings(placing("kb"), channel="staging"),
    ]
    put(store, *listed)

    with store.read() as tx:
        found = list(tx.placings.list())

    assert found == [listed[0], listed[1], listed[2]]


def test_an_alias_belongs_to_one_channel_of_a_target(store: Store) -> None:
    put(store, placings(placing("kb", alias="Kb")))

    with pytest.raises(ConflictError, match='another channel moves the alias "Kb" on "local"'):
        put(store, placings(placing("docs"), placing("kb", alias="Kb"), channel="staging"))

    assert find(store, "staging") == placings(channel="staging")
    put(store, placings(placing("kb", alias="Kb", target="other"), channel="staging"))


def test_an_alias_belongs_to_one_slot_of_a_channel(store: Store) -> None:
    with pytest.raises(ConflictError, match="alias"):
        put(store, placings(placing("faq", alias="Kb"), placing("kb", alias="Kb")))

    assert find(store) == placings()


def test_an_alias_that_a_channel_let_go_of_is_anothers_to_take(store: Store) -> None:
    put(store, placings(placing("kb", alias="Kb")))
    put(store, placings(placing("kb")))

    put(store, placings(placing("kb", alias="Kb"), channel="staging"))

    assert find(store, "staging") == placings(placing("kb", alias="Kb"), channel="staging")


def test_an_alias_moves_from_one_slot_of_a_channel_to_another(store: Store) -> None:
    put(store, placings(placing("faq", alias="Kb"), placing("kb")))

    put(store, placings(placing("faq"), placing("kb", alias="Kb")))

    assert find(store) == placings(placing("faq"), placing("kb", alias="Kb"))


def test_any_number_of_placings_have_no_alias(store: Store) -> None:
    put(store, placings(placing("faq"), placing("kb")), placings(placing("faq"), placing("kb"), channel="staging"))

    assert len(find(store).placings) == 2


def test_a_demand_is_stored_beside_the_placings_and_goes_with_them(store: Store) -> None:
    demanding = replace(placings(placing("kb")), require_warm=True)
    put(store, demanding)
    assert find(store) == demanding
    with store.read() as tx:
        assert list(tx.placings.list()) == [demanding]

    put(store, placings(placing("kb")))

    assert find(store) == placings(placing("kb"))


def test_a_channel_that_places_nothing_may_still_demand(store: Store) -> None:
    demanding = replace(placings(), require_warm=True)

    put(store, demanding)

    assert find(store) == demanding
    with store.read() as tx:
        assert list(tx.placings.list()) == []
