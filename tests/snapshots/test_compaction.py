"""Compaction: fewer files, the same rows, the same root; what is damaged is never written on."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regalia.core.digest import Digest
from regalia.core.errors import DigestError, DocumentError
from regalia_registry.domain.snapshots.listing import Listing, Segment
from regalia_registry.segments.build import Built
from regalia_registry.segments.compaction import Compaction
from regalia_registry.segments.reading import live_rows
from tests.support.segments import SCHEMA, Kept, row

NONE: dict[Digest, int] = {}


def compacted(kept: Kept, built: Built, worn: Sequence[Segment], *, expected: Digest | None = None) -> Built:
    kept.builds += 1
    folder = kept.folder / f"compaction-{kept.builds}"
    folder.mkdir()
    compaction = Compaction(folder, SCHEMA, kept.store)
    for one in built.listing.segments:
        if one not in worn:
            compaction.keep(one, built.tombstones, kept.files[one.keys])
    rows = live_rows(SCHEMA, Listing(tuple(worn)), built.tombstones, lambda segment: kept.files[segment.rows])
    return compaction.rewrite(rows, expected=expected or built.root)


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    return Kept(tmp_path)


changes = st.lists(st.tuples(st.integers(0, 30), st.sampled_from(["", "a", "b", "gone"])), min_size=1, max_size=40)


@settings(max_examples=40, deadline=None)
@given(st.lists(changes, min_size=1, max_size=5), st.data())
def test_compacting_any_segments_keeps_the_root_and_every_row(
    tmp_path_factory: pytest.TempPathFactory, rounds: list[list[tuple[int, str]]], data: st.DataObject
) -> None:
    kept, texts, built = Kept(tmp_path_factory.mktemp("chain")), dict[int, str](), None
    for one in rounds:
        texts |= dict(one)
        built = kept.build([row(number, text) for number, text in texts.items() if text != "gone"], built)
    assert built is not None
    worn = [one for one in built.listing.segments if data.draw(st.booleans(), label=one.keys_title)]

    after = compacted(kept, built, worn)

    assert (after.root, after.listing.count) == (built.root, built.listing.count)
    assert kept.rows(after) == kept.rows(built)
    assert len(after.listing.segments) <= len(built.listing.segments) - len(worn) + 1


def test_the_next_snapshot_builds_on_a_compacted_one(kept: Kept) -> None:
    first = kept.build([row(number) for number in range(20)])
    second = kept.build([row(number) for number in range(10, 25)], first)
    after = compacted(kept, second, second.listing.segments[:1])

    again = kept.build([row(number) for number in range(10, 25)], after)

    assert (again.root, again.stored, again.listing) == (second.root, 0, after.listing)


def test_rows_that_are_not_what_the_root_says_are_not_compacted(kept: Kept) -> None:
    built = kept.build([row(number) for number in range(9)])

    with pytest.raises(DigestError, match="the snapshot says"):
        compacted(kept, built, built.listing.segments, expected=Digest.of(b"another"))


def test_keys_of_another_segment_are_noticed(kept: Kept) -> None:
    first = kept.build([row(number) for number in range(9)])
    other = kept.build([row(number) for number in range(5)])
    kept.files[first.listing.segments[0].keys] = kept.files[other.listing.segments[0].keys]

    with pytest.raises(DocumentError, match="listed are 9"):
        compacted(kept, first, [])


def segment(number: int, count: int, live: int) -> Segment:
    files = Digest.of(b"keys %d" % number), Digest.of(b"rows %d" % number)
    return Segment(*files, count, live, None if live == count else (0, (count + 7) // 8))


def test_a_segment_of_mostly_dead_rows_is_worn() -> None:
    listing = Listing((segment(1, 40_000, 23_999), segment(2, 40_000, 24_000), segment(3, 40_000, 40_000)))

    assert listing.worn(NONE) == listing.segments[:1]


def test_small_segments_are_worn_once_they_are_many() -> None:
    large, small = segment(0, 40_000, 40_000), [segment(number, 1000, 1000) for number in range(1, 34)]

    assert Listing((large, *small[:32])).worn(NONE) == ()
    assert Listing((large, *small)).worn(NONE) == tuple(small)


def test_segments_that_are_large_in_bytes_are_not_small() -> None:
    listing = Listing(tuple(segment(number, 1000, 1000) for number in range(40)))

    assert listing.worn({one.rows: 60_000_000 for one in listing.segments}) == ()
