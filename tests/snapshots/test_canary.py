"""Canaries: exact nearest rows, by comparing all rows or only those that are new, and the layer that keeps them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from regalia.core.errors import DocumentError
from regalia.core.kinds.snapshot import VectorSpace
from regalia_registry.domain.snapshots.canary import (
    ANSWERS,
    KEPT,
    MIN_QUESTIONS,
    QUESTIONS,
    Neighbour,
    Question,
    are_enough,
    questions_a_space,
    recall_of,
    surviving,
)
from regalia_registry.domain.snapshots.distances import distance
from regalia_registry.domain.snapshots.listing import Listing
from regalia_registry.domain.snapshots.rows import Row, Rows, encode_key
from regalia_registry.domain.snapshots.schema import Schema
from regalia_registry.segments import writing
from regalia_registry.segments.build import Build, Built
from regalia_registry.segments.canary import read_canary, write_canary
from regalia_registry.segments.nearest import Watch, choose_questions, measure
from regalia_registry.segments.parquet import row_group
from tests.support.segments import SCHEMA, Kept

METRICS = ["cosine", "l2", "dot", "l1"]
NUMBERS = np.random.default_rng(4)


@pytest.fixture(autouse=True)
def _begin_anew() -> None:
    """Give each test the numbers that it has alone."""
    NUMBERS.bit_generator.state = np.random.default_rng(4).bit_generator.state


def placed(number: int, vector: Sequence[float] | None = None) -> Row:
    x, y = NUMBERS.standard_normal(2) if vector is None else vector
    return Row(encode_key(number), (("body", np.array([x, y], "<f4").tobytes()),), b"{}")


def by(metric: str) -> Schema:
    return replace(SCHEMA, vectors=(VectorSpace("body", 2, metric), VectorSpace("title", 1, metric)))


def canary(kept: Kept, built: Built, schema: Schema) -> list[Question]:
    def rows(segment: object) -> Path:
        return kept.files[segment.rows]  # type: ignore[attr-defined] # a segment

    chosen = choose_questions(schema, built.listing, built.tombstones, rows)
    return measure(chosen, schema, built.listing, built.tombstones, rows, lambda _: None)


def continued(kept: Kept, built: Built, schema: Schema, base: Built, before: Sequence[Question]) -> list[Question]:
    known = {segment.keys for segment in base.listing.segments}
    fresh = Listing(tuple(one for one in built.listing.segments if one.keys not in known))
    there = {row.key: row for row in kept.rows(built)}
    gone = {row.key for row in kept.rows(base) if there.get(row.key) != row}
    left = surviving(before, gone)
    return measure(left, schema, fresh, built.tombstones, lambda one: kept.files[one.rows], lambda _: None)


def exactly(question: Question, rows: Sequence[Row], metric: str) -> list[bytes]:
    found = [
        (distance(metric, question.vector, dict(row.vectors)["body"]), row.key)
        for row in rows
        if row.key != question.key
    ]
    return [key for _, key in sorted(found)[:ANSWERS]]


def tens(questions: Sequence[Question]) -> Mapping[bytes, list[bytes]]:
    return {one.key: [near.key for near in one.near[:ANSWERS]] for one in questions}


@pytest.mark.parametrize("metric", METRICS)
def test_the_nearest_are_those_of_comparing_every_row(tmp_path: Path, metric: str) -> None:
    kept = Kept(tmp_path)
    built = kept.build([placed(number) for number in range(700)])

    found = canary(kept, built, by(metric))

    assert len(found) == QUESTIONS
    assert all(len(one.near) == KEPT for one in found)
    assert tens(found) == {one.key: exactly(one, kept.rows(built), metric) for one in found}


@pytest.mark.parametrize("metric", ["l1", "l2"])
def test_distances_beyond_float32_are_measured(tmp_path: Path, metric: str) -> None:
    kept = Kept(tmp_path)
    built = kept.build([placed(number, (3e38 - number * 1e35, -3e38)) for number in range(-40, 60)])

    found = canary(kept, built, by(metric))

    assert tens(found) == {one.key: exactly(one, kept.rows(built), metric) for one in found}


@pytest.mark.parametrize("scale", [1e-22, 1e-16, 1e-14, 1e14, 1e16, 1e22])
@pytest.mark.parametrize("metric", METRICS)
def test_very_short_and_very_long_vectors_are_measured(tmp_path: Path, metric: str, scale: float) -> None:
    kept = Kept(tmp_path)
    built = kept.build([placed(number, (NUMBERS.standard_normal(2) * scale).tolist()) for number in range(300)])

    found = canary(kept, built, by(metric))

    assert tens(found) == {one.key: exactly(one, kept.rows(built), metric) for one in found}


@pytest.mark.parametrize("metric", METRICS)
def test_rows_that_are_nearer_to_each_other_than_float32_tells_stand_in_their_order(
    tmp_path: Path, metric: str
) -> None:
    kept = Kept(tmp_path)
    crowd = [(1 + number * 2.0**-23, 1 - number * 2.0**-24) for number in range(400)]
    built = kept.build([placed(number, vector) for number, vector in enumerate(crowd)])

    found = canary(kept, built, by(metric))

    assert tens(found) == {one.key: exactly(one, kept.rows(built), metric) for one in found}


@pytest.mark.parametrize("metric", METRICS)
def test_what_is_new_alone_makes_the_canary_of_the_next_version(tmp_path: Path, metric: str) -> None:
    kept = Kept(tmp_path)
    rows = {number: placed(number) for number in range(700)}
    base = kept.build(list(rows.values()))
    before = canary(kept, base, by(metric))
    for number in [*range(0, 700, 9), *range(700, 760)]:
        rows[number] = placed(number)
    for number in range(4, 700, 11):
        rows.pop(number)
    built = kept.build(list(rows.values()), base)

    found = [one for one in continued(kept, built, by(metric), base, before) if one.is_whole]

    assert len(found) >= MIN_QUESTIONS
    assert tens(found) == {one.key: exactly(one, kept.rows(built), metric) for one in found}


def test_a_row_beyond_what_was_compared_is_never_taken_for_near(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    base = kept.build([placed(number, (number, 0)) for number in range(1, 300)])
    question = next(one for one in canary(kept, base, by("l2")) if one.key > encode_key(60))
    near = {one.key for one in question.near}
    left = [row for row in kept.rows(base) if row.key not in near]
    built = kept.build([*left, placed(1000, (5000, 0))], base)

    [found] = continued(kept, built, by("l2"), base, [question])

    assert found.near == ()
    assert not found.is_whole
    assert not are_enough([found], [question])


def test_all_rows_of_a_small_snapshot_are_known_and_one_that_comes_too(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    base = kept.build([placed(number) for number in range(4)])
    before = canary(kept, base, by("l2"))
    built = kept.build([*kept.rows(base), placed(4)], base)

    found = continued(kept, built, by("l2"), base, before)

    assert [len(one.near) for one in before] == [3] * 4
    assert [len(one.near) for one in found] == [4] * 4
    assert all(one.is_whole for one in found)


def test_neither_dead_rows_nor_those_without_a_direction_are_asked(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    rows = [placed(1, (0, 0)), *(placed(number) for number in range(2, 30))]
    base = kept.build(rows)
    built = kept.build(rows[:20], base)

    asked = {one.key for one in canary(kept, built, by("cosine"))}

    assert asked == {row.key for row in rows[1:20]}


def watched(rows: Sequence[Row], schema: Schema) -> tuple[Question, ...] | None:
    watch = Watch(schema)
    for start in range(0, len(rows), 300):
        parts = [Rows.of(rows[start : start + 100]), Rows.of(rows[start + 100 : start + 300])]
        watch.look(row_group(parts, schema.vectors))
    return watch.questions()


@pytest.mark.parametrize("metric", METRICS)
def test_while_rows_are_stored_the_nearest_are_those_of_comparing_every_row(metric: str) -> None:
    rows = [placed(number) for number in range(900)]

    found = watched(rows, by(metric))

    assert found is not None
    assert {one.key for one in found} <= {row.key for row in rows[:300]}
    assert len(found) == QUESTIONS
    assert tens(found) == {one.key: exactly(one, rows, metric) for one in found}


def test_a_vector_that_comes_late_is_asked_and_one_that_is_rare_at_first_is_left_to_another_pass() -> None:
    without = [Row(encode_key(number), (), b"{}") for number in range(300)]
    late = [placed(number) for number in range(300, 900)]

    found = watched([*without, *late], by("l2"))

    assert found is not None
    assert tens(found) == {one.key: exactly(one, late, "l2") for one in found}
    assert watched([*without[:295], *late], by("l2")) is None
    assert watched([placed(0, (0, 0)), *late], by("hamming")) == ()
    assert watched([], by("l2")) == ()


def test_the_same_rows_have_the_same_canary(tmp_path: Path) -> None:
    rows = [placed(number) for number in range(300)]
    layers = []
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        kept = Kept(tmp_path / name)
        layers.append(write_canary(canary(kept, kept.build(rows), by("l2"))))

    assert layers[0] == layers[1]


def test_an_empty_snapshot_and_a_metric_that_is_not_measured_have_none(tmp_path: Path) -> None:
    kept = Kept(tmp_path)

    assert canary(kept, kept.build([]), by("l2")) == []
    assert canary(kept, kept.build([placed(1)]), by("hamming")) == []


def test_vectors_that_are_too_large_for_the_layer_are_not_asked() -> None:
    spaces = tuple(VectorSpace(f"v{number:02}", 65_535, "l2") for number in range(2))

    assert questions_a_space(replace(SCHEMA, vectors=spaces[:1])) == {"v00": 32}
    assert questions_a_space(replace(SCHEMA, vectors=spaces)) == {}


QUESTION = Question(
    "body",
    encode_key(0),
    np.array([1, 0], "<f4").tobytes(),
    tuple(Neighbour(float(place), encode_key(place)) for place in range(1, 13)),
)


def answers(*numbers: int, far: float = 99.0) -> list[Neighbour]:
    return [Neighbour(float(number) if number < 11 else far, encode_key(number)) for number in numbers]


@pytest.mark.parametrize(
    ("given", "right"),
    [
        (answers(*range(1, 11)), 10),
        (answers(*range(11)), 10),
        (answers(*range(1, 10), 50), 9),
        (answers(*range(1, 10), 50, far=10.0), 10),
        (answers(0), 0),
        (answers(50, 51), 0),
        ([], 0),
    ],
    ids=["all", "and itself", "one is missing", "one as far", "itself alone", "others", "none"],
)
def test_recall_counts_the_nearest_that_an_index_gives(given: list[Neighbour], right: int) -> None:
    assert QUESTION.count(given) == right


def test_questions_that_were_not_asked_count_for_nothing() -> None:
    asked = [replace(QUESTION, found=10), replace(QUESTION, found=5), QUESTION]

    assert recall_of(asked)["body"].share == 0.75
    assert recall_of([QUESTION])["body"].share is None


def test_a_layer_is_read_as_it_was_written(tmp_path: Path) -> None:
    questions = [replace(QUESTION, found=7), replace(QUESTION, key=encode_key(99), near=(), reach=2.5)]
    path = tmp_path / "canary.parquet"
    path.write_bytes(write_canary(questions))

    assert read_canary(path, SCHEMA) == tuple(questions)


def table(**columns: object) -> pa.Table:
    given = {
        "space": ["body"],
        "key": [b"\2key"],
        "vector": [[1.0, 0.0]],
        "near": [[b"\2near"]],
        "distances": [[0.5]],
        "reach": [1.0],
        "found": [1],
    }
    return pa.table({name: column for name, column in (given | columns).items() if column is not None})


HOSTILE = {
    "another vector": table(space=["absent"]),
    "other dimensions": table(vector=[[1.0]]),
    "NaN": table(vector=[[1.0, float("nan")]]),
    "a distance that is none": table(distances=[[float("nan")]]),
    "an infinite distance": table(distances=[[float("inf")]]),
    "an unknown reach": table(reach=[float("nan")]),
    "no order": table(near=[[b"a", b"b"]], distances=[[2.0, 1.0]]),
    "more distances than rows": table(distances=[[0.5, 0.6]]),
    "more rows than distances": table(near=[[b"a", b"b"]]),
    "null among the rows": table(near=[[None]]),
    "null where a vector is": table(vector=pa.array([None], pa.list_(pa.float32()))),
    "null where a key is": table(key=pa.array([None], pa.binary())),
    "too many rows": table(near=[[b"a"] * 41], distances=[[1.0] * 41]),
    "a long key": table(key=[b"k" * 9000]),
    "more found than asked": table(found=[11]),
    "a column less": table(reach=None),
    "a column of texts": table(distances=["near"]),
    "too many questions": pa.concat_tables([table()] * 4097),
}


@pytest.mark.parametrize("made", HOSTILE.values(), ids=HOSTILE)
def test_a_layer_that_somebody_wrote_by_hand_is_refused(tmp_path: Path, made: pa.Table) -> None:
    path = tmp_path / "canary.parquet"
    pq.write_table(made, path)

    with pytest.raises(DocumentError):
        read_canary(path, SCHEMA)


def test_a_layer_of_many_row_groups_and_one_that_is_no_parquet_are_refused(tmp_path: Path) -> None:
    path, other = tmp_path / "canary.parquet", tmp_path / "other.parquet"
    pq.write_table(pa.concat_tables([table()] * 20), path, row_group_size=2)
    other.write_bytes(b"PAR1")

    for one in (path, other):
        with pytest.raises(DocumentError):
            read_canary(one, SCHEMA)


@pytest.mark.parametrize("rows", [3, 300])
def test_a_canary_that_fails_ends_the_build_with_its_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    def fail(_: pa.Table) -> None:
        raise DocumentError("no canary can be made of this")

    def built() -> None:
        with Build(tmp_path, SCHEMA, None, Kept(tmp_path).store, fail) as build:
            for number in range(rows):
                build.add([placed(number)])
            build.finish()

    monkeypatch.setattr(writing, "_GROUP_BYTES", 200)

    with pytest.raises(DocumentError, match="no canary"):
        built()
