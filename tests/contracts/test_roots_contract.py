"""What every store keeps about the trust root."""

import pytest

from regalia.core.errors import ConflictError
from regalia_registry.domain.records import StoredRoot
from regalia_registry.ports.store import Store
from tests.support.records import changing, digest, root


def add(store: Store, *added: StoredRoot) -> None:
    with changing(store) as tx:
        for one in added:
            tx.roots.add(one)


def test_there_is_no_root_at_first(store: Store) -> None:
    with store.read() as tx:
        assert tx.roots.newest() is None


def test_the_highest_version_is_the_newest(store: Store) -> None:
    add(store, *map(root, range(1, 12)))

    with store.read() as tx:
        assert tx.roots.newest() == root(11)


def test_a_root_is_found_by_version_and_by_identity(store: Store) -> None:
    add(store, root(1), root(2))

    with store.read() as tx:
        assert (tx.roots.find(1), tx.roots.find_by_identity(root(1).identity)) == (root(1), root(1))


def test_a_root_that_is_not_there_is_not_found(store: Store) -> None:
    add(store, root(1))

    with store.read() as tx:
        assert (tx.roots.find(2), tx.roots.find_by_identity(digest("another"))) == (None, None)


def test_the_versions_after_one_come_oldest_first(store: Store) -> None:
    add(store, *map(root, range(1, 6)))

    with store.read() as tx:
        assert tx.roots.after(1, limit=3) == [root(2), root(3), root(4)]


def test_a_version_is_added_once(store: Store) -> None:
    add(store, root(1))

    with pytest.raises(ConflictError, match="root version 1 exists"):
        add(store, root(1, "other content"))


def test_a_payload_is_added_once(store: Store) -> None:
    add(store, root(1))

    with pytest.raises(ConflictError):
        add(store, StoredRoot(2, root(1).identity, root(1).envelope))
