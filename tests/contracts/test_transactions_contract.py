"""What every store's transactions keep: a change and its record go together, whole, one after the other."""

import time
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from regalia.core.errors import PointerMovedError
from regalia_registry.domain.access import SYSTEM
from regalia_registry.domain.entries import Entry
from regalia_registry.domain.records import StoredPointer
from regalia_registry.ports.store import Store, Told
from tests.support.records import (
    ACTOR,
    APPLICATION,
    append_pointers,
    artifact,
    changing,
    digest,
    entry,
    hold,
    move,
    pointer,
)

WRITERS = 4
CHANGES = 40
_LONG_ENOUGH_S = 0.1  # for a transaction that does not wait


def hold_as(store: Store, recorded: Entry, *, failing: bool = False) -> None:
    """Hold a bundle and record it, and perhaps fail afterwards."""
    with store.write(ACTOR) as tx:
        tx.holds.add(hold("2.3.1"))
        tx.audit.record(recorded)
        if failing:
            raise KeyError


def note_and_fail(store: Store, to: Told) -> None:
    with store.note(to=to) as tx:
        tx.blobs.link("acme", sizes={digest("blob"): 4})
        raise KeyError


def hold_and_move(store: Store, moved: StoredPointer, *, expected: StoredPointer) -> None:
    with changing(store) as tx:
        tx.holds.add(hold("2.3.1"))
        tx.channels.move(moved, expected=expected.identity)


def is_linked(store: Store) -> bool:
    with store.read() as tx:
        return digest("blob") in tx.blobs.find_sizes("acme", digests=[digest("blob")])


def is_held(store: Store, version: str) -> bool:
    with store.read() as tx:
        return tx.holds.find(APPLICATION, hold(version).bundle) is not None


def test_a_change_is_there_after_its_transaction(store: Store) -> None:
    with changing(store) as tx:
        tx.holds.add(hold("2.3.1"))

    assert is_held(store, "2.3.1")


def test_a_change_without_an_audit_entry_raises(store: Store) -> None:
    told = "actor-1 left its transaction without an audit entry"

    with pytest.raises(RuntimeError, match=told), store.write(ACTOR) as tx:
        tx.holds.add(hold("2.3.1"))


def test_a_change_without_an_audit_entry_is_not_kept(store: Store) -> None:
    with pytest.raises(RuntimeError), store.write(ACTOR) as tx:
        tx.holds.add(hold("2.3.1"))

    assert not is_held(store, "2.3.1")


def test_another_actors_audit_entry_does_not_cover_a_change(store: Store) -> None:
    with pytest.raises(RuntimeError):
        hold_as(store, entry(actor=SYSTEM))

    assert not is_held(store, "2.3.1")


def test_an_exception_rolls_a_change_back_with_its_entry(store: Store) -> None:
    with pytest.raises(KeyError):
        hold_as(store, entry(), failing=True)

    with store.read() as tx:
        assert (tx.holds.list(APPLICATION), tx.audit.list(after=None, limit=10)) == ([], [])


@pytest.mark.parametrize("to", Told)
def test_an_exception_rolls_a_note_back(store: Store, to: Told) -> None:
    with pytest.raises(KeyError):
        note_and_fail(store, to)

    with store.read() as tx:
        assert tx.blobs.find_sizes("acme", digests=[digest("blob")]) == {}


@pytest.mark.parametrize("to", Told)
def test_a_note_needs_no_audit_entry(store: Store, to: Told) -> None:
    with store.note(to=to) as tx:
        tx.blobs.link("acme", sizes={digest("blob"): 4})

    with store.read() as tx:
        assert tx.blobs.find_sizes("acme", digests=[digest("blob")]) == {digest("blob"): 4}


def test_a_read_that_writes_raises(store: Store) -> None:
    with pytest.raises(RuntimeError, match="a read transaction wrote"), store.read() as tx:
        tx.holds.add(hold("2.3.1"))


def test_what_a_read_wrote_is_not_kept(store: Store) -> None:
    with pytest.raises(RuntimeError), store.read() as tx:
        tx.holds.add(hold("2.3.1"))

    assert not is_held(store, "2.3.1")


def test_a_store_can_be_written_after_a_read_that_wrote(store: Store) -> None:
    with pytest.raises(RuntimeError), store.read() as tx:
        tx.holds.add(hold("2.3.1"))

    with changing(store) as tx:
        tx.holds.add(hold("2.3.1"))

    assert is_held(store, "2.3.1")


def test_a_read_does_not_see_what_is_not_committed(store: Store) -> None:
    with changing(store) as tx:
        tx.holds.add(hold("2.3.1"))

        assert not is_held(store, "2.3.1")


def test_a_read_sees_one_moment_while_others_commit(store: Store) -> None:
    with store.read() as before:
        first = before.holds.list(APPLICATION)
        with changing(store) as tx:
            tx.holds.add(hold("2.3.1"))
        second = before.holds.list(APPLICATION)

    assert (first, second) == ([], [])


def test_a_transaction_sees_its_own_changes(store: Store) -> None:
    with changing(store) as tx:
        tx.artifacts.add(artifact("1.0.0"))
        found = tx.artifacts.find_by_digest("acme", digest=artifact("1.0.0").digest)

    assert found == artifact("1.0.0")


def test_version_and_activity_differ_after_a_change(store: Store) -> None:
    version, activity = store.version(), store.activity()

    with changing(store) as tx:
        tx.holds.add(hold("2.3.1"))

    assert store.version() != version
    assert store.activity() != activity


