"""What every store keeps about artifact versions."""

from dataclasses import replace
from datetime import timedelta
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regalia.core.digest import Digest
from regalia.core.errors import NotFoundError, VersionConflictError
from regalia.core.names import ArtifactName, Kind
from regalia.core.versions import Version
from regalia_registry.domain.records import ArtifactKey, ArtifactVersion
from regalia_registry.ports.store import Store
from tests.support.records import NOW, PROMPT, artifact, changing, digest

OTHER = ArtifactName("acme", Kind.PROMPT, "greeting")
MODEL = ArtifactName("acme", Kind.MODEL, "customer_support")
ELSEWHERE = ArtifactName("globex", Kind.PROMPT, "customer_support")

_names = count()

numbers = st.integers(0, 12) | st.sampled_from([99, 100, 2**53 - 1])
identifiers = st.from_regex(r"0|[1-9][0-9]{0,2}|[a-zA-Z-][0-9a-zA-Z-]{0,3}", fullmatch=True)
prereleases = st.lists(identifiers, min_size=1, max_size=3).map(".".join)
versions = st.builds(
    "{}.{}.{}{}".format, numbers, numbers, numbers, st.just("") | prereleases.map(lambda text: f"-{text}")
)


def add(store: Store, *added: ArtifactVersion) -> list[bool]:
    with changing(store) as tx:
        return [tx.artifacts.add(one) for one in added]


def listed(store: Store, name: ArtifactName, *, limit: int) -> list[str]:
    """Walk all pages."""
    found: list[str] = []
    with store.read() as tx:
        while page := tx.artifacts.versions(name, after=found[-1] if found else None, limit=limit):
            found.extend(one.version for one in page)
    return found


def test_a_version_is_read_back_as_it_was_added(store: Store) -> None:
    add(store, artifact("1.0.0"))

    with store.read() as tx:
        assert tx.artifacts.get(PROMPT, version="1.0.0") == artifact("1.0.0")


def test_times_are_kept_in_whole_seconds(store: Store) -> None:
    add(store, replace(artifact("1.0.0"), pushed_at=NOW + timedelta(milliseconds=900)))

    with store.read() as tx:
        assert tx.artifacts.get(PROMPT, version="1.0.0").pushed_at == NOW


def test_a_version_is_new_once(store: Store) -> None:
    assert add(store, artifact("1.0.0"), artifact("1.0.0")) == [True, False]


def test_a_version_added_again_keeps_its_time(store: Store) -> None:
    add(store, artifact("1.0.0"))

    add(store, replace(artifact("1.0.0"), pushed_at=NOW + timedelta(days=1)))

    with store.read() as tx:
        assert tx.artifacts.get(PROMPT, version="1.0.0").pushed_at == NOW


def test_other_content_under_the_same_version_is_a_conflict(store: Store) -> None:
    add(store, artifact("1.0.0"))

    with pytest.raises(VersionConflictError) as caught:
        add(store, artifact("1.0.0", "something else"))

    assert artifact("1.0.0").digest.short in caught.value.message
    assert "reg push --bump patch" in caught.value.hint


def test_the_same_content_under_another_version_is_a_conflict_that_names_it(store: Store) -> None:
    add(store, artifact("1.0.0", "content"))

    with pytest.raises(VersionConflictError, match=r'has the content of "acme/prompt/customer_support@1\.0\.0"'):
        add(store, artifact("1.0.1", "content"))


def test_a_conflict_leaves_the_stored_version_alone(store: Store) -> None:
    add(store, artifact("1.0.0"))

    with pytest.raises(VersionConflictError):
        add(store, artifact("2.0.0"), artifact("1.0.0", "something else"))

    assert listed(store, PROMPT, limit=10) == ["1.0.0"]


@pytest.mark.parametrize("name", [OTHER, MODEL, ELSEWHERE], ids=["name", "kind", "namespace"])
def test_another_artifact_may_have_the_same_version_and_content(store: Store, name: ArtifactName) -> None:
    add(store, artifact("1.0.0"))

    assert add(store, artifact("1.0.0", name=name)) == [True]


def test_a_version_that_is_not_there_is_not_found(store: Store) -> None:
    with store.read() as tx, pytest.raises(NotFoundError, match=r'there is no "acme/prompt/customer_support@1\.0\.0"'):
        tx.artifacts.get(PROMPT, version="1.0.0")


def test_a_manifest_is_found_in_the_namespace_that_has_it(store: Store) -> None:
    add(store, artifact("1.0.0"))

    with store.read() as tx:
        assert tx.artifacts.find_by_digest("acme", digest=artifact("1.0.0").digest) == artifact("1.0.0")


