"""What every store keeps about holds."""

from dataclasses import replace
from datetime import timedelta

from regalia.core.names import ApplicationName
from regalia_registry.domain.records import Hold
from regalia_registry.ports.store import Store
from tests.support.records import APPLICATION, NOW, bundle, changing, hold

OTHER = ApplicationName("acme", "search")
HELD = bundle("2.3.1").digest


def add(store: Store, *added: Hold) -> list[bool]:
    with changing(store) as tx:
        return [tx.holds.add(one) for one in added]


def lift(store: Store) -> bool:
    with changing(store) as tx:
        return tx.holds.lift(APPLICATION, HELD)


def test_a_hold_is_read_back_as_it_was_added(store: Store) -> None:
    add(store, replace(hold("2.3.1"), held_at=NOW + timedelta(milliseconds=900)))

    with store.read() as tx:
        assert tx.holds.find(APPLICATION, HELD) == hold("2.3.1")


def test_a_bundle_is_held_once(store: Store) -> None:
    assert add(store, hold("2.3.1"), replace(hold("2.3.1"), reason="INC-43")) == [True, False]


def test_a_second_hold_leaves_the_first_reason(store: Store) -> None:
    add(store, hold("2.3.1"), replace(hold("2.3.1"), reason="INC-43"))

    with store.read() as tx:
        assert tx.holds.find(APPLICATION, HELD) == hold("2.3.1")


def test_a_bundle_of_another_application_is_not_held(store: Store) -> None:
    add(store, hold("2.3.1"))

    with store.read() as tx:
        assert tx.holds.find(OTHER, HELD) is None


def test_a_lifted_hold_is_gone(store: Store) -> None:
    add(store, hold("2.3.1"))

    lifted = lift(store)

    with store.read() as tx:
        assert (lifted, tx.holds.find(APPLICATION, HELD)) == (True, None)


def test_what_is_not_held_can_not_be_lifted(store: Store) -> None:
    assert not lift(store)


def test_a_lifted_bundle_can_be_held_again(store: Store) -> None:
    add(store, hold("2.3.1"))
    lift(store)

    assert add(store, hold("2.3.1")) == [True]


def test_holds_come_newest_first(store: Store) -> None:
    later = NOW + timedelta(hours=1)

    add(store, hold("2.3.1"), hold("2.3.2", held_at=later), hold("2.3.3", application=OTHER))

    with store.read() as tx:
        assert tx.holds.list(APPLICATION) == [hold("2.3.2", held_at=later), hold("2.3.1")]