def test_the_version_stays_while_nothing_is_committed(store: Store) -> None:
    before = store.version(), store.activity()

    with store.read() as tx:
        tx.holds.list(APPLICATION)

    assert (store.version(), store.activity()) == before


@pytest.mark.parametrize(("to", "is_version"), [(Told.ALL, True), (Told.WORKERS, False), (Told.NOBODY, False)])
def test_a_note_changes_the_version_where_answers_depend_on_it(store: Store, to: Told, *, is_version: bool) -> None:
    with store.note():
        pass  # there is a mark
    before = store.version()

    with store.note(to=to) as tx:
        tx.blobs.link("acme", sizes={digest("blob"): 4})

    assert (store.version() != before) is is_version
    assert is_linked(store)


@pytest.mark.parametrize("to", [Told.ALL, Told.WORKERS])
def test_workers_see_activity_in_what_they_are_told(store: Store, to: Told) -> None:
    before = store.activity()

    with store.note(to=to) as tx:
        tx.blobs.link("acme", sizes={digest("blob"): 4})

    assert store.activity() != before


def test_a_note_that_is_not_kept_changes_no_version(store: Store) -> None:
    before = store.version()

    with pytest.raises(KeyError):
        note_and_fail(store, Told.ALL)

    assert store.version() == before


def test_one_transaction_moves_a_channel_holds_what_it_left_and_records_it(store: Store) -> None:
    bad = move(store, pointer(1, named="2.3.1"), expected=None)
    good = pointer(2, named="2.3.0", previous=bad)

    with store.write(ACTOR) as tx:
        tx.channels.move(good, expected=bad.identity)
        tx.holds.add(hold("2.3.1"))
        tx.audit.record(moved := entry("channel.moved"))

    with store.read() as tx:
        held = tx.holds.find(APPLICATION, bad.pointer.bundle)
        [newest] = tx.audit.list(after=None, limit=1)
        assert (tx.channels.find(APPLICATION, "prod"), held, newest.id) == (good, hold("2.3.1"), moved.id)


def test_a_lost_move_takes_its_whole_transaction_with_it(store: Store) -> None:
    first = move(store, pointer(1), expected=None)
    move(store, pointer(2, previous=first), expected=first)

    with pytest.raises(PointerMovedError):
        hold_and_move(store, pointer(3, previous=first), expected=first)

    assert not is_held(store, "2.3.1")


@pytest.mark.parametrize("to", Told)
def test_a_note_waits_for_a_writer_and_sees_what_it_wrote(store: Store, to: Told) -> None:
    seen: list[bool] = []
    with store.note():
        pass  # there is a row to queue at

    def note() -> None:
        with store.note(to=to) as tx:
            seen.append(tx.holds.find(APPLICATION, hold("2.3.1").bundle) is not None)

    with ThreadPoolExecutor(1) as pool:
        with changing(store) as tx:
            tx.holds.add(hold("2.3.1"))
            waiting = pool.submit(note)
            time.sleep(_LONG_ENOUGH_S)
            assert seen == []
        waiting.result()

    assert seen == [True]


@pytest.mark.parametrize("to", Told)
def test_a_writer_waits_for_a_note_and_sees_what_it_noted(store: Store, to: Told) -> None:
    seen: list[bool] = []
    with store.note():
        pass  # there is a row to queue at

    def change() -> None:
        with changing(store) as tx:
            seen.append(digest("blob") in tx.blobs.find_sizes("acme", digests=[digest("blob")]))

    with ThreadPoolExecutor(1) as pool:
        with store.note(to=to) as tx:
            tx.blobs.link("acme", sizes={digest("blob"): 4})
            waiting = pool.submit(change)
            time.sleep(_LONG_ENOUGH_S)
            assert seen == []
        waiting.result()

    assert seen == [True]


def test_four_writers_lose_none_of_each_others_changes(store: Store) -> None:
    with ThreadPoolExecutor(WRITERS) as pool:
        done = [pool.submit(append_pointers, store, times=CHANGES, writer=f"writer-{n}") for n in range(WRITERS)]
        for one in done:
            one.result()

    with store.read() as tx:
        history = tx.channels.history(APPLICATION, "prod", after=None, limit=1000)
        entries = tx.audit.list(after=None, limit=1000)
    assert [one.pointer.sequence for one in history] == list(range(WRITERS * CHANGES, 0, -1))
    assert len(entries) == WRITERS * CHANGES


def test_of_four_moves_from_one_pointer_exactly_one_wins(store: Store) -> None:
    first = move(store, pointer(1), expected=None)
    start = Barrier(WRITERS)

    def race(writer: int) -> bool:
        start.wait()
        try:
            move(store, pointer(2, named=f"3.0.{writer}", previous=first), expected=first)
        except PointerMovedError:
            return False
        return True

    with ThreadPoolExecutor(WRITERS) as pool:
        won = list(pool.map(race, range(WRITERS)))

    assert sorted(won) == [False, False, False, True]


def test_of_four_first_pointers_exactly_one_makes_the_channel(store: Store) -> None:
    start = Barrier(WRITERS)

    def race(writer: int) -> bool:
        start.wait()
        try:
            move(store, pointer(1, named=f"3.0.{writer}"), expected=None)
        except PointerMovedError:
            return False
        return True

    with ThreadPoolExecutor(WRITERS) as pool:
        won = list(pool.map(race, range(WRITERS)))

    assert sorted(won) == [False, False, False, True]
