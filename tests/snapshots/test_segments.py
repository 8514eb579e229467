"""Segments: what is stored reads back, what did not change is not stored again, what is broken is named."""

import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regalia.core import oci
from regalia.core.digest import Digest
from regalia.core.errors import DigestError, DocumentError
from regalia.core.kinds.snapshot import SnapshotConfig
from regalia.core.manifest import Manifest, write_config
from regalia.core.oci import Descriptor
from regalia_registry.domain.snapshots.listing import Listing, Segment
from regalia_registry.segments import writing
from regalia_registry.segments.build import Built
from regalia_registry.segments.reading import dead_rows, live_rows, verify_root
from tests.support.segments import SCHEMA, Kept, row

PAGE = Path(__file__).parents[2] / "docs/formats/snapshots.md"


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    return Kept(tmp_path)


def test_rows_read_back_as_they_were(kept: Kept) -> None:
    rows = [row(number, f"Gebühr {number}", has_title=number % 3 != 0) for number in range(100)]

    assert kept.rows(kept.build(rows)) == sorted(rows)


def test_an_empty_collection_has_a_root_and_no_segment(kept: Kept) -> None:
    built = kept.build([])

    assert (built.listing.count, built.listing.segments, kept.rows(built)) == (0, (), [])


def test_an_unchanged_collection_stores_nothing(kept: Kept) -> None:
    rows = [row(number) for number in range(50)]
    first = kept.build(rows)

    again = kept.build(rows[::-1], first)

    assert (again.root, again.listing, again.tombstones) == (first.root, first.listing, first.tombstones)
    assert (again.kept, again.stored) == (50, 0)


changes = st.lists(st.tuples(st.integers(0, 30), st.sampled_from(["", "a", "b", "gone"])), max_size=40)


@settings(max_examples=40, deadline=None)
@given(st.lists(changes, min_size=1, max_size=4))
def test_a_chain_of_deltas_has_the_root_and_rows_of_a_whole_snapshot(
    tmp_path_factory: pytest.TempPathFactory, rounds: list[list[tuple[int, str]]]
) -> None:
    kept, texts, built = Kept(tmp_path_factory.mktemp("chain")), dict[int, str](), None
    for one in rounds:
        texts |= dict(one)
        rows = [row(number, text) for number, text in texts.items() if text != "gone"]
        built = kept.build(rows, built)
        whole = kept.build(rows)

        assert built.root == whole.root
        assert kept.rows(built) == kept.rows(whole) == sorted(rows)
        assert built.listing.count == len(rows)


def test_a_key_that_stands_twice_is_refused(kept: Kept) -> None:
    with pytest.raises(DocumentError, match="the same key"):
        kept.build([row(1, "one"), row(2), row(1, "other")])


def test_a_key_that_stands_twice_unchanged_is_refused_too(kept: Kept) -> None:
    first = kept.build([row(1), row(2)])

    with pytest.raises(DocumentError, match="the same key"):
        kept.build([row(1), row(2), row(1)], first)


def test_large_collections_are_cut_into_segments(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "_GROUP_BYTES", 500)
    monkeypatch.setattr(writing, "SEGMENT_BYTES", 2000)
    rows = [row(number, "some text") for number in range(500)]

    built = kept.build(rows)

    assert len(built.listing.segments) > 5
    assert kept.rows(built) == sorted(rows)


def test_a_segment_is_parquet_that_any_tool_opens(kept: Kept) -> None:
    built = kept.build([row(1, "a"), row(2, "b", has_title=False)])
    [segment] = built.listing.segments

    table = pq.read_table(kept.files[segment.rows])

    assert table.column_names == ["key", "vector:body", "vector:title", "properties"]
    assert table["vector:title"].to_pylist() == [[1.0], None]
    assert table["properties"].to_pylist() == ['{"text":"a"}', '{"text":"b"}']


def test_equal_rows_in_equal_order_are_equal_bytes(kept: Kept) -> None:
    rows = [row(number) for number in range(20)]

    assert kept.build(rows).listing == kept.build(rows).listing


@pytest.mark.parametrize("place", [100, 300, -5])
def test_a_flipped_bit_never_goes_unnoticed(kept: Kept, tmp_path: Path, place: int) -> None:
    built = kept.build([row(number, f"text {number}") for number in range(50)])
    path = kept.files[built.listing.segments[0].rows]
    body = bytearray(path.read_bytes())
    body[place] ^= 1
    path.write_bytes(body)
    folder = tmp_path / "verify"
    folder.mkdir()

    batches = live_rows(SCHEMA, built.listing, built.tombstones, lambda segment: kept.files[segment.rows])
    with pytest.raises((DocumentError, DigestError)):
        verify_root(folder, SCHEMA, built.root, batches)


def test_a_listing_reads_back_and_refuses_counts_that_can_not_be(kept: Kept) -> None:
    first = kept.build([row(number) for number in range(9)])
    built = kept.build([row(number) for number in range(3, 12)], first)

    assert Listing.parse(built.listing.written()) == built.listing
    with pytest.raises(DocumentError, match="do not agree"):
        Segment(Digest.of(b""), Digest.of(b""), count=3, live=4)
    with pytest.raises(DocumentError, match="are cut"):
        dead_rows(built.listing.segments[0], built.tombstones[:1])


def test_the_reader_in_the_docs_recomputes_the_root(kept: Kept, tmp_path: Path) -> None:
    first = kept.build([row(number, f"Gebühr {number}", has_title=number % 2 == 0) for number in range(60)])
    built = kept.build([row(number, "x" if number == 40 else f"Gebühr {number}") for number in range(30, 80)], first)
    manifest = layout_of(kept, built, tmp_path / "layout")
    script = PAGE.read_text().split("```python\n")[1].split("```")[0]

    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "layout"), str(manifest.digest)],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.stdout.strip() == str(built.root), done.stderr
    assert len([line for line in script.splitlines() if line.strip()]) <= 45


def layout_of(kept: Kept, built: Built, folder: Path) -> Manifest:
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    config = SnapshotConfig("kb", "1.0.0", built.listing.count, built.root, SCHEMA.digest, SCHEMA.vectors)
    contents = {
        "schema.json": SCHEMA.written(),
        "segments.json": built.listing.written(),
        "tombstones": built.tombstones,
        **{one.keys_title: kept.files[one.keys].read_bytes() for one in built.listing.segments},
        **{one.rows_title: kept.files[one.rows].read_bytes() for one in built.listing.segments},
    }
    layers = tuple(
        Descriptor.of(body, "application/octet-stream", **{oci.TITLE: title}) for title, body in contents.items()
    )
    manifest = Manifest.build(config, layers)
    for body in (*contents.values(), write_config(config), manifest.body):
        (blobs / Digest.of(body).hex).write_bytes(body)
    return manifest
