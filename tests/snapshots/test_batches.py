"""Rows by columns: a batch hashes, stores and travels as its rows do one at a time, wherever batches are cut."""

import struct
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regalia.core.digest import Digest
from regalia.core.errors import DocumentError, StorageFullError
from regalia.core.kinds.snapshot import VectorSpace
from regalia_registry.adapters.vectors.pgvector import copying
from regalia_registry.domain.snapshots.listing import Segment
from regalia_registry.domain.snapshots.root import BUCKETS, bucket_digest, content_root
from regalia_registry.domain.snapshots.rows import (
    Row,
    Rows,
    decode_key,
    encode_key,
    encode_properties,
    row_digests,
)
from regalia_registry.domain.snapshots.schema import Family, KeyKind, Property, Schema
from regalia_registry.segments import writing
from regalia_registry.segments.base import Base, BaseSegment
from regalia_registry.segments.build import Build, Built
from regalia_registry.segments.parquet import SegmentFiles, StoredSegment, row_group
from regalia_registry.segments.spool import KeySpool, RootSpool
from tests.support.segments import row_digest

SCHEMA = Schema(
    Family.POSTGRESQL,
    Property("id", "text"),
    KeyKind.TEXT,
    (VectorSpace("body", 3, "cosine"), VectorSpace("title", 1, "l2")),
    (Property("lang", "text"), Property("text", "text")),
    {},
)

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
floats = st.floats(allow_nan=False, allow_infinity=False, width=32)


def vectors(dims: int) -> st.SearchStrategy[bytes]:
    return st.lists(floats, min_size=dims, max_size=dims).map(lambda numbers: struct.pack(f"<{dims}f", *numbers))


@st.composite
def row(draw: st.DrawFn) -> Row:
    found = {"body": draw(st.none() | vectors(3)), "title": draw(st.none() | vectors(1))}
    properties = {"lang": draw(st.none() | texts), "text": draw(st.none() | texts)}
    present = tuple((name, content) for name, content in found.items() if content is not None)
    return Row(encode_key(draw(texts)), present, encode_properties(properties))


batches = st.lists(row(), max_size=30, unique_by=lambda one: one.key)


def hash_of(one: Row) -> bytes:
    state = sha256(b"regrow/1\0")
    state.update(struct.pack(">I", len(one.key)) + one.key + struct.pack(">H", len(one.vectors)))
    for name, content in one.vectors:
        head = struct.pack(">BII", 1, len(content) // 4, len(content))
        state.update(struct.pack(">H", len(name)) + name.encode() + head + content)
    state.update(struct.pack(">I", len(one.properties)) + one.properties)
    return state.digest()


@given(batches)
def test_a_batch_has_the_digests_of_its_rows(rows: list[Row]) -> None:
    assert row_digests(Rows.of(rows)) == [row_digest(one) for one in rows] == [hash_of(one) for one in rows]


@given(batches, st.data())
def test_a_batch_is_a_sequence_of_its_rows(rows: list[Row], data: st.DataObject) -> None:
    batch = Rows.of(rows)
    places = data.draw(st.lists(st.sampled_from(range(len(rows))), unique=True) if rows else st.just(list[int]()))
    start, stop = data.draw(st.integers(-40, 40)), data.draw(st.integers(-40, 40))

    assert list(batch) == rows
    assert list(batch[start:stop]) == rows[start:stop]
    assert list(batch.picked(places)) == [rows[place] for place in places]
    assert Rows.of(batch) is batch


@given(batches)
def test_a_spool_has_the_root_of_its_rows(tmp_path_factory: pytest.TempPathFactory, rows: list[Row]) -> None:
    entries = [(sha256(one.key).digest(), row_digest(one)) for one in rows]
    buckets = [bucket_digest(entry for entry in entries if entry[0][0] == number) for number in range(BUCKETS)]
    spool = RootSpool(tmp_path_factory.mktemp("spool") / "root")

    for start in range(0, len(entries), 4):
        spool.add([key for key, _ in entries[start : start + 4]], [digest for _, digest in entries[start : start + 4]])

    assert spool.root(SCHEMA.digest) == content_root(SCHEMA.digest, count=len(rows), buckets=buckets)


def test_hashes_that_begin_alike_are_ordered_to_their_end(tmp_path: Path) -> None:
    hashes = [bytes(31) + bytes([last]) for last in (9, 3, 7)]
    digests = [sha256(one).digest() for one in hashes]
    spool = RootSpool(tmp_path / "root")

    spool.add(hashes, digests)

    assert spool.buckets()[0] == bucket_digest(zip(hashes, digests, strict=True))


def build(folder: Path, rows: list[Row], size: int) -> tuple[Built, dict[Digest, bytes]]:
    contents: dict[Digest, bytes] = {}

    def store(made: StoredSegment) -> None:
        contents.update({file.digest: file.path.read_bytes() for file in (made.keys, made.rows)})

    with Build(folder, SCHEMA, None, store) as one:
        for start in range(0, len(rows), size):
            one.add(rows[start : start + size])
        return one.finish(), contents


@settings(max_examples=25, deadline=None)
@given(batches, st.integers(1, 31), st.integers(1, 31))
def test_segments_do_not_depend_on_where_batches_are_cut(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Row], one: int, other: int
) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(writing, "_GROUP_BYTES", 60)
        patched.setattr(writing, "SEGMENT_BYTES", 200)

        assert build(tmp_path_factory.mktemp("one"), rows, one) == build(tmp_path_factory.mktemp("other"), rows, other)


