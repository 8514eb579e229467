"""Files: what people have is read or refused by name, what we write reads back, and nothing leaves the folder."""

import json
import os
import resource
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from hashlib import shake_256
from pathlib import Path
from uuid import UUID

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from regalia.core.digest import Digest
from regalia.core.errors import (
    ConfigurationError,
    ConflictError,
    DocumentError,
    InvalidNameError,
    NotFoundError,
    RegaliaError,
    StorageFullError,
    UnsupportedError,
)
from regalia.core.kinds.snapshot import VectorSpace
from regalia_registry.adapters.memory.vectors import MemoryLedger
from regalia_registry.adapters.vectors.files.form import MAX_HEAD
from regalia_registry.adapters.vectors.files.jsonl import MAX_LINE
from regalia_registry.adapters.vectors.files.provider import FilesProvider, open_files
from regalia_registry.domain.operations import Holder
from regalia_registry.domain.snapshots.origin import Origin
from regalia_registry.domain.snapshots.rows import Row, encode_key, encode_properties
from regalia_registry.domain.snapshots.schema import Family, KeyKind, Property, Schema
from tests.support.engines import root_of

FORMS = pytest.mark.parametrize("form", [".parquet", ".jsonl"])
TYPES = {
    "boolean": "boolean",
    "bytes": "bytes",
    "bytes_list": "bytes[]",
    "date": "date",
    "dates": "date[]",
    "int": "int",
    "ints": "int[]",
    "json": "json",
    "jsons": "json[]",
    "number": "number",
    "numbers": "number[]",
    "text": "text",
    "texts": "text[]",
    "uuid": "uuid",
}
FULL: dict[str, object] = {
    "boolean": False,
    "bytes": "3q2+7w==",
    "bytes_list": ["", "AA=="],
    "date": "9999-12-31T23:59:59.999999999Z",
    "dates": ["0001-01-01T00:00:00Z"],
    "int": 2**53 + 1,
    "ints": [-(2**63), 2**63 - 1],
    "json": {"b": [None, 1e16, 2**70], "a": {}},
    "jsons": [None, "x", {"y": None}],
    "number": 5e-324,
    "numbers": [-0.0, 1e308],
    "text": 'Łódź \0 \u2028 "\\',
    "texts": ["", "b"],
    "uuid": "6ba7b811-9dad-11d1-80b4-00c04fd430c8",
}
KEYS: dict[KeyKind, tuple[str, list[UUID | int | str]]] = {
    KeyKind.UUID: ("uuid", [UUID(int=place) for place in range(4)]),
    KeyKind.INTEGER: ("int", [-(2**63), -1, 2**53 + 1, 2**63 - 1]),
    KeyKind.TEXT: ("text", ["", "a\0b", "Ł" * 4096, "a/../b"]),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "files"
    made.mkdir()
    return made


@pytest.fixture
def provider(folder: Path) -> Iterator[FilesProvider]:
    with closing(open_files(folder.as_uri(), holder=Holder("test", 1))) as made:
        yield made


def schema_of(kind: KeyKind, types: dict[str, str], *, key: str = "id") -> Schema:
    spaces = (VectorSpace("body", 3, "cosine"), VectorSpace("title", 1, "l2"))
    properties = tuple(Property(name, one) for name, one in types.items())
    return Schema(Family.FILES, Property(key, KEYS[kind][0]), kind, spaces, properties, {})


def rows_of(provider: FilesProvider, name: str) -> list[Row]:
    with provider.open(name) as reading:
        return sorted(row for batch in reading.batches() for row in batch)


def load(provider: FilesProvider, name: str, schema: Schema, groups: Sequence[Sequence[Row]]) -> None:
    provider.create(name, schema, mark="test")
    list(provider.load(name, schema, groups, ledger=MemoryLedger()))
    provider.build_index(name, schema)


def write_parquet(folder: Path, metadata: dict[str, str] | None = None, **columns: pa.Array) -> None:
    given_columns = {"id": pa.array([1, 2]), "body": pa.array([[0.5, -0.0]] * 2, pa.list_(pa.float32())), **columns}
    table = pa.table({name: column for name, column in given_columns.items() if column is not None})
    pq.write_table(table.replace_schema_metadata(metadata), folder / "kb.parquet")


def write_jsonl(folder: Path, *lines: object) -> None:
    told = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    (folder / "kb.jsonl").write_text("\n".join(told) + "\n")


@FORMS
@pytest.mark.parametrize("kind", KEYS, ids=str)
def test_every_type_of_the_grammar_reads_back_from_what_is_written(
    provider: FilesProvider, form: str, kind: KeyKind
) -> None:
    schema = schema_of(kind, TYPES)
    body, title = ("body", struct.pack("<3f", 1e-45, -0.0, 3.4e38)), ("title", struct.pack("<f", 0.1))
    made: list[Sequence[tuple[str, bytes]]] = [(body, title), (body,), (title,), ()]
    rows = [
        Row(encode_key(key), tuple(vectors), encode_properties(FULL if vectors else {}))
        for key, vectors in zip(KEYS[kind][1], made, strict=True)
    ]

    load(provider, f"kb{form}", schema, [rows[:3], rows[3:]])

    assert provider.describe(f"kb{form}").schema == schema
    assert root_of(schema, rows_of(provider, f"kb{form}")) == root_of(schema, rows)


@FORMS
def test_a_property_of_ten_megabytes_is_kept(provider: FilesProvider, form: str) -> None:
    schema = schema_of(KeyKind.INTEGER, {"text": "text"})
    rows = [Row(encode_key(key), (), encode_properties({"text": f"{key}" * 10_000_000})) for key in (1, 2, 3)]

    load(provider, f"kb{form}", schema, [rows])

    assert rows_of(provider, f"kb{form}") == rows


def test_an_integer_that_parquet_has_no_column_for_is_named_and_jsonl_keeps_it(provider: FilesProvider) -> None:
    schema = schema_of(KeyKind.INTEGER, {"int": "int"})
    rows = [Row(encode_key(7), (), encode_properties({"int": 2**70}))]

    with pytest.raises(DocumentError, match=r'"int" of the row 7 .* beyond 64 bits') as refused:
        load(provider, "kb.parquet", schema, [rows])
    assert "--format jsonl" in refused.value.hint
    load(provider, "kb.jsonl", schema, [rows])

    assert rows_of(provider, "kb.jsonl") == rows


COLUMNS: dict[str, tuple[pa.Array, str, object]] = {
    "text": (pa.array(["Łódź", None]), "text", "Łódź"),
    "large text": (pa.array(["x", None], pa.large_string()), "text", "x"),
    "words": (pa.array(["x", None]).dictionary_encode(), "text", "x"),
    "small integer": (pa.array([-5, None], pa.int8()), "int", -5),
    "unsigned": (pa.array([2**64 - 1, None], pa.uint64()), "int", 2**64 - 1),
    "beyond float64": (pa.array([2**53 + 1, None]), "int", 2**53 + 1),
    "float32": (pa.array([0.1, None], pa.float32()), "number", struct.unpack("<f", struct.pack("<f", 0.1))[0]),
    "boolean": (pa.array([False, None]), "boolean", False),
    "bytes": (pa.array([b"\xde\xad", None]), "bytes", "3q0="),
    "moment": (
        pa.array([datetime(9999, 12, 31, 23, 59, 59, 999999, UTC), None], pa.timestamp("us", "UTC")),
        "date",
        "9999-12-31T23:59:59.999999Z",
    ),
    "before 1970, in another zone": (
        pa.array([-1, None], pa.timestamp("ns", "Europe/Warsaw")),
        "date",
        "1969-12-31T23:59:59.999999999Z",
    ),
    "without a zone": (pa.array([datetime(2026, 1, 2, 3), None], pa.timestamp("ms")), "date", "2026-01-02T03:00:00Z"),  # noqa: DTZ001 # what is told
    "day": (pa.array([date(9999, 12, 31), None]), "text", "9999-12-31"),
    "decimal": (pa.array([Decimal("1.50"), None]), "text", "1.50"),
    "uuid": (
        pa.array([UUID(int=5).bytes, None], pa.binary(16)),
        "uuid",
        "00000000-0000-0000-0000-000000000005",
    ),
    "words of a row": (pa.array([["a", "b"], None]), "text[]", ["a", "b"]),
    "integers of a row": (pa.array([[2**53 + 1], None]), "int[]", [2**53 + 1]),
    "struct": (
        pa.array([{"a": [1, None], "b": {"c": "x"}}, None]),
        "json",
        {"a": [1, None], "b": {"c": "x"}},
    ),
    "nothing": (pa.nulls(2), "json", None),
}


@pytest.mark.parametrize("case", COLUMNS.values(), ids=COLUMNS)
def test_a_column_is_read_as_what_it_is(
    provider: FilesProvider, folder: Path, case: tuple[pa.Array, str, object]
) -> None:
    column, kind, value = case
    write_parquet(folder, p=column)

    [described] = provider.describe("kb.parquet").schema.properties
    first, second = rows_of(provider, "kb.parquet")

    assert described == Property("p", kind)
    assert json.loads(first.properties) == ({} if value is None else {"p": value})
    assert second.properties == b"{}"


UNKEPT = {
    "a time without a zone as UTC": pa.array([0, 0], pa.timestamp("s")),
    "date32[day] as text": pa.array([date(2026, 1, 1)] * 2),
    "decimal128(3, 2) as text": pa.array([Decimal("1.50")] * 2),
    "float64 as float32": pa.array([[0.1], [0.2]]),
}


@pytest.mark.parametrize(("told", "column"), UNKEPT.items(), ids=UNKEPT)
def test_what_is_not_kept_as_it_is_is_told(provider: FilesProvider, folder: Path, told: str, column: pa.Array) -> None:
    write_parquet(folder, p=column)

    assert provider.describe("kb.parquet").fidelity == (f"p: {told}",)


REFUSED: dict[str, tuple[str, dict[str, pa.Array | None]]] = {
    "no key": ('name the column of its keys "id" or "key"', {"id": None}),
    "a key that is a fraction": ('its key "id" is double', {"id": pa.array([0.5, 1.5])}),
    "a key that is a moment": ("uuid, int or text is needed", {"id": pa.array([0, 1], pa.timestamp("s", "UTC"))}),
    "no vector": ("no column of vectors", {"body": None}),
    "half floats": ("halffloat", {"p": pa.array([[1.0], [2.0]], pa.list_(pa.float16()))}),
    "no dimensions": ("fixed-size list", {"body": pa.array([None, None], pa.list_(pa.float32()))}),
    "a duration": ("duration", {"p": pa.array([1, 2], pa.duration("s"))}),
    "moments in a list": ("write it as text", {"p": pa.array([[0], [1]], pa.list_(pa.timestamp("s", "UTC")))}),
    "a map": ("write it as text", {"p": pa.array([[("a", 1)], []], pa.map_(pa.string(), pa.int64()))}),
    "one vector twice": ("are one vector", {"vector:body": pa.array([[0.5, -0.0]] * 2, pa.list_(pa.float32()))}),
}


@pytest.mark.parametrize(("told", "columns"), REFUSED.values(), ids=REFUSED)
def test_a_file_that_can_not_be_a_snapshot_says_why(
    provider: FilesProvider, folder: Path, told: str, columns: dict[str, pa.Array]
) -> None:
    write_parquet(folder, **columns)

    refusals = provider.describe("kb.parquet").refusals

    assert [told in one for one in refusals] == [True]
    with pytest.raises(UnsupportedError, match="can't be a snapshot"), provider.open("kb.parquet"):
        pass


FLOATS = pa.list_(pa.float32())
BAD_ROWS: dict[str, tuple[str, dict[str, pa.Array]]] = {
    "NaN": ('"body" of the row 2 holds NaN or infinity', {"body": pa.array([[1, 2], [float("nan"), 1]], FLOATS)}),
    "infinity": ("the row 2 holds NaN or infinity", {"body": pa.array([[1, 2], [1, float("-inf")]], FLOATS)}),
    "a float64 beyond float32": ("the row 2 holds NaN or infinity", {"body": pa.array([[1.0, 2], [1, 1e39]])}),
    "another dimension": (
        'the row 2 has 3 dimensions in "body", not 2',
        {"body": pa.array([[1, 2], [1, 2, 3]], FLOATS)},
    ),
    "no number": ("a number that is null", {"body": pa.array([[1, 2], [1, None]], FLOATS)}),
    "no key": ('a row has no key in "id"', {"id": pa.array([1, None])}),
    "a key beyond 64 bits": ("beyond 64 bits", {"id": pa.array([1, 2**64 - 1], pa.uint64())}),
    "a key that is too long": ("8193 bytes", {"id": pa.array(["a", "b" * 8193])}),
    "a property that is NaN": ('"p" of the row 2: .*finite', {"p": pa.array([1.0, float("nan")])}),
    "a hole in a list": ('"p" of the row 2: .*text', {"p": pa.array([["a"], ["b", None]])}),
    "a moment beyond the year 9999": ("beyond the years", {"p": pa.array([0, 2**60], pa.timestamp("us", "UTC"))}),
}


@pytest.mark.parametrize(("told", "columns"), BAD_ROWS.values(), ids=BAD_ROWS)
def test_a_row_that_no_snapshot_holds_is_named(
    provider: FilesProvider, folder: Path, told: str, columns: dict[str, pa.Array]
) -> None:
    write_parquet(folder, **columns)

    with pytest.raises(DocumentError, match=told):
        rows_of(provider, "kb.parquet")


ROW = {"id": 1, "vectors": {"body": [1, 0.5]}}
BAD_LINES: dict[str, tuple[str, list[object]]] = {
    "no JSON": ("line 2 is no JSON", [ROW, "{"]),
    "no UTF-8": ("line 2 is no JSON", [ROW, "\udcff"]),
    "no object": ("line 2 is no JSON object", [ROW, [1]]),
    "an empty line": ("line 2 is no JSON", [ROW, "", ROW]),
    "one name twice": ("'a' stands twice", ['{"id": 1, "vector": [1], "a": 1, "a": 2}']),
    "NaN": ("NaN is no finite number", ['{"id": 1, "vector": [NaN]}']),
    "an infinite number": ("the row 1 holds NaN or infinity", ['{"id": 1, "vector": [1e999]}']),
    "an infinite property": ('"p" of the row 1: .*finite', ['{"id": 1, "vector": [1], "p": 1e999}']),
    "a number of 5,000 digits": ("line 1 is no JSON", ['{"id": 1, "vector": [' + "9" * 5000 + "]}"]),
    "a number beyond float64": ("beyond float32", ['{"id": 1, "vector": [' + "9" * 400 + "]}"]),
    "a boolean in a vector": ("no list of numbers", [{"id": 1, "vector": [True]}]),
    "100,000 levels": ("nested too deeply", ["[" * 100_000]),
    "900 levels": ("maximum recursion", [{"id": 1, "vector": [1]}, '{"id": 2, "p": ' + "[" * 900 + "]" * 900 + "}"]),
    "another dimension": ('the row 2 has 1 dimensions in "body", not 2', [ROW, {"id": 2, "vectors": {"body": [1]}}]),
    "vectors that are a list": ("no object of lists", [ROW, {"id": 2, "vectors": [1]}]),
    "a key that is absent": ("line 2 has no integer", [ROW, {"vectors": {}}]),
    "half of a surrogate pair": ("half of a surrogate pair", ['{"id": 1, "vector": [1], "p": "\\ud800"}']),
    "a head of another edition": ("later edition", ['{"regalia":{"v":2}}', ROW]),
    "a head that is none": ("is no", ['{"regalia":{"v":"1"}}', ROW]),
    "a metric that nobody has": ("hamming", ['{"regalia":{"v":1,"metrics":{"body":"hamming"}}}', ROW]),
}


@pytest.mark.parametrize(("told", "lines"), BAD_LINES.values(), ids=BAD_LINES)
def test_a_line_that_no_snapshot_holds_is_named(
    provider: FilesProvider, folder: Path, told: str, lines: list[object]
) -> None:
    written = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    (folder / "kb.jsonl").write_bytes("\n".join(written).encode("utf-8", "surrogateescape"))

    with pytest.raises(RegaliaError, match=told):
        rows_of(provider, "kb.jsonl")


def test_a_line_without_end_is_not_read_into_memory(provider: FilesProvider, folder: Path) -> None:
    with (folder / "kb.jsonl").open("wb") as file:
        file.truncate(MAX_LINE * 40)

    with pytest.raises(DocumentError, match="line 1 is longer than"):
        provider.describe("kb.jsonl")
    assert [entry.name for entry in provider.list()] == ["kb.jsonl"]


GUESSED: dict[str, tuple[str, list[object]]] = {
    "text": ("text", ["a", None]),
    "integers": ("int", [1, 2**70]),
    "integers and fractions": ("number", [1, 2.5]),
    "fractions and an integer that is none of them": ("json", [2**53 + 1, 2.5]),
    "words and numbers": ("json", ["a", 1]),
    "lists of words, one empty": ("text[]", [["a"], []]),
    "lists of integers and of fractions": ("json", [[1], [2.5]]),
    "empty lists": ("json", [[], []]),
    "objects": ("json", [{"a": None}, {}]),
}


@pytest.mark.parametrize(("kind", "values"), GUESSED.values(), ids=GUESSED)
def test_a_property_of_lines_has_the_type_of_all_its_values(
    provider: FilesProvider, folder: Path, kind: str, values: list[object]
) -> None:
    write_jsonl(folder, *({"key": place, "vector": [1], "p": value} for place, value in enumerate(values)))

    schema = provider.describe("kb.jsonl").schema
    found = [json.loads(row.properties).get("p") for row in rows_of(provider, "kb.jsonl")]

    assert schema.properties == (Property("p", kind),)
    assert schema.vectors == (VectorSpace("default", 1, "cosine"),)
    assert found == values


LINES_REFUSED: dict[str, tuple[str, list[object]]] = {
    "no key": ('name it "id" or "key"', [{"name": 1, "vector": [1]}]),
    "no vector": ("no row has a vector", [{"id": 1}]),
    "keys of two kinds": ("of several kinds", [{"id": 1, "vector": [1]}, {"id": "a", "vector": [1]}]),
}


@pytest.mark.parametrize(("told", "lines"), LINES_REFUSED.values(), ids=LINES_REFUSED)
def test_lines_that_can_not_be_a_snapshot_say_why(
    provider: FilesProvider, folder: Path, told: str, lines: list[object]
) -> None:
    write_jsonl(folder, *lines)

    assert [told in one for one in provider.describe("kb.jsonl").refusals] == [True]


@pytest.mark.parametrize(
    ("keys", "kind"),
    [
        ([str(UUID(int=1)), str(UUID(int=2))], KeyKind.UUID),
        ([str(UUID(int=1)), "b"], KeyKind.TEXT),
        ([f"{{{UUID(int=1)}}}"], KeyKind.TEXT),
        ([-1, 2**63 - 1], KeyKind.INTEGER),
    ],
    ids=["all UUIDs", "one that is none", "a UUID in other letters", "integers"],
)
def test_the_keys_of_lines_are_what_all_of_them_are(
    provider: FilesProvider, folder: Path, keys: list[str | int], kind: KeyKind
) -> None:
    write_jsonl(folder, *({"id": key, "vector": [1]} for key in keys))

    assert provider.describe("kb.jsonl").schema.key_kind is kind
    assert len(rows_of(provider, "kb.jsonl")) == len(keys)


def test_metrics_are_what_the_file_says(provider: FilesProvider, folder: Path) -> None:
    head: dict[str, object] = {"v": 1, "metrics": {"body": "dot"}}
    write_parquet(folder, metadata={"regalia": json.dumps(head)})
    (folder / "kb.jsonl").write_text(f'{{"regalia":{json.dumps(head)}}}\n{json.dumps(ROW)}\n')

    for name in ("kb.parquet", "kb.jsonl"):
        assert [space.metric for space in provider.describe(name).schema.vectors] == ["dot"]


def test_a_head_that_does_not_fit_the_columns_is_not_believed(provider: FilesProvider, folder: Path) -> None:
    schema = schema_of(KeyKind.INTEGER, {"text": "text"})
    load(provider, "kb.parquet", schema, [[Row(encode_key(1), (("title", struct.pack("<f", 1)),), b"{}")]])
    table = pq.read_table(folder / "kb.parquet")
    (folder / "kb.parquet").unlink()
    pq.write_table(table.drop_columns(["vector:body"]), folder / "other.parquet")

    described = provider.describe("other.parquet")

    assert [space.name for space in described.schema.vectors] == ["title"]
    assert described.schema.properties == schema.properties
    assert described.origin is None


@FORMS
def test_the_origin_is_kept_in_the_file_itself(provider: FilesProvider, folder: Path, form: str) -> None:
    schema, origin = schema_of(KeyKind.INTEGER, {}), Origin.of("acme/snapshot/kb@1.0.0", Digest.of(b""), ("a", "b"))
    provider.create(f"kb{form}", schema, mark="test", origin=origin)
    provider.build_index(f"kb{form}", schema)

    (folder / f"kb{form}").rename(folder / f"moved{form}")

    assert provider.describe(f"moved{form}").origin == origin
    assert [entry.mark for entry in provider.list()] == ["test"]


OUTSIDE = [
    "../kb.parquet",
    "/absolute/kb.parquet",
    "a/kb.parquet",
    ".kb.parquet",
    "kb.parquet\0",
    "..parquet",
    "kb.csv",
    "",
]


@pytest.mark.parametrize("name", OUTSIDE)
def test_a_name_never_leaves_the_folder(provider: FilesProvider, folder: Path, name: str) -> None:
    write_parquet(folder.parent)
    (folder / "a").mkdir()
    before = sorted(folder.parent.rglob("*"))

    with pytest.raises(InvalidNameError):
        provider.create(name, schema_of(KeyKind.INTEGER, {}), mark="test")
    with pytest.raises(NotFoundError):
        provider.describe(name)
    assert not provider.drop(name, mark="test")
    assert sorted(folder.parent.rglob("*")) == before


def test_links_pipes_and_folders_are_no_collections(provider: FilesProvider, folder: Path) -> None:
    write_parquet(folder.parent)
    (folder / "link.parquet").symlink_to(folder.parent / "kb.parquet")
    (folder / "broken.parquet").symlink_to("absent")
    (folder / "folder.parquet").mkdir()
    os.mkfifo(folder / "pipe.parquet")
    names = ["link.parquet", "broken.parquet", "folder.parquet", "pipe.parquet"]

    assert provider.list() == []
    for name in names:
        with pytest.raises(NotFoundError):
            provider.describe(name)
        with pytest.raises(ConflictError, match="is taken"):
            provider.create(name, schema_of(KeyKind.INTEGER, {}), mark="test")
    assert not (folder / "absent").exists()


def test_a_load_does_not_follow_a_link_to_elsewhere(provider: FilesProvider, folder: Path) -> None:
    schema, elsewhere = schema_of(KeyKind.INTEGER, {}), folder.parent / "elsewhere"
    elsewhere.mkdir()
    (folder / ".kb.parquet.loading").symlink_to(elsewhere)

    with pytest.raises(RegaliaError):
        load(provider, "kb.parquet", schema, [[Row(encode_key(1), (), b"{}")]])

    assert list(elsewhere.iterdir()) == []


@FORMS
def test_a_load_whose_worker_is_gone_is_finished_by_another(provider: FilesProvider, folder: Path, form: str) -> None:
    schema, name = schema_of(KeyKind.INTEGER, {}), f"kb{form}"
    groups = [[Row(encode_key(place), (), b"{}")] for place in range(4)]
    provider.create(name, schema, mark="test")
    cut = provider.load(name, schema, groups, ledger=MemoryLedger())
    assert [next(cut), next(cut)] == [1, 2]
    (folder / f".{name}.loading" / ".00000002.abcd").write_bytes(b"half a group")
    assert not (folder / name).exists()

    with closing(open_files(folder.as_uri(), holder=Holder("test", 2))) as other:
        load(other, name, schema, groups)
        load(other, name, schema, groups)  # and again, after everything: its answer was lost

    assert [path.name for path in folder.iterdir()] == [name]
    assert rows_of(provider, name) == [row for group in groups for row in group]


@pytest.fixture
def narrow() -> Iterator[Callable[[int], None]]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size_bytes: resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@FORMS
def test_a_load_that_finds_no_room_leaves_no_file_and_goes_on_when_there_is(
    provider: FilesProvider, folder: Path, narrow: Callable[[int], None], form: str
) -> None:
    schema, name = schema_of(KeyKind.INTEGER, {"text": "text"}), f"kb{form}"
    noise = [shake_256(bytes([number])).hexdigest(16_000) for number in range(8)]  # what no codec makes small
    groups = [[Row(encode_key(key), (), encode_properties({"text": text}))] for key, text in enumerate(noise)]
    provider.create(name, schema, mark="test")

    narrow(10_000)
    with pytest.raises(StorageFullError, match="is full"):
        list(provider.load(name, schema, groups, ledger=MemoryLedger()))
    narrow(60_000)
    list(provider.load(name, schema, groups, ledger=MemoryLedger()))
    with pytest.raises(StorageFullError, match="is full"):
        provider.build_index(name, schema)
    assert [path.name for path in folder.iterdir()] == [f".{name}.loading"]
    narrow(10_000_000)
    provider.build_index(name, schema)

    assert rows_of(provider, name) == [row for group in groups for row in group]


def test_what_a_worker_left_that_was_killed_before_its_load_began_is_removed(folder: Path) -> None:
    schema, left = schema_of(KeyKind.INTEGER, {}), folder / ".kb.parquet.loading.1"
    left.mkdir()
    (left / ".head.json.0000").write_bytes(b"half")

    with closing(open_files(folder.as_uri(), holder=Holder("test", 2))) as other:
        other.create("kb.parquet", schema, mark="test")
        assert os.listdir(folder) == [".kb.parquet.loading"]
        left.mkdir()
        assert other.drop("kb.parquet", mark="test")
        left.mkdir()
        assert not other.drop("kb.parquet", mark="test")

    assert os.listdir(folder) == []


def test_a_late_worker_leaves_what_another_begins(provider: FilesProvider, folder: Path) -> None:
    begun = folder / ".kb.parquet.loading.2"
    begun.mkdir()

    provider.create("kb.parquet", schema_of(KeyKind.INTEGER, {}), mark="test")

    assert begun.is_dir()


@pytest.mark.parametrize("head", [b"{", b" " * (MAX_HEAD + 1)], ids=["no JSON", "too large"])
def test_a_load_whose_head_is_broken_is_listed_and_hides_no_other(
    provider: FilesProvider, folder: Path, head: bytes
) -> None:
    load(provider, "kb.parquet", schema_of(KeyKind.INTEGER, {}), [])
    broken = folder / ".broken.parquet.loading"
    broken.mkdir()
    (broken / "head.json").write_bytes(head)

    assert [(one.name, one.mark) for one in provider.list()] == [("broken.parquet", ""), ("kb.parquet", "test")]


def test_a_folder_that_can_not_be_removed_is_let_go_of(provider: FilesProvider, folder: Path) -> None:
    provider.create("kb.parquet", schema_of(KeyKind.INTEGER, {}), mark="test")
    (folder / ".kb.parquet.loading" / "somebody's").mkdir()
    before = len(os.listdir("/proc/self/fd"))

    with pytest.raises(RegaliaError):
        provider.drop("kb.parquet", mark="test")

    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize("metric", ["cosine", "l2", "dot", "l1"])
def test_equal_vectors_are_equally_far_wherever_they_stand(provider: FilesProvider, metric: str) -> None:
    schema = replace(schema_of(KeyKind.INTEGER, {}), vectors=(VectorSpace("body", 385, metric),))
    numbers = [number / 7 for number in range(385)]
    rows = [Row(encode_key(key), (("body", struct.pack("<385f", *numbers)),), b"{}") for key in range(10)]
    load(provider, "kb.parquet", schema, [rows[:7], rows[7:]])

    found = provider.search("kb.parquet", struct.pack("<385f", *reversed(numbers)), space="body", limit=10)

    assert len({hit.distance for hit in found}) == 1
    assert [hit.key for hit in found] == [row.key for row in rows]


def test_a_late_worker_changes_nothing_of_a_finished_file(provider: FilesProvider, folder: Path) -> None:
    schema = schema_of(KeyKind.INTEGER, {})
    rows = [[Row(encode_key(place), (), b"{}")] for place in range(3)]
    provider.create("kb.parquet", schema, mark="test")
    late = provider.load("kb.parquet", schema, rows, ledger=MemoryLedger())
    next(late)
    with closing(open_files(folder.as_uri(), holder=Holder("test", 2))) as other:
        load(other, "kb.parquet", schema, rows)
    whole = (folder / "kb.parquet").read_bytes()

    with pytest.raises(RegaliaError):
        list(late)
    provider.build_index("kb.parquet", schema)

    assert (folder / "kb.parquet").read_bytes() == whole


def test_a_file_that_somebody_else_made_meanwhile_is_not_replaced(provider: FilesProvider, folder: Path) -> None:
    schema = schema_of(KeyKind.INTEGER, {})
    provider.create("kb.parquet", schema, mark="test")
    (folder / "kb.parquet").write_bytes(b"theirs")

    with pytest.raises(ConflictError, match="is taken"):
        provider.build_index("kb.parquet", schema)

    assert (folder / "kb.parquet").read_bytes() == b"theirs"


def test_a_reading_says_when_its_file_was_written_meanwhile(provider: FilesProvider, folder: Path) -> None:
    write_parquet(folder)

    with provider.open("kb.parquet") as replaced:
        os.replace(folder / "kb.parquet", folder / "old.parquet")
        write_parquet(folder, id=pa.array([3, 4]))
        keys = [row.key for batch in replaced.batches() for row in batch]
        assert (keys, replaced.moved()) == ([encode_key(1), encode_key(2)], 0)
    with provider.open("kb.parquet") as written:
        list(written.batches())
        os.utime(folder / "kb.parquet", ns=(1, 1))
        assert written.moved() == 2


@pytest.mark.parametrize(
    "url", ["file:relative", "file://elsewhere/tmp", "http://localhost/tmp", "file:///absent", "file:///dev/null"]
)
def test_a_url_that_is_no_folder_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="is no folder"):
        open_files(url, holder=Holder("test", 1))


