"""The text that versions are sorted by in a database sorts as SemVer does."""

from hypothesis import given
from hypothesis import strategies as st

from regalia.core.versions import Version
from regalia_registry.domain.order import sort_key

numbers = st.integers(0, 120) | st.sampled_from([2**53 - 2, 2**53 - 1])
identifiers = numbers.map(str) | st.from_regex(r"[0-9]{0,3}[a-zA-Z-][0-9a-zA-Z-]{0,3}", fullmatch=True)
prereleases = st.just("") | st.lists(identifiers, min_size=1, max_size=4).map(lambda parts: "-" + ".".join(parts))
versions = st.builds("{}.{}.{}{}".format, numbers, numbers, numbers, prereleases)

LONGEST = "0.0.0-" + ".".join("1" * 61)


@given(versions, versions)
def test_sort_keys_compare_as_versions_do(one: str, other: str) -> None:
    assert (sort_key(one) < sort_key(other)) == (Version(one) < Version(other))


@given(versions, versions)
def test_two_versions_never_share_a_sort_key(one: str, other: str) -> None:
    assert (sort_key(one) == sort_key(other)) == (one == other)


def test_the_longest_sort_key_fits_its_column() -> None:
    assert len(sort_key(Version(LONGEST).text)) <= 512