def test_a_manifest_is_not_found_from_another_namespace(store: Store) -> None:
    add(store, artifact("1.0.0"))

    with store.read() as tx:
        assert tx.artifacts.find_by_digest("globex", digest=artifact("1.0.0").digest) is None
        assert tx.artifacts.find_all_by_digest("globex", digests=[artifact("1.0.0").digest]) == {}


def test_of_many_digests_those_that_are_there_are_found(store: Store) -> None:
    added = [artifact(f"1.0.{patch}") for patch in range(3)]
    add(store, *added)
    absent = [digest(str(number)) for number in range(2500)]

    with store.read() as tx:
        found = tx.artifacts.find_all_by_digest("acme", digests=[*absent, *(one.digest for one in added)])

    assert found == {one.digest: one for one in added}


def test_content_is_found_under_its_artifact_only(store: Store) -> None:
    add(store, artifact("1.0.0", "content"))

    with store.read() as tx:
        assert tx.artifacts.find_by_fingerprint(PROMPT, fingerprint=digest("content")) == artifact("1.0.0", "content")
        assert tx.artifacts.find_by_fingerprint(OTHER, fingerprint=digest("content")) is None


def test_names_come_by_kind_and_name_each_once(store: Store) -> None:
    add(store, artifact("1.0.0"), artifact("1.1.0"), artifact("1.0.0", name=MODEL), artifact("1.0.0", name=OTHER))
    add(store, artifact("1.0.0", name=ELSEWHERE))

    with store.read() as tx:
        found = tx.artifacts.names("acme", kind=None, after=None, limit=10)

    assert [(key.kind, key.name) for key in found] == [
        (Kind.MODEL, "customer_support"),
        (Kind.PROMPT, "customer_support"),
        (Kind.PROMPT, "greeting"),
    ]


def test_names_of_one_kind_can_be_asked_for(store: Store) -> None:
    add(store, artifact("1.0.0"), artifact("1.0.0", name=MODEL))

    with store.read() as tx:
        assert tx.artifacts.names("acme", kind=Kind.MODEL, after=None, limit=10) == [
            ArtifactKey(Kind.MODEL, "customer_support")
        ]


def test_pages_of_names_follow_each_other(store: Store) -> None:
    add(store, artifact("1.0.0"), artifact("1.0.0", name=MODEL), artifact("1.0.0", name=OTHER))

    with store.read() as tx:
        first = tx.artifacts.names("acme", kind=None, after=None, limit=2)
        second = tx.artifacts.names("acme", kind=None, after=first[-1], limit=2)

    assert [*first, *second] == [
        ArtifactKey(Kind.MODEL, "customer_support"),
        ArtifactKey(Kind.PROMPT, "customer_support"),
        ArtifactKey(Kind.PROMPT, "greeting"),
    ]


def test_pages_of_names_of_one_kind_follow_each_other(store: Store) -> None:
    add(store, artifact("1.0.0"), artifact("1.0.0", name=MODEL), artifact("1.0.0", name=OTHER))
    first = ArtifactKey(Kind.PROMPT, "customer_support")

    with store.read() as tx:
        assert tx.artifacts.names("acme", kind=Kind.PROMPT, after=first, limit=2) == [
            ArtifactKey(Kind.PROMPT, "greeting")
        ]


def test_a_listed_version_is_the_stored_one_without_its_manifest(store: Store) -> None:
    added = artifact("1.0.0")
    add(store, added)

    with store.read() as tx:
        [found] = tx.artifacts.versions(PROMPT, after=None, limit=10)

    assert (found.artifact, found.version, found.digest) == (PROMPT, "1.0.0", added.digest)
    assert (found.fingerprint, found.pushed_at) == (added.fingerprint, NOW)


@given(added=st.sets(versions, max_size=8), limit=st.integers(1, 9))
def test_versions_come_in_pages_highest_first(shared_store: Store, added: set[str], limit: int) -> None:
    name = ArtifactName("acme", Kind.CONFIG, f"c{next(_names)}")

    add(shared_store, *(artifact(version, name=name) for version in added))

    assert listed(shared_store, name, limit=limit) == sorted(added, key=Version, reverse=True)


def test_the_manifests_of_all_namespaces_are_listed_by_digest_each_once(store: Store) -> None:
    shared = artifact("1.0.0")
    stored = [shared, artifact("1.1.0"), artifact("2.0.0")]
    with changing(store) as tx:
        for one in (*stored, replace(shared, artifact=ELSEWHERE)):
            tx.artifacts.add(one)

    with store.read() as tx:
        found: dict[Digest, bytes] = {}
        after = None
        while page := tx.artifacts.manifests(after=after, limit=1):
            found |= page
            after = max(page)

    assert found == {one.digest: one.manifest for one in stored}