def test_names_that_would_meet_in_a_file_are_refused(provider: FilesProvider) -> None:
    twice, beside = schema_of(KeyKind.INTEGER, {"id": "text"}), schema_of(KeyKind.INTEGER, {"vectors": "text"})

    for name, schema in (("kb.parquet", twice), ("kb.jsonl", twice), ("kb.jsonl", beside)):
        with pytest.raises(UnsupportedError):
            provider.create(name, schema, mark="test")
    provider.create("kb.parquet", beside, mark="test")


@FORMS
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_damaged_file_is_read_or_refused_and_nothing_else(
    provider: FilesProvider, folder: Path, form: str, data: st.DataObject
) -> None:
    schema, path = schema_of(KeyKind.TEXT, {"json": "json", "text": "text"}), folder / f"kb{form}"
    if not (folder / f"whole{form}").exists():
        values = encode_properties({"json": [1], "text": "Łódź"})
        row = Row(encode_key("Łódź"), (("title", struct.pack("<f", 1)),), values)
        load(provider, f"whole{form}", schema, [[row]])
    body = bytearray((folder / f"whole{form}").read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(body[: data.draw(st.integers(0, len(body)) | st.just(len(body)))])

    try:
        rows_of(provider, path.name)
    except RegaliaError as error:
        assert error.message  # noqa: PT017 # the refusal is half of the law
