"""What every store keeps about which namespace may see which blob."""

from regalia.core.digest import Digest
from regalia_registry.ports.store import Store
from tests.support.records import digest

BLOB = digest("blob")
OTHER = digest("other")


def link(store: Store, namespace: str, sizes: dict[Digest, int]) -> None:
    with store.note() as tx:
        tx.blobs.link(namespace, sizes=sizes)


def test_a_namespace_sees_what_it_was_linked_to(store: Store) -> None:
    link(store, "acme", {BLOB: 4, OTHER: 2**40})

    with store.read() as tx:
        assert tx.blobs.find_sizes("acme", digests=[BLOB, OTHER]) == {BLOB: 4, OTHER: 2**40}


def test_another_namespace_does_not_see_it(store: Store) -> None:
    link(store, "acme", {BLOB: 4})

    with store.read() as tx:
        assert tx.blobs.find_sizes("globex", digests=[BLOB]) == {}


def test_only_what_was_asked_for_is_found(store: Store) -> None:
    link(store, "acme", {BLOB: 4, OTHER: 5})

    with store.read() as tx:
        assert tx.blobs.find_sizes("acme", digests=[OTHER]) == {OTHER: 5}


def test_a_blob_keeps_the_size_of_its_first_link(store: Store) -> None:
    link(store, "acme", {BLOB: 4})

    link(store, "acme", {BLOB: 5, OTHER: 6})

    with store.read() as tx:
        assert tx.blobs.find_sizes("acme", digests=[BLOB, OTHER]) == {BLOB: 4, OTHER: 6}


def test_no_digests_find_nothing(store: Store) -> None:
    with store.read() as tx:
        assert tx.blobs.find_sizes("acme", digests=[]) == {}


def test_of_many_digests_those_that_are_linked_are_found(store: Store) -> None:
    link(store, "acme", {BLOB: 4, OTHER: 5})
    absent = [digest(str(number)) for number in range(2500)]

    with store.read() as tx:
        assert tx.blobs.find_sizes("acme", digests=[BLOB, *absent, OTHER]) == {BLOB: 4, OTHER: 5}
