"""What a file that somebody put into a folder can do to whoever reads it: it is read or refused, within some memory."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from regalia.core.errors import DocumentError
from regalia_registry.adapters.vectors.files.provider import FilesProvider, open_files
from regalia_registry.domain.operations import Holder
from regalia_registry.domain.snapshots.rows import Row

MEGABYTE = 1024 * 1024
PEAK = """
import os, sys
from bench.processes import peak_rss_mb
from regalia.core.errors import DocumentError
from regalia_registry.adapters.vectors.files.provider import open_files
from regalia_registry.domain.operations import Holder
provider = open_files(sys.argv[1], holder=Holder("test", 1))
before = peak_rss_mb(os.getpid())
rows = 0
try:
    provider.describe(sys.argv[2])
    with provider.open(sys.argv[2]) as reading:
        for batch in reading.batches():
            rows += len(batch)
            if rows >= 100:
                break
except DocumentError:
    rows = -1
print(rows, round((peak_rss_mb(os.getpid()) - before) * 1e6))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "files"
    made.mkdir()
    return made


@pytest.fixture
def provider(folder: Path) -> Iterator[FilesProvider]:
    with closing(open_files(folder.as_uri(), holder=Holder("test", 1))) as made:
        yield made


def rows_of(provider: FilesProvider, name: str) -> list[Row]:
    with provider.open(name) as reading:
        return sorted(row for batch in reading.batches() for row in batch)


def peak(folder: Path, name: str) -> tuple[int, int]:
    """Read a file in a process of its own; gives the rows, -1 where it was refused, and the bytes that it took."""
    told = subprocess.run(
        [sys.executable, "-c", PEAK, folder.as_uri(), name], check=True, capture_output=True, text=True
    ).stdout
    rows, size_bytes = map(int, told.split())
    return rows, size_bytes


@pytest.mark.parametrize("is_dictionary", [True, False])
def test_a_text_that_is_stored_once_for_thousands_of_rows_is_read_some_at_a_time(
    folder: Path, *, is_dictionary: bool
) -> None:
    count = 4000
    texts = pa.DictionaryArray.from_arrays(pa.array(np.zeros(count, np.int32)), pa.array(["x" * MEGABYTE]))
    table = pa.table({"id": range(count), "v": pa.array([[1.0]] * count, pa.list_(pa.float32())), "t": texts})
    pq.write_table(table, folder / "kb.parquet", compression="zstd", store_schema=is_dictionary)
    assert (folder / "kb.parquet").stat().st_size < MEGABYTE

    rows, size_bytes = peak(folder, "kb.parquet")

    assert rows >= 100
    assert size_bytes < 500 * MEGABYTE


def test_dimensions_that_no_engine_has_are_refused_before_they_are_read(folder: Path) -> None:
    dims = 30_000_000
    numbers = pa.array(np.zeros(2 * dims, np.float32))
    table = pa.table({"id": range(2), "v": pa.FixedSizeListArray.from_arrays(numbers, dims)})
    pq.write_table(table, folder / "kb.parquet", compression="zstd")
    del numbers, table

    rows, size_bytes = peak(folder, "kb.parquet")

    assert rows == -1
    assert size_bytes < 100 * MEGABYTE


@pytest.mark.parametrize("one", ["[]", "{}", '{"":0}'])
def test_a_line_of_millions_of_arrays_and_objects_is_refused_before_it_is_parsed(folder: Path, one: str) -> None:
    (folder / "kb.jsonl").write_text('{"id": 1, "vector": [1], "p": [' + f"{one}," * 5_000_000 + "1]}\n")

    rows, size_bytes = peak(folder, "kb.jsonl")

    assert rows == -1
    assert size_bytes < 200 * MEGABYTE


def test_a_text_of_millions_of_brackets_and_commas_is_kept(provider: FilesProvider, folder: Path) -> None:
    text = '[,{:"\\' * 2_000_000
    (folder / "kb.jsonl").write_text(json.dumps({"id": 1, "vector": [1], "p": text}) + "\n")

    [row] = rows_of(provider, "kb.jsonl")

    assert json.loads(row.properties) == {"p": text}


def test_a_first_row_with_a_property_of_our_name_is_a_row(provider: FilesProvider, folder: Path) -> None:
    lines = ['{"id": 1, "vector": [1], "regalia": "x"}', '{"id": 2, "vector": [1], "regalia": "y"}']
    (folder / "kb.jsonl").write_text("\n".join(lines))

    found = rows_of(provider, "kb.jsonl")

    assert [row.properties for row in found] == [b'{"regalia":"x"}', b'{"regalia":"y"}']


def test_a_vector_that_is_said_twice_is_refused(provider: FilesProvider, folder: Path) -> None:
    (folder / "kb.jsonl").write_text('{"id": 1, "vector": [1.0], "vectors": {"default": [2.0]}}\n')

    with pytest.raises(DocumentError, match='row 1 has the vector "default" twice'):
        rows_of(provider, "kb.jsonl")


HEADS: dict[str, object] = {
    "a long mark": {"v": 1, "mark": "x" * 70_000},
    "a large head": {"v": 1, "more": "x" * 3_000_000},
    "a root that is no digest": {
        "v": 1,
        "origin": {"reference": "a/snapshot/b@1.0.0", "content_root": "md5:zz", "fidelity": []},
    },
    "a schema of too many dimensions": {
        "v": 1,
        "schema": {
            "family": "files",
            "key": {"name": "id", "type": "int", "kind": "integer"},
            "vectors": [{"name": "default", "dims": 10**12, "metric": "l2"}],
            "properties": [],
            "engine": {},
        },
    },
    "900 levels": json.loads("[" * 900 + "]" * 900),
    "no object": 1,
}


@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS)
def test_a_file_with_a_bad_head_hides_no_other(provider: FilesProvider, folder: Path, head: object) -> None:
    row = '{"id": 1, "vector": [1.0]}\n'
    (folder / "bad.jsonl").write_text(json.dumps({"regalia": head}, separators=(",", ":")) + "\n" + row)
    (folder / "good.jsonl").write_text(row)
    loading = folder / ".load.jsonl.loading"
    loading.mkdir()
    (loading / "head.json").write_text(json.dumps(head))

    assert [entry.name for entry in provider.list()] == ["bad.jsonl", "good.jsonl", "load.jsonl"]


def test_half_a_surrogate_pair_in_a_property_names_its_row(provider: FilesProvider, folder: Path) -> None:
    (folder / "kb.jsonl").write_text('{"id": 7, "vector": [1], "p": "\\ud800"}\n')

    with pytest.raises(DocumentError, match=r"the row 7: .*surrogate"):
        rows_of(provider, "kb.jsonl")


NAMES = {
    "U+0000 in a property": {"vector": [1.0], "a\0b": 1},
    "half a surrogate pair in a property": {"vector": [1.0], "a\ud800": 1},
    "a long property": {"vector": [1.0], "a" * 300: 1},
    "U+0000 in a vector": {"vectors": {"a\0b": [1.0]}},
    "a long vector": {"vectors": {"v" * 256: [1.0]}},
    "half a surrogate pair in a vector": {"vectors": {"\ud800": [1.0]}},
}


@pytest.mark.parametrize("row", NAMES.values(), ids=NAMES)
def test_a_name_that_no_schema_could_be_read_with_again_is_refused(
    provider: FilesProvider, folder: Path, row: dict[str, object]
) -> None:
    (folder / "kb.jsonl").write_text(json.dumps({"id": 1, **row}) + "\n")

    with pytest.raises(DocumentError, match="the name or type"):
        provider.describe("kb.jsonl")
