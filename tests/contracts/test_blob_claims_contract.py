"""What every store keeps about blobs that may go: of a claim and a taking the first wins."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from threading import Barrier

import pytest

from regalia.core.digest import Digest
from regalia_registry.ports.store import Store, Told
from tests.support.records import NOW, digest

BLOB, OTHER = sorted([digest("blob"), digest("other")])
DAY = timedelta(days=1)


def claim(store: Store, *digests: Digest, until: datetime = NOW + DAY) -> frozenset[Digest]:
    with store.note(to=Told.NOBODY) as tx:
        return tx.blobs.claim(digests=digests, until=until)


def take(store: Store, *digests: Digest, at: datetime = NOW, operation: str = "gc-1") -> frozenset[Digest]:
    with store.note() as tx:
        return tx.blobs.take(digests=digests, at=at, operation=operation)


def claimed(store: Store, *digests: Digest, at: datetime = NOW) -> frozenset[Digest]:
    with store.read() as tx:
        return tx.blobs.find_claimed(digests=digests, at=at)


def taken(store: Store, *, after: Digest | None = None, limit: int = 9) -> Sequence[tuple[Digest, str]]:
    with store.read() as tx:
        return list(tx.blobs.taken(after=after, limit=limit))


def test_what_was_never_claimed_is_taken(store: Store) -> None:
    assert claimed(store, BLOB) == frozenset()

    assert take(store, BLOB, OTHER) == {BLOB, OTHER}

    assert taken(store) == [(BLOB, "gc-1"), (OTHER, "gc-1")]


def test_what_is_claimed_is_not_taken(store: Store) -> None:
    assert claim(store, BLOB) == frozenset()

    assert take(store, BLOB, OTHER) == {OTHER}

    assert claimed(store, BLOB) == {BLOB}
    assert taken(store) == [(OTHER, "gc-1")]


def test_what_is_taken_is_not_claimed(store: Store) -> None:
    take(store, BLOB)

    assert claim(store, BLOB, OTHER) == {BLOB}

    assert taken(store) == [(BLOB, "gc-1")]


def test_a_claim_is_over_at_its_end(store: Store) -> None:
    claim(store, BLOB)

    assert claimed(store, BLOB, at=NOW + DAY - timedelta(seconds=1)) == {BLOB}
    assert claimed(store, BLOB, at=NOW + DAY) == frozenset()
    assert take(store, BLOB, at=NOW + DAY - timedelta(seconds=1)) == frozenset()
    assert take(store, BLOB, at=NOW + DAY) == {BLOB}


@pytest.mark.parametrize("untils", [(DAY, 2 * DAY), (2 * DAY, DAY)], ids=["longer", "shorter"])
def test_of_two_claims_the_longer_one_counts(store: Store, untils: tuple[timedelta, timedelta]) -> None:
    for until in untils:
        claim(store, BLOB, until=NOW + until)

    assert take(store, BLOB, at=NOW + 2 * DAY - timedelta(seconds=1)) == frozenset()
    assert take(store, BLOB, at=NOW + 2 * DAY) == {BLOB}


def test_of_what_is_taken_no_namespace_sees_anything(store: Store) -> None:
    with store.note() as tx:
        for namespace in ("acme", "globex"):
            tx.blobs.link(namespace, sizes={BLOB: 4, OTHER: 5})
    claim(store, OTHER)

    take(store, BLOB, OTHER)

    with store.read() as tx:
        for namespace in ("acme", "globex"):
            assert tx.blobs.find_sizes(namespace, digests=[BLOB, OTHER]) == {OTHER: 5}


def test_what_one_operation_has_taken_is_no_others(store: Store) -> None:
    take(store, BLOB)

    assert take(store, BLOB, OTHER, operation="gc-2") == {OTHER}
    assert take(store, BLOB, OTHER) == {BLOB}


def test_what_is_being_removed_counts_as_claimed(store: Store) -> None:
    take(store, BLOB)

    assert claimed(store, BLOB, OTHER, at=NOW + DAY) == {BLOB}


def test_what_is_removed_may_be_claimed_again(store: Store) -> None:
    take(store, BLOB)
    with store.note() as tx:
        tx.blobs.forget(digests=[BLOB, OTHER])

    assert claim(store, BLOB) == frozenset()

    assert taken(store) == []


def test_a_claim_is_not_forgotten_as_removed(store: Store) -> None:
    claim(store, BLOB)

    with store.note() as tx:
        tx.blobs.forget(digests=[BLOB])

    assert claimed(store, BLOB) == {BLOB}


def test_what_is_being_removed_is_listed_from_behind_a_digest(store: Store) -> None:
    take(store, BLOB, OTHER)

    assert taken(store, limit=1) == [(BLOB, "gc-1")]
    assert taken(store, after=BLOB) == [(OTHER, "gc-1")]


def test_claims_that_are_over_are_forgotten_and_others_stay(store: Store) -> None:
    third = digest("third")
    claim(store, BLOB)
    claim(store, OTHER, until=NOW + 2 * DAY)
    take(store, third)

    with store.note() as tx:
        tx.blobs.end_claims(at=NOW + DAY)

    assert claimed(store, BLOB, OTHER, third) == {OTHER, third}
    assert taken(store) == [(third, "gc-1")]


def test_many_are_claimed_and_taken_at_once(store: Store) -> None:
    many = [digest(str(number)) for number in range(2500)]
    claim(store, *many[:1200])

    assert take(store, *many) == frozenset(many[1200:])


def test_no_digests_change_nothing(store: Store) -> None:
    assert (claim(store), take(store), claimed(store), taken(store)) == (frozenset(), frozenset(), frozenset(), [])


def test_of_a_claim_and_a_taking_at_once_just_one_wins(store: Store) -> None:
    digests = [digest(f"race {number}") for number in range(40)]
    meeting = Barrier(2)

    def claim_all() -> set[Digest]:
        meeting.wait()
        return {one for one in digests if not claim(store, one)}

    def take_all() -> set[Digest]:
        meeting.wait()
        return {one for one in reversed(digests) if take(store, one)}

    with ThreadPoolExecutor(2) as pool:
        claiming, taking = pool.submit(claim_all), pool.submit(take_all)
        kept, gone = claiming.result(), taking.result()

    assert kept | gone == set(digests)
    assert kept & gone == set()