@given(batches, st.integers(1, 31), st.integers(1, 400))
def test_rows_come_back_from_a_copy_as_they_were(rows: list[Row], count: int, size_bytes: int) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(copying, "_BATCH", count)
        patched.setattr(copying, "_BATCH_BYTES", size_bytes)

        found = [list(batch) for batch in copying.read_rows(copying.write_rows(rows, SCHEMA), SCHEMA)]

    assert [one for batch in found for one in batch] == rows
    assert all(len(batch) <= count for batch in found)


@pytest.mark.parametrize(
    ("numbers", "told"),
    [((0.0, float("nan"), 0.0), "NaN or infinity"), ((0.0, 0.0), '2 dimensions in "body", not 3')],
    ids=["NaN", "another size"],
)
def test_a_row_that_can_not_be_kept_is_named(numbers: tuple[float, ...], told: str) -> None:
    wide = Schema(SCHEMA.family, SCHEMA.key, SCHEMA.key_kind, (VectorSpace("body", len(numbers), "l2"),), (), {})
    good = Row(encode_key("good"), (("body", struct.pack("<3f", 1, 2, 3)),), b"{}")
    bad = Row(encode_key("bad"), (("body", struct.pack(f"<{len(numbers)}f", *numbers)),), b"{}")
    narrow = Schema(SCHEMA.family, SCHEMA.key, SCHEMA.key_kind, SCHEMA.vectors[:1], (), {})
    sent = [*list(copying.write_rows([good], narrow))[:-1], *list(copying.write_rows([bad], wide))[1:]]

    with pytest.raises(DocumentError, match=told) as refused:
        list(copying.read_rows(sent, narrow))

    assert str(decode_key(bad.key)) in refused.value.message


def test_a_segment_that_can_not_be_stored_ends_the_build(tmp_path: Path) -> None:
    rows = [Row(encode_key(str(number)), (), b"{}") for number in range(9)]

    def store(made: StoredSegment) -> None:
        raise StorageFullError(f"{made.count} rows find no room", hint="make room")

    with Build(tmp_path, SCHEMA, None, store) as one:
        one.add(rows)

        with pytest.raises(StorageFullError, match="9 rows"):
            one.finish()


def test_a_build_that_is_left_lets_go_of_its_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "_GROUP_BYTES", 1)
    with Build(tmp_path, SCHEMA, None, lambda _made: None) as one:
        for number in range(9):
            one.add([Row(encode_key(str(number)), (), b"{}")])
        began = opened(tmp_path)

    assert (len(began), opened(tmp_path)) == (2, [])
    one.__exit__(None, None, None)


def opened(folder: Path) -> list[Path]:
    found = [link.readlink() for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
    return [path for path in found if path.is_relative_to(folder)]


@given(batches, st.integers(1, 9))
def test_spooled_keys_come_back_in_their_order(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Row], count: int
) -> None:
    keys = [one.key for one in rows]
    spool = KeySpool(tmp_path_factory.mktemp("spool") / "keys")
    for start in range(0, len(keys), 4):
        spool.add(keys[start : start + 4])

    groups = list(spool.groups(count))

    assert [key for group in groups for key in group] == keys
    assert all(len(group) == count for group in groups[:-1])


def test_a_copy_of_another_shape_is_refused() -> None:
    narrow = Schema(SCHEMA.family, SCHEMA.key, SCHEMA.key_kind, SCHEMA.vectors[:1], (), {})
    sent = list(copying.write_rows([Row(encode_key("one"), (), b"{}")], SCHEMA))

    with pytest.raises(DocumentError, match="another shape"):
        list(copying.read_rows(sent, narrow))
    with pytest.raises(DocumentError, match="another shape"):
        list(copying.read_rows([sent[0], sent[1][:9]], SCHEMA))


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 9)), unique=True, max_size=30), st.data())
def test_a_base_tells_digests_that_begin_alike_apart(
    tmp_path_factory: pytest.TempPathFactory, beginnings: list[tuple[int, int]], data: st.DataObject
) -> None:
    digests = [bytes([one]) * 8 + bytes([other]) * 24 for one, other in beginnings]
    had = data.draw(st.lists(st.sampled_from(digests), unique=True)) if digests else []
    folder = tmp_path_factory.mktemp("base")
    segments = []
    if had:
        files = SegmentFiles(folder, "one", ())
        rows = Rows([encode_key(str(number)) for number in range(len(had))], (), [b"{}"] * len(had))
        files.write(row_group([rows], ()), [had])
        made = files.finish()
        listed = Segment(made.keys.digest, made.rows.digest, made.count, made.count)
        segments.append(BaseSegment(listed, made.keys.path))
    base = Base(segments)

    found = base.take(digests).tolist()

    assert found == [digest in had for digest in digests]
    assert base.live() == [len(had)] * len(segments)
