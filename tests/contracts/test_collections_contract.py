"""What every store keeps about collections: a name is used once, and a state is left once."""

from dataclasses import replace
from datetime import timedelta

import pytest

from regalia.core.errors import ConflictError, NotFoundError
from regalia_registry.domain.placing import Collection, CollectionState
from regalia_registry.ports.store import Store
from tests.support.records import NOW, collection, digest

READY, RETIRING, DROPPED = CollectionState.READY, CollectionState.RETIRING, CollectionState.DROPPED


def add(store: Store, *added: Collection) -> None:
    with store.note() as tx:
        for one in added:
            tx.collections.add(one)


def update(store: Store, changed: Collection, *, expected: CollectionState) -> bool:
    with store.note() as tx:
        return tx.collections.update(changed, expected=expected)


def get(store: Store, collection_id: str) -> Collection:
    with store.read() as tx:
        return tx.collections.get(collection_id)


def test_a_collection_is_read_back_as_it_was_added(store: Store) -> None:
    added = replace(
        collection(1),
        state=READY,
        table="kb",
        sealed=True,
        marker="oid 7",
        seconds=3,
        verified_at=NOW,
        bound_at=NOW + timedelta(hours=1),
        unbound_at=NOW + timedelta(hours=2),
        leftover="snapshot/kb-left@1.0.0",
    )
    add(store, added)

    assert get(store, added.id) == added


def test_its_times_are_kept_in_whole_seconds(store: Store) -> None:
    odd = NOW + timedelta(milliseconds=900)
    add(store, replace(collection(1), made_at=odd, verified_at=odd, bound_at=odd, unbound_at=odd))

    assert get(store, collection(1).id) == replace(collection(1), verified_at=NOW, bound_at=NOW, unbound_at=NOW)


def test_one_that_is_not_there_is_told_by_its_id(store: Store) -> None:
    with store.read() as tx, pytest.raises(NotFoundError, match='no collection "c-9999"'):
        tx.collections.get("c-9999")


@pytest.mark.parametrize("state", list(CollectionState))
def test_a_name_is_used_once_on_a_target_whatever_became_of_it(store: Store, state: CollectionState) -> None:
    add(store, replace(collection(1), name="kb_aaaaaaaa", state=state))

    with pytest.raises(ConflictError, match='"kb_aaaaaaaa" was used on "local" before'):
        add(store, replace(collection(2), name="kb_aaaaaaaa"))
    add(store, replace(collection(3), name="kb_aaaaaaaa", target="other"))

    with store.read() as tx:
        assert [one.id for one in tx.collections.list(after=None, limit=9) if one.target == "other"] == ["c-0003"]


def test_an_id_is_used_once(store: Store) -> None:
    add(store, collection(1))

    with pytest.raises(ConflictError, match="was used"):
        add(store, replace(collection(1), name="kb_other"))

    assert get(store, collection(1).id) == collection(1)


def test_a_collection_is_found_by_its_target_and_name(store: Store) -> None:
    dropped = replace(collection(2), state=DROPPED)
    add(store, collection(1), dropped)

    with store.read() as tx:
        assert tx.collections.find("local", collection(1).name) == collection(1)
        assert tx.collections.find("local", dropped.name) == dropped
        assert tx.collections.find("other", collection(1).name) is None
        assert tx.collections.find("local", "kb_nothing") is None


def test_those_of_a_content_are_found_where_they_are_ready_the_newest_first(store: Store) -> None:
    ready = [replace(collection(number), state=READY) for number in (1, 2, 3)]
    add(
        store,
        *ready,
        replace(collection(4), state=READY, content_root=digest("other")),
        replace(collection(5), state=READY, target="other"),
        collection(6),
        replace(collection(7), state=RETIRING),
        replace(collection(8), state=DROPPED),
    )

    with store.read() as tx:
        assert list(tx.collections.find_ready("local", content_root=digest("kb"))) == ready[::-1]
        assert list(tx.collections.find_ready("nowhere", content_root=digest("kb"))) == []


def test_what_an_operation_made_is_listed_the_oldest_first_whatever_became_of_it(store: Store) -> None:
    made = [collection(1), replace(collection(2), state=DROPPED), replace(collection(3), operation="op-2")]
    add(store, *reversed(made))

    with store.read() as tx:
        assert list(tx.collections.of_operation("op-1")) == made[:2]
        assert list(tx.collections.of_operation("op-9")) == []


def test_a_list_leaves_out_what_is_dropped_and_goes_on_where_its_page_ended(store: Store) -> None:
    add(
        store,
        *(replace(collection(number), namespace=f"n{number}") for number in (5, 1, 4)),
        replace(collection(2), state=DROPPED),
        replace(collection(3), state=RETIRING),
    )

    with store.read() as tx:
        first = tx.collections.list(after=None, limit=2)
        rest = tx.collections.list(after=first[-1].id, limit=9)

    assert [one.id for one in first] == ["c-0001", "c-0003"]
    assert [one.id for one in rest] == ["c-0004", "c-0005"]


def test_the_newest_is_the_one_that_was_loaded_last_and_is_ready(store: Store) -> None:
    add(
        store,
        replace(collection(2), state=READY, seconds=9),
        replace(collection(1), state=READY, seconds=9),
        replace(collection(3), seconds=9),
        replace(collection(4), state=READY, seconds=9, target="other"),
        replace(collection(5), state=READY, seconds=0),  # adopted: it tells nothing of how long a load takes
    )

    with store.read() as tx:
        newest = tx.collections.newest("local")
        assert newest is not None
        assert newest.id == "c-0002"
        assert tx.collections.newest("nowhere") is None


def test_an_update_replaces_what_may_change_and_nothing_else(store: Store) -> None:
    add(store, collection(1))
    changed = replace(
        collection(1),
        state=READY,
        table="kb",
        sealed=True,
        marker="oid 7",
        seconds=9,
        verified_at=NOW,
        bound_at=NOW,
        unbound_at=NOW,
        leftover="snapshot/left@1.0.0",
    )

    assert update(store, changed, expected=CollectionState.BUILDING)

    assert get(store, changed.id) == changed


def test_what_a_collection_was_made_of_never_changes(store: Store) -> None:
    add(store, collection(1))
    other = replace(collection(1), name="kb_other", content_root=digest("other"), rows=9, operation="op-9")

    assert update(store, replace(other, state=READY), expected=CollectionState.BUILDING)

    assert get(store, other.id) == replace(collection(1), state=READY)


@pytest.mark.parametrize("expected", [one for one in CollectionState if one is not CollectionState.BUILDING])
def test_an_update_of_another_state_changes_nothing(store: Store, expected: CollectionState) -> None:
    add(store, collection(1))

    assert not update(store, replace(collection(1), state=DROPPED), expected=expected)

    assert get(store, collection(1).id) == collection(1)


def test_one_that_is_not_there_is_not_updated(store: Store) -> None:
    assert not update(store, collection(1), expected=CollectionState.BUILDING)


def test_of_a_binding_and_a_retiring_the_first_wins(store: Store) -> None:
    bound = replace(collection(1), state=READY, bound_at=NOW)
    retiring = replace(collection(1), state=RETIRING)
    add(store, replace(collection(1), state=READY), replace(collection(2), state=READY))

    later = [update(store, bound, expected=READY), update(store, retiring, expected=READY)]
    sooner = [
        update(store, replace(retiring, id="c-0002"), expected=READY),
        update(store, replace(bound, id="c-0002"), expected=READY),
    ]

    assert (later, sooner) == ([True, True], [True, False])
