"""What every store keeps about channels and their pointers."""

from dataclasses import replace
from datetime import timedelta

import pytest

from regalia.core.dsse import Envelope, Signature
from regalia.core.errors import NotFoundError, PointerMovedError
from regalia.core.names import ApplicationName
from regalia_registry.domain.records import StoredPointer
from regalia_registry.ports.store import Store
from tests.support.records import APPLICATION, NOW, bundle, changing, digest, move, pointer

OTHER = ApplicationName("acme", "search")


def current(store: Store, channel: str = "prod") -> StoredPointer | None:
    with store.read() as tx:
        return tx.channels.find(APPLICATION, channel)


def history(store: Store, *, after: int | None = None, limit: int = 100) -> list[int]:
    with store.read() as tx:
        found = tx.channels.history(APPLICATION, "prod", after=after, limit=limit)
    return [one.pointer.sequence for one in found]


def test_a_channel_that_was_never_moved_is_not_there(store: Store) -> None:
    assert current(store) is None


def test_a_first_pointer_makes_the_channel(store: Store) -> None:
    first = move(store, pointer(1), expected=None)

    assert current(store) == first


def test_times_are_kept_in_whole_seconds(store: Store) -> None:
    move(store, replace(pointer(1), stored_at=NOW + timedelta(milliseconds=900)), expected=None)

    assert current(store) == pointer(1)


def test_a_channel_moves_from_the_pointer_that_is_expected(store: Store) -> None:
    first = move(store, pointer(1), expected=None)

    second = move(store, pointer(2, previous=first), expected=first)

    assert current(store) == second


def test_a_channel_does_not_move_from_another_pointer(store: Store) -> None:
    first = move(store, pointer(1), expected=None)
    second = move(store, pointer(2, previous=first), expected=first)

    with pytest.raises(PointerMovedError, match='"acme/support-agent:prod" was moved by somebody else') as caught:
        move(store, pointer(3, previous=first), expected=first)

    assert (current(store), history(store)) == (second, [2, 1])
    assert "reg history acme/support-agent:prod" in caught.value.hint


def test_a_channel_that_is_there_can_not_be_made(store: Store) -> None:
    first = move(store, pointer(1), expected=None)

    with pytest.raises(PointerMovedError):
        move(store, pointer(2), expected=None)

    assert (current(store), history(store)) == (first, [1])


def test_a_channel_that_is_not_there_can_not_be_moved(store: Store) -> None:
    with pytest.raises(PointerMovedError):
        move(store, pointer(2, previous=pointer(1)), expected=pointer(1))

    assert (current(store), history(store)) == (None, [])


def test_a_channel_never_has_one_sequence_twice(store: Store) -> None:
    first = move(store, pointer(1), expected=None)

    with pytest.raises(PointerMovedError):
        move(store, pointer(1, named="2.3.2", previous=first), expected=first)

    assert (current(store), history(store)) == (first, [1])


def test_a_channel_never_has_one_pointer_twice(store: Store) -> None:
    first = move(store, pointer(1), expected=None)
    second = move(store, pointer(2, previous=first), expected=first)

    with pytest.raises(PointerMovedError):
        move(store, first, expected=second)

    assert current(store) == second


def test_other_channels_have_pointers_of_their_own(store: Store) -> None:
    prod = move(store, pointer(7), expected=None)
    staging = move(store, pointer(7, channel="staging"), expected=None)

    assert (current(store, "prod"), current(store, "staging")) == (prod, staging)


def test_a_pointer_is_found_by_its_identity_for_ever(store: Store) -> None:
    first = move(store, pointer(1), expected=None)
    move(store, pointer(2, previous=first), expected=first)

    with store.read() as tx:
        assert tx.channels.find_pointer(first.identity) == first
        assert tx.channels.find_pointer(digest("another")) is None


def test_history_comes_in_pages_newest_first(store: Store) -> None:
    first = move(store, pointer(1), expected=None)
    second = move(store, pointer(900, previous=first), expected=first)
    move(store, pointer(1000, previous=second), expected=second)
    move(store, pointer(950, channel="staging"), expected=None)

    assert (history(store, limit=2), history(store, after=900, limit=2)) == ([1000, 900], [1])


def test_the_largest_sequence_is_kept(store: Store) -> None:
    move(store, pointer(2**53 - 1), expected=None)

    assert history(store) == [2**53 - 1]


def test_the_newest_pointer_that_named_a_bundle_is_found(store: Store) -> None:
    first = move(store, pointer(1, named="2.3.0"), expected=None)
    second = move(store, pointer(2, named="2.3.0", previous=first), expected=first)
    move(store, pointer(3, named="2.3.1", previous=second), expected=second)

    with store.read() as tx:
        assert tx.channels.find_newest(APPLICATION, "prod", bundle=bundle("2.3.0").digest) == second


def test_a_bundle_that_only_another_channel_named_is_not_found(store: Store) -> None:
    move(store, pointer(1, named="2.3.0", channel="staging"), expected=None)

    with store.read() as tx:
        assert tx.channels.find_newest(APPLICATION, "prod", bundle=bundle("2.3.0").digest) is None


def test_channels_come_by_name_with_their_current_pointers(store: Store) -> None:
    staging = move(store, pointer(1, channel="staging"), expected=None)
    old = move(store, pointer(1, channel="dev"), expected=None)
    dev = move(store, pointer(2, channel="dev", previous=old), expected=old)
    prod = move(store, pointer(1), expected=None)
    move(store, pointer(1, application=OTHER), expected=None)

    with store.read() as tx:
        first = tx.channels.list(APPLICATION, after=None, limit=2)
        second = tx.channels.list(APPLICATION, after="prod", limit=2)

    assert [*first, *second] == [dev, prod, staging]


def test_the_channels_of_all_applications_come_in_pages(store: Store) -> None:
    prod = move(store, pointer(1, application=OTHER), expected=None)
    dev = move(store, pointer(1, application=OTHER, channel="dev"), expected=None)
    staging = move(store, pointer(1, channel="staging"), expected=None)

    with store.read() as tx:
        first = tx.channels.list_all(after=None, limit=2)
        second = tx.channels.list_all(after=(OTHER, "prod"), limit=2)

    assert [*first, *second] == [dev, prod, staging]


def test_a_pointer_can_gain_signatures(store: Store) -> None:
    first = move(store, pointer(1), expected=None)
    second = move(store, pointer(2, previous=first), expected=first)
    signed_twice = bytes(Envelope.parse(first.envelope, what="it").with_signatures([Signature("bb", b"second")]))

    with changing(store) as tx:
        tx.channels.add_signatures(first.identity, envelope=signed_twice)

    with store.read() as tx:
        assert tx.channels.find_pointer(first.identity) == replace(first, envelope=signed_twice)
    assert current(store) == second


def test_a_pointer_that_is_not_there_gains_no_signatures(store: Store) -> None:
    with pytest.raises(NotFoundError), changing(store) as tx:
        tx.channels.add_signatures(digest("another"), envelope=pointer(1).envelope)
