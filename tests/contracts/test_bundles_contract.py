"""What every store keeps about bundles."""

from dataclasses import replace
from datetime import timedelta

import pytest

from regalia.core.errors import NotFoundError, VersionConflictError
from regalia.core.names import ApplicationName
from regalia_registry.domain.records import StoredBundle
from regalia_registry.ports.store import Store
from tests.support.records import APPLICATION, NOW, bundle, changing

OTHER = ApplicationName("acme", "search")


def add(store: Store, *added: StoredBundle) -> list[bool]:
    with changing(store) as tx:
        return [tx.bundles.add(one) for one in added]


def test_a_bundle_is_read_back_as_it_was_added(store: Store) -> None:
    add(store, bundle("2.3.1"))

    with store.read() as tx:
        assert tx.bundles.get(APPLICATION, version="2.3.1") == bundle("2.3.1")
        assert tx.bundles.get_by_digest(APPLICATION, digest=bundle("2.3.1").digest) == bundle("2.3.1")


def test_a_bundle_without_a_commit_is_read_back_without_one(store: Store) -> None:
    added = replace(bundle("2.3.1"), git_commit=None)

    add(store, added)

    with store.read() as tx:
        assert tx.bundles.get(APPLICATION, version="2.3.1") == added


def test_times_are_kept_in_whole_seconds(store: Store) -> None:
    part = timedelta(milliseconds=900)
    added = bundle("2.3.1")

    add(store, replace(added, issued_at=added.issued_at + part, stored_at=added.stored_at + part))

    with store.read() as tx:
        assert tx.bundles.get(APPLICATION, version="2.3.1") == added


def test_a_bundle_is_new_once(store: Store) -> None:
    assert add(store, bundle("2.3.1"), bundle("2.3.1")) == [True, False]


def test_a_bundle_added_again_keeps_its_stored_statement(store: Store) -> None:
    add(store, bundle("2.3.1"))

    add(store, replace(bundle("2.3.1"), release=b"signed by somebody else", stored_at=NOW + timedelta(days=1)))

    with store.read() as tx:
        assert tx.bundles.get(APPLICATION, version="2.3.1") == bundle("2.3.1")


def test_another_bundle_under_the_same_version_is_a_conflict(store: Store) -> None:
    add(store, bundle("2.3.1"))

    with pytest.raises(VersionConflictError) as caught:
        add(store, bundle("2.3.1", "other members"))

    assert bundle("2.3.1").digest.short in caught.value.message
    assert "reg bundle create" in caught.value.hint


def test_one_digest_under_two_versions_is_a_conflict(store: Store) -> None:
    add(store, bundle("2.3.1"))

    with pytest.raises(VersionConflictError, match="is another version"):
        add(store, replace(bundle("2.3.1"), version="2.3.2"))


def test_another_application_may_have_the_same_version_and_digest(store: Store) -> None:
    add(store, bundle("2.3.1"))

    assert add(store, replace(bundle("2.3.1"), application=OTHER)) == [True]


def test_a_bundle_that_is_not_there_is_not_found(store: Store) -> None:
    with store.read() as tx:
        with pytest.raises(NotFoundError, match=r'there is no bundle "acme/support-agent@2\.3\.1"'):
            tx.bundles.get(APPLICATION, version="2.3.1")
        with pytest.raises(NotFoundError, match=bundle("2.3.1").digest.short):
            tx.bundles.get_by_digest(APPLICATION, digest=bundle("2.3.1").digest)


def test_another_applications_bundle_is_not_found(store: Store) -> None:
    add(store, bundle("2.3.1"))

    with store.read() as tx, pytest.raises(NotFoundError):
        tx.bundles.get_by_digest(OTHER, digest=bundle("2.3.1").digest)


def test_bundles_come_in_pages_highest_version_first(store: Store) -> None:
    add(store, *map(bundle, ["2.3.0", "2.10.0", "2.4.0-rc.1", "2.4.0"]), bundle("9.0.0", application=OTHER))

    with store.read() as tx:
        first = tx.bundles.list(APPLICATION, after=None, limit=3)
        second = tx.bundles.list(APPLICATION, after=first[-1].version, limit=3)

    assert [one.version for one in (*first, *second)] == ["2.10.0", "2.4.0", "2.4.0-rc.1", "2.3.0"]


def test_a_listed_bundle_is_the_stored_one_without_its_documents(store: Store) -> None:
    added = bundle("2.3.1")
    add(store, added)

    with store.read() as tx:
        [found] = tx.bundles.list(APPLICATION, after=None, limit=10)

    assert (found.application, found.version, found.digest) == (APPLICATION, "2.3.1", added.digest)
    assert (found.issued_at, found.stored_at, found.git_commit) == (added.issued_at, added.stored_at, "c0ffee")


def test_the_bundles_of_all_applications_come_in_pages(store: Store) -> None:
    added = [bundle("2.3.0"), bundle("2.3.1"), bundle("2.3.2"), bundle("9.0.0", application=OTHER)]
    add(store, *added)

    with store.read() as tx:
        first = tx.bundles.list_all(after=None, limit=3)
        second = tx.bundles.list_all(after=(first[-1].application, first[-1].digest), limit=3)

    assert [*first, *second] == sorted(added, key=lambda one: (str(one.application), one.digest.hex))


def test_a_release_statement_can_gain_signatures(store: Store) -> None:
    add(store, bundle("2.3.0"), bundle("2.3.1"))

    with changing(store) as tx:
        tx.bundles.add_signatures(APPLICATION, digest=bundle("2.3.1").digest, release=b"signed twice")

    with store.read() as tx:
        assert tx.bundles.get(APPLICATION, version="2.3.1").release == b"signed twice"
        assert tx.bundles.get(APPLICATION, version="2.3.0") == bundle("2.3.0")


def test_a_bundle_that_is_not_there_gains_no_signatures(store: Store) -> None:
    with pytest.raises(NotFoundError), changing(store) as tx:
        tx.bundles.add_signatures(APPLICATION, digest=bundle("2.3.1").digest, release=b"signed twice")
