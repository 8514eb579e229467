"""Canonical rows and content roots: the committed vectors, and the laws that they follow."""

import base64
import json
import struct
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regalia.core.digest import Digest
from regalia.core.errors import RegaliaError
from regalia.core.kinds.snapshot import VectorSpace
from regalia_registry.domain.snapshots.properties import normaliser
from regalia_registry.domain.snapshots.root import BUCKETS, bucket_digest, content_root, differing
from regalia_registry.domain.snapshots.rows import Row, decode_key, encode_key, encode_properties
from regalia_registry.domain.snapshots.schema import Family, KeyKind, Property, Schema
from tests.support.segments import row_digest

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "rows.json").read_text())


def row_of(vector: dict[str, Any]) -> Row:
    key = vector["key"]["value"]
    vectors = {name: struct.pack(f"<{len(numbers)}f", *numbers) for name, numbers in vector["vectors"].items()}
    encoded = encode_key(UUID(key) if vector["key"]["kind"] == "uuid" else key)
    return Row(encoded, tuple(sorted(vectors.items())), encode_properties(vector["properties"]))


def root_of(schema: Digest, rows: Sequence[Row]) -> Digest:
    return content_root(schema, count=len(rows), buckets=buckets_of(rows))


def buckets_of(rows: Sequence[Row]) -> list[bytes]:
    found: list[list[tuple[bytes, bytes]]] = [[] for _ in range(BUCKETS)]
    for row in rows:
        place = sha256(row.key).digest()
        found[place[0]].append((place, row_digest(row)))
    return [bucket_digest(entries) for entries in found]


@pytest.mark.parametrize("vector", VECTORS["rows"], ids=lambda vector: vector["name"])
def test_a_row_is_hashed_as_the_vectors_say(vector: dict[str, Any]) -> None:
    if vector["error"] is not None:
        with pytest.raises(RegaliaError) as refused:
            row_of(vector)
        assert refused.value.code == vector["error"]
        return
    row = row_of(vector)

    assert row.properties.decode() == vector["properties_text"]
    assert row_digest(row).hex() == vector["digest"]


@pytest.mark.parametrize("vector", VECTORS["collections"], ids=lambda vector: vector["name"])
def test_a_collection_is_hashed_as_the_vectors_say(vector: dict[str, Any]) -> None:
    schema = Digest.of(base64.b64decode(vector["schema"]))
    rows = [row_of(row) for row in vector["rows"]]
    if vector["error"] is not None:
        with pytest.raises(RegaliaError, match="the same key") as refused:
            root_of(schema, rows)
        assert refused.value.code == vector["error"]
        return

    assert str(root_of(schema, rows)) == vector["root"]


@pytest.mark.parametrize(
    "vector", VECTORS["values"], ids=lambda vector: f"{vector['type']} {str(vector['value'])[:40]}"
)
def test_a_value_has_one_spelling(vector: dict[str, Any]) -> None:
    if vector["error"] is not None:
        with pytest.raises(RegaliaError) as refused:
            normaliser(vector["type"])(vector["value"])
        assert refused.value.code == vector["error"]
        return

    assert repr(normaliser(vector["type"])(vector["value"])) == repr(vector["spelled"])


keys = st.one_of(st.uuids(), st.integers(-(2**63), 2**63 - 1), st.text())
rows = st.builds(
    lambda key, vector, text: Row(encode_key(key), (("default", vector),), encode_properties({"text": text})),
    keys,
    st.binary(min_size=4, max_size=4),
    st.text(),
)


@given(keys)
def test_a_key_reads_back(key: UUID | int | str) -> None:
    assert decode_key(encode_key(key)) == key


@given(st.lists(rows, unique_by=lambda row: row.key, max_size=20), st.randoms(use_true_random=False))
def test_the_root_does_not_depend_on_the_order_of_rows(found: list[Row], random: Any) -> None:
    shuffled = found[:]
    random.shuffle(shuffled)

    assert root_of(Digest.of(b"schema"), shuffled) == root_of(Digest.of(b"schema"), found)


@given(st.lists(rows, unique_by=lambda row: row.key, min_size=1, max_size=20), st.data())
def test_any_change_of_a_row_changes_the_root_and_names_its_bucket(found: list[Row], data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(found) - 1))
    changed = found[:]
    changed[place] = found[place]._replace(properties=found[place].properties + b" ")

    assert root_of(Digest.of(b"schema"), changed) != root_of(Digest.of(b"schema"), found)
    assert differing(buckets_of(found), buckets_of(changed)) == (sha256(found[place].key).digest()[0],)


@pytest.mark.parametrize("encoded", [b"", b"\x00", b"\x01short", b"\x02\0", b"\x03\xff", b"\x04text"])
def test_what_is_no_key_is_refused(encoded: bytes) -> None:
    with pytest.raises(RegaliaError) as refused:
        decode_key(encoded)
    assert refused.value.code == "invalid_document"


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
def test_a_number_that_is_none_is_refused_in_a_property(number: float) -> None:
    with pytest.raises(RegaliaError):
        encode_properties({"score": number})
    with pytest.raises(RegaliaError):
        normaliser("number")(number)


def schema(**changes: Any) -> Schema:
    given: dict[str, Any] = {
        "family": Family.FILES,
        "key": Property("id", "uuid"),
        "key_kind": KeyKind.UUID,
        "vectors": (VectorSpace("default", 384, "cosine"),),
        "properties": (Property("text", "text"), Property("title", "text")),
        "engine": {},
    }
    return Schema(**{**given, **changes})


def test_a_schema_reads_back_and_its_digest_is_its_bytes() -> None:
    made = schema()

    assert Schema.parse(made.written()) == made
    assert made.digest == Digest.of(made.written())


@pytest.mark.parametrize(
    "changes",
    [
        {"properties": (Property("b", "text"), Property("a", "text"))},
        {"properties": (Property("a", "text"), Property("a", "int"))},
        {"vectors": tuple(VectorSpace(f"v{number:03}", 2, "l2") for number in range(65))},
        {"vectors": (VectorSpace("v", 65_536, "l2"),)},
        {"vectors": (VectorSpace("v" * 256, 2, "l2"),)},
        {"properties": (Property("a" * 256, "text"),)},
        {"properties": (Property("a\0", "text"),)},
        {"properties": (Property("a", "\ud800"),)},
        {"key": Property("k" * 256, "uuid")},
    ],
)
def test_a_schema_has_one_order_and_its_caps(changes: dict[str, Any]) -> None:
    with pytest.raises(RegaliaError):
        schema(**changes)


def test_another_family_is_no_schema() -> None:
    with pytest.raises(RegaliaError, match="names 'oracle'"):
        Schema.parse(schema().written().replace(b'"files"', b'"oracle"'))
