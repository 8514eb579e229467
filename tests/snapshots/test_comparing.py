"""Comparing snapshots: the laws of a diff, whatever the segments, and what is not read for it."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regalia.core.errors import DocumentError
from regalia_registry.domain.snapshots.listing import Listing, Segment
from regalia_registry.domain.snapshots.rows import encode_key
from regalia_registry.segments import comparing
from regalia_registry.segments.build import Built
from regalia_registry.segments.comparing import Comparison, RowChange, Side, Sign
from tests.support.segments import Kept, row

Texts = Mapping[int, str]


class Compared:
    """Two snapshots of one history, and the segments whose keys were read to compare them."""

    def __init__(self, kept: Kept) -> None:
        self.kept = kept
        self.read: list[Segment] = []
        self.told: list[int] = []
        self.total = 0

    def changes(self, old: Built, new: Built) -> list[RowChange]:
        self.kept.builds += 1
        folder = self.kept.folder / f"compared-{self.kept.builds}"
        folder.mkdir()
        compared = Comparison(folder, side(old), side(new), self._fetch)
        self.total = compared.total
        return list(compared.changes(self.told.append))

    def counts(self, old: Built, new: Built) -> dict[Sign, int]:
        self.kept.builds += 1
        folder = self.kept.folder / f"compared-{self.kept.builds}"
        folder.mkdir()
        return Comparison(folder, side(old), side(new), self._fetch).counts(self.told.append)

    def _fetch(self, segment: Segment) -> bytes:
        self.read.append(segment)
        return self.kept.files[segment.keys].read_bytes()


def side(built: Built) -> Side:
    return Side(built.listing, built.tombstones)


def compare_with_nothing(kept: Kept, new: Side) -> list[RowChange]:
    nothing = Side(Listing(()), b"")
    return list(Comparison(kept.folder, nothing, new, lambda one: kept.files[one.keys].read_bytes()).changes(print))


def built_of(kept: Kept, texts: Texts, base: Built | None) -> Built:
    return kept.build([row(number, text) for number, text in texts.items()], base)


def expected(old: Texts, new: Texts) -> set[RowChange]:
    return {
        RowChange(sign, encode_key(number))
        for number in {*old, *new}
        for sign in [
            Sign.ADDED
            if number not in old
            else Sign.REMOVED
            if number not in new
            else Sign.CHANGED
            if old[number] != new[number]
            else None
        ]
        if sign is not None
    }


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    return Kept(tmp_path)


contents = st.dictionaries(st.integers(-40, 40), st.sampled_from(["", "a", "b"]), max_size=40)


@settings(max_examples=60, deadline=None)
@given(st.lists(contents, min_size=2, max_size=5), st.data(), st.sampled_from([3, 200_000]))
def test_a_diff_of_any_two_of_a_history_is_what_differs(
    tmp_path_factory: pytest.TempPathFactory, history: list[Texts], data: st.DataObject, part_rows: int
) -> None:
    kept = Kept(tmp_path_factory.mktemp("diff"))
    builts: list[Built] = []
    for texts in history:
        base = data.draw(st.sampled_from([None, *builts]))
        builts.append(built_of(kept, texts, base))
    one, other = (data.draw(st.integers(0, len(builts) - 1)) for _ in range(2))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(comparing, "_PART_ROWS", part_rows)
        patched.setattr(comparing, "_SPILL_BYTES", 100)

        found = Compared(kept).changes(builts[one], builts[other])
        counts = Compared(kept).counts(builts[one], builts[other])

    assert len(found) == len(set(found))
    assert counts == {sign: sum(one.sign is sign for one in found) for sign in Sign}
    assert set(found) == expected(history[one], history[other])


def test_a_snapshot_does_not_differ_from_itself_and_nothing_is_read_to_know_it(kept: Kept) -> None:
    texts = {number: "" for number in range(30)}
    first = built_of(kept, texts, None)
    changed = built_of(kept, texts | {3: "a"}, first)
    compared = Compared(kept)

    assert compared.changes(changed, changed) == []
    assert (compared.read, compared.told, compared.total) == ([], [], 0)


def test_of_a_shared_segment_only_the_rows_that_went_are_read(kept: Kept) -> None:
    texts = {number: "" for number in range(30)}
    first = built_of(kept, texts, None)
    changed = built_of(
        kept, {number: "a" if number == 3 else text for number, text in texts.items() if number != 5}, first
    )
    compared = Compared(kept)

    found = compared.changes(first, changed)

    assert found == [RowChange(Sign.CHANGED, encode_key(3)), RowChange(Sign.REMOVED, encode_key(5))]
    assert compared.total == compared.told[-1] == 3


def test_segments_that_are_the_same_again_are_not_read(kept: Kept) -> None:
    base = built_of(kept, {number: "" for number in range(30)}, None)
    one = built_of(kept, {number: "" for number in range(31)}, base)
    other = built_of(kept, {number: "" for number in [*range(30), 99]}, base)
    compared = Compared(kept)

    found = compared.changes(one, other)

    assert [change.sign for change in found] == [Sign.REMOVED, Sign.ADDED]
    assert {segment.keys for segment in compared.read}.isdisjoint(one.keys for one in base.listing.segments)


def test_a_list_that_counts_other_rows_than_its_file_has_is_named(kept: Kept) -> None:
    built = built_of(kept, {1: "", 2: ""}, None)
    [segment] = built.listing.segments
    wrong = Listing((Segment(segment.keys, segment.rows, 3, 3),))

    with pytest.raises(DocumentError, match="2 rows, listed are 3"):
        compare_with_nothing(kept, Side(wrong, b""))


def test_a_key_that_stands_twice_on_one_side_is_refused(kept: Kept) -> None:
    [one] = built_of(kept, {1: "a"}, None).listing.segments
    [other] = built_of(kept, {1: "b"}, None).listing.segments
    twice = Side(Listing((one, other)), b"")

    with pytest.raises(DocumentError, match="twice"):
        compare_with_nothing(kept, twice)


def test_a_file_that_is_no_parquet_is_named(kept: Kept) -> None:
    built = built_of(kept, {1: ""}, None)
    [segment] = built.listing.segments
    kept.files[segment.keys].write_bytes(b"PAR1 and no more")

    with pytest.raises(DocumentError, match=segment.keys_title):
        compare_with_nothing(kept, side(built))
