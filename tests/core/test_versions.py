"""Versions in SemVer's order, and ranges that admit exactly what npm's own admit."""

import json
from itertools import combinations, pairwise
from pathlib import Path
from typing import TypedDict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regalia.core.errors import InvalidVersionError
from regalia.core.names import check_version
from regalia.core.versions import Part, Range, Version


class RangeVector(TypedDict):
    range: str
    admits: list[str]


VECTORS = Path(__file__).parents[1] / "vectors"
RANGES = json.loads((VECTORS / "ranges.json").read_text(encoding="utf-8"))
VERSIONS = json.loads((VECTORS / "versions.json").read_text(encoding="utf-8"))

NUMBERS = st.integers(0, 12) | st.integers(0, 2**53 - 1)
IDENTIFIERS = st.from_regex(r"(0|[1-9][0-9]{0,3}|[a-z-][0-9a-z-]{0,3})", fullmatch=True)
PRERELEASES = st.just("") | st.lists(IDENTIFIERS, min_size=1, max_size=3).map(lambda parts: "-" + ".".join(parts))
TEXTS = st.builds("{}.{}.{}{}".format, NUMBERS, NUMBERS, NUMBERS, PRERELEASES)
ANY = TEXTS.map(Version)


@pytest.mark.parametrize("vector", RANGES["ranges"], ids=lambda vector: repr(vector["range"]))
def test_a_range_admits_what_npm_admits(vector: RangeVector) -> None:
    parsed = Range.parse(vector["range"])

    assert [version for version in RANGES["versions"] if parsed.admits(Version(version))] == vector["admits"]


@pytest.mark.parametrize("text", RANGES["invalid"])
def test_a_range_that_npm_refuses_is_refused(text: str) -> None:
    with pytest.raises(InvalidVersionError):
        Range.parse(text)


@pytest.mark.parametrize(
    "text", ["", "  ", "||", "1 ||", "latest", "1.2.3+build", "^1.2.3+b", "01.2.3", "^1.02", "1 " * 200]
)
def test_a_range_that_could_mean_two_things_is_refused_though_npm_takes_it(text: str) -> None:
    with pytest.raises(InvalidVersionError):
        Range.parse(text)


@pytest.mark.parametrize(("lower", "higher"), [*pairwise(VERSIONS["ascending"])])
def test_neighbours_are_in_semvers_order(lower: str, higher: str) -> None:
    assert Version(lower) < Version(higher)
    assert not Version(higher) <= Version(lower)


def test_the_order_holds_over_any_distance() -> None:
    ascending = [Version(text) for text in VERSIONS["ascending"]]

    assert all(lower < higher for lower, higher in combinations(ascending, 2))


@pytest.mark.parametrize("text", VERSIONS["taken"])
def test_a_version_is_spelled_as_it_was_written(text: str) -> None:
    assert str(Version(text)) == check_version(text) == text


@pytest.mark.parametrize("text", [*VERSIONS["refused"], "1.0.0-" + "a" * 123, "9" * 5000 + ".0.0"])
def test_what_is_no_version_is_refused(text: str) -> None:
    with pytest.raises(InvalidVersionError):
        Version(text)


@given(ANY, ANY, ANY)
def test_the_order_is_total(first: Version, second: Version, third: Version) -> None:
    assert (first < second) + (first == second) + (first > second) == 1
    assert not (first <= second <= third) or first <= third


@given(ANY)
def test_a_prerelease_comes_before_its_release(version: Version) -> None:
    release = Version(".".join(map(str, version.numbers)))

    assert (version < release) == version.is_prerelease


@given(st.builds("{}.{}.{}{}".format, *[st.integers(0, 99)] * 3, PRERELEASES).map(Version), st.sampled_from(Part))
def test_a_raised_version_is_a_later_release(version: Version, part: Part) -> None:
    raised = version.raised(part)

    assert raised > version
    assert not raised.is_prerelease


@pytest.mark.parametrize(
    ("text", "part", "raised"),
    [
        ("2.3.1", Part.PATCH, "2.3.2"),
        ("2.3.1", Part.MINOR, "2.4.0"),
        ("2.3.1", Part.MAJOR, "3.0.0"),
        ("2.3.1-rc.1", Part.PATCH, "2.3.1"),
        ("2.4.0-rc.1", Part.MINOR, "2.4.0"),
        ("3.0.0-rc.1", Part.MAJOR, "3.0.0"),
        ("2.3.1-rc.1", Part.MINOR, "2.4.0"),
    ],
)
def test_a_prerelease_is_raised_to_its_release_first(text: str, part: Part, raised: str) -> None:
    assert str(Version(text).raised(part)) == raised


@given(TEXTS)
def test_a_version_is_a_range_of_itself(text: str) -> None:
    assert Range.parse(text).admits(Version(text))


@given(st.sampled_from([vector["range"] for vector in RANGES["ranges"]]), st.lists(ANY, max_size=6))
def test_the_newest_is_admitted_and_no_admitted_one_is_newer(text: str, versions: list[Version]) -> None:
    parsed = Range.parse(text)
    admitted = [version for version in versions if parsed.admits(version)]

    newest = parsed.newest(versions)

    assert newest == (max(admitted) if admitted else None)


@given(
    st.sampled_from([vector["range"] for vector in RANGES["ranges"]]), st.sampled_from(["1.x", "^2.3", "0.1.1"]), ANY
)
def test_alternatives_admit_what_either_admits(first: str, second: str, version: Version) -> None:
    either = Range.parse(f"{first} || {second}").admits(version)

    assert either == (Range.parse(first).admits(version) or Range.parse(second).admits(version))


@given(st.text(st.sampled_from("0123456789.x*^~<>=|- vab"), max_size=24))
def test_any_text_is_a_range_or_refused(text: str) -> None:
    try:
        parsed = Range.parse(text)
    except InvalidVersionError:
        return

    assert parsed.admits(Version("1.2.3")) in {True, False}
    assert str(parsed) == text
