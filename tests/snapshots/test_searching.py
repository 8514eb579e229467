"""Exact search in a snapshot: the same answer as comparing every row by hand, whatever the segments."""

import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regalia.core.errors import DocumentError, UnsupportedError
from regalia.core.kinds.snapshot import VectorSpace
from regalia_registry.domain.snapshots.distances import distance
from regalia_registry.domain.snapshots.rows import Row, encode_key, encode_properties
from regalia_registry.segments import writing
from regalia_registry.segments.build import Built
from regalia_registry.segments.searching import Found, Search
from tests.support.segments import SCHEMA, Kept, row

BODY = SCHEMA.vectors[0]
numbers = st.floats(-100, 100, width=32)


def placed(number: int, x: float, y: float) -> Row:
    return Row(encode_key(number), (("body", struct.pack("<2f", x, y)),), encode_properties({"text": f"row {number}"}))


def search(kept: Kept, built: Built) -> Search:
    return Search(
        built.listing,
        built.tombstones,
        keys=lambda segment: kept.files[segment.keys],
        rows=lambda segment: kept.files[segment.rows],
    )


def nearest(kept: Kept, built: Built, x: float, y: float, *, limit: int, metric: str = "l2") -> list[Found]:
    space = VectorSpace("body", 2, metric)
    return search(kept, built).nearest(struct.pack("<2f", x, y), space, limit=limit, tell=lambda _: None)


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    return Kept(tmp_path)


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(st.integers(0, 30), st.tuples(numbers, numbers), min_size=1),
    st.dictionaries(st.integers(0, 30), st.tuples(numbers, numbers), min_size=1),
    st.tuples(numbers, numbers),
    st.sampled_from(["cosine", "l2", "dot"]),
    st.integers(1, 12),
)
def test_the_nearest_are_those_of_comparing_each_live_row(
    tmp_path_factory: pytest.TempPathFactory,
    before: dict[int, tuple[float, float]],
    after: dict[int, tuple[float, float]],
    asked: tuple[float, float],
    metric: str,
    limit: int,
) -> None:
    kept = Kept(tmp_path_factory.mktemp("search"))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(writing, "_GROUP_BYTES", 200)
        patched.setattr(writing, "SEGMENT_BYTES", 400)
        first = kept.build([placed(number, *place) for number, place in before.items()])
        rows = [placed(number, *place) for number, place in after.items()]
        built = kept.build(rows, first)

    found = nearest(kept, built, *asked, limit=limit, metric=metric)

    question = struct.pack("<2f", *asked)
    by_hand = sorted(distance(metric, question, one.vectors[0][1]) for one in rows)
    assert [one.distance for one in found] == pytest.approx(by_hand[:limit], abs=1e-9)
    assert all(one.properties == row.properties for one in found for row in rows if row.key == one.key)
    assert len({one.key for one in found}) == len(found) == min(limit, len(rows))


def test_rows_that_are_equally_far_come_by_their_keys(kept: Kept) -> None:
    built = kept.build([placed(number, 1.0, 2.0) for number in (5, 3, 9, 1, 7)])

    assert [one.key for one in nearest(kept, built, 0.0, 0.0, limit=3)] == [encode_key(number) for number in (1, 3, 5)]


def test_a_row_without_the_vector_is_never_near(kept: Kept) -> None:
    built = kept.build([row(1, has_title=False), row(2)])
    title = SCHEMA.vectors[1]

    found = search(kept, built).nearest(struct.pack("<f", 1.0), title, limit=5, tell=lambda _: None)

    assert [one.key for one in found] == [encode_key(2)]
    assert search(kept, built).vector_of(encode_key(1), title) is None
    assert search(kept, built).vector_of(encode_key(2), title) == struct.pack("<f", 1.0)


def test_a_keys_vector_is_that_of_its_live_row(kept: Kept) -> None:
    first = kept.build([placed(number, number, 0.0) for number in range(20)])
    built = kept.build([placed(number, 7.5 if number == 7 else number, 0.0) for number in range(19)], first)

    assert search(kept, built).vector_of(encode_key(7), BODY) == struct.pack("<2f", 7.5, 0.0)
    assert search(kept, built).vector_of(encode_key(8), BODY) == struct.pack("<2f", 8.0, 0.0)
    assert search(kept, built).vector_of(encode_key(19), BODY) is None
    assert search(kept, built).vector_of(encode_key(99), BODY) is None


def test_manhattan_distance_is_measured_too(kept: Kept) -> None:
    built = kept.build([placed(1, 3.0, -4.0)])

    assert nearest(kept, built, 0.0, 0.0, limit=1, metric="l1")[0].distance == 7.0


def test_an_empty_snapshot_answers_nothing(kept: Kept) -> None:
    assert nearest(kept, kept.build([]), 0.0, 0.0, limit=3) == []


def test_a_question_of_other_dimensions_is_refused_with_both(kept: Kept) -> None:
    built = kept.build([placed(1, 1.0, 1.0)])

    with pytest.raises(DocumentError, match=r'3 dimensions, "body" has 2'):
        search(kept, built).nearest(struct.pack("<3f", 0, 0, 0), BODY, limit=1, tell=lambda _: None)


def test_a_metric_that_is_not_measured_is_refused(kept: Kept) -> None:
    with pytest.raises(UnsupportedError, match="hamming"):
        nearest(kept, kept.build([placed(1, 1.0, 1.0)]), 0.0, 0.0, limit=1, metric="hamming")
