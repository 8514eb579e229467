"""Rows of one family as another holds them: keys and vectors untouched, values respelled or refused."""

import json
import struct
from collections.abc import Mapping
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regalia.core.errors import DocumentError, UnsupportedError
from regalia.core.kinds.snapshot import VectorSpace
from regalia_registry.adapters.vectors.pgvector.hosting import hosted as as_table
from regalia_registry.domain.snapshots.rows import Row, encode_key, encode_properties
from regalia_registry.domain.snapshots.schema import Family, KeyKind, Property, Schema
from regalia_registry.domain.snapshots.translation import Hosted, as_files, translator

SPACES = (VectorSpace("body", 2, "cosine"),)


def schema_of(family: Family, types: dict[str, str], *, spaces: tuple[VectorSpace, ...] = SPACES) -> Schema:
    properties = tuple(Property(name, kind) for name, kind in sorted(types.items()))
    return Schema(family, Property("id", "int"), KeyKind.INTEGER, spaces, properties, {})


def row_of(values: Mapping[str, object], *, key: int | str | UUID = 1) -> Row:
    return Row(encode_key(key), (("body", struct.pack("<2f", 1e-45, -0.0)),), encode_properties(values))


COLUMNS: dict[str, tuple[str, str, object]] = {
    "smallint": ("-32768", "int", -32768),
    "bigint": ("9007199254740993", "int", 9007199254740993),
    "boolean": ("false", "boolean", False),
    "uuid": ("6ba7b811-9dad-11d1-80b4-00c04fd430c8", "uuid", "6ba7b811-9dad-11d1-80b4-00c04fd430c8"),
    "bytea": ("\\xdeadbeef", "bytes", "3q2+7w=="),
    "double precision": ("NaN", "text", "NaN"),
    "numeric(10,2)": ("1.50", "text", "1.50"),
    "timestamp with time zone": ("infinity", "text", "infinity"),
    "jsonb": ('{"a": 1e2}', "text", '{"a": 1e2}'),
    "integer[]": ("{1,NULL}", "text", "{1,NULL}"),
}


@pytest.mark.parametrize(("column", "case"), COLUMNS.items(), ids=COLUMNS)
def test_a_column_becomes_the_type_that_keeps_every_value(column: str, case: tuple[str, str, object]) -> None:
    told, kind, value = case
    schema = schema_of(Family.POSTGRESQL, {"p": column})

    hosted = as_files(schema)

    assert [one.type for one in hosted.schema.properties] == [kind]
    assert json.loads(translator(schema, hosted)(row_of({"p": told})).properties) == {"p": value}
    assert hosted.fidelity == (() if column == kind else (f"p: {column} as {kind}",))


def test_weaviates_types_are_those_of_files_or_json() -> None:
    schema = schema_of(Family.WEAVIATE, {"a": "text[]", "b": "blob", "c": "geoCoordinates", "d": "object[]"})

    hosted = as_files(schema)

    assert [one.type for one in hosted.schema.properties] == ["text[]", "bytes", "json", "json"]
    assert hosted.fidelity == ("b: blob as bytes", "c: geoCoordinates as json", "d: object[] as json")


values = st.dictionaries(
    st.sampled_from(["a", "b", "c"]), st.text(st.characters(exclude_categories=["Cs"])) | st.integers() | st.booleans()
)


@given(values, st.integers(-(2**63), 2**63 - 1))
def test_a_box_keeps_the_properties_byte_for_byte(given_values: dict[str, object], key: int) -> None:
    schema, row = schema_of(Family.FILES, {"a": "json", "b": "json", "c": "json"}), row_of(given_values, key=key)

    boxed = translator(schema, as_table(schema))(row)

    assert (boxed.key, boxed.vectors) == (row.key, row.vectors)
    assert json.loads(boxed.properties) == {"properties": row.properties.decode()}


def test_a_typed_value_becomes_text_where_only_text_is_held() -> None:
    schema = schema_of(Family.FILES, {"a": "json", "b": "number", "c": "text"})
    hosted = Hosted(schema_of(Family.WEAVIATE, {"a": "text", "b": "text", "c": "text"}))

    made = translator(schema, hosted)(row_of({"a": {"x": [None]}, "b": 1e16, "c": "plain"}))

    assert json.loads(made.properties) == {"a": '{"x":[null]}', "b": "1e+16", "c": "plain"}


@pytest.mark.parametrize(
    ("held", "told"),
    [
        (schema_of(Family.FILES, {"p": "text"}, spaces=()), "keys or vectors"),
        (schema_of(Family.FILES, {}), "other properties"),
        (schema_of(Family.FILES, {"p": "date"}), "can't be held"),
    ],
    ids=["without its vector", "without its property", "as a type that has other values"],
)
def test_nothing_is_left_out_silently(held: Schema, told: str) -> None:
    with pytest.raises(DocumentError, match=told):
        translator(schema_of(Family.POSTGRESQL, {"p": "interval"}), Hosted(held))


def test_a_row_that_is_not_of_its_schema_is_named() -> None:
    schema = schema_of(Family.POSTGRESQL, {"p": "bigint"})

    for values in ({"p": "many"}, {"q": "1"}):
        with pytest.raises(DocumentError, match="the row 7 is not of its schema"):
            translator(schema, as_files(schema))(row_of(values, key=7))


@pytest.mark.parametrize(
    "space",
    [
        VectorSpace("properties", 2, "cosine"),
        VectorSpace("id", 2, "cosine"),
        VectorSpace("ü" * 32, 2, "cosine"),
        VectorSpace("wide", 16_001, "cosine"),
    ],
    ids=["named like our column", "named like the key", "cut by PostgreSQL", "too wide"],
)
def test_a_vector_that_no_table_can_have_is_refused(space: VectorSpace) -> None:
    with pytest.raises(UnsupportedError, match="can't have the columns"):
        as_table(schema_of(Family.FILES, {}, spaces=(space,)))


def test_a_metric_that_no_index_serves_is_told() -> None:
    spaces = (VectorSpace("a", 2, "hamming"), VectorSpace("b", 3072, "cosine"), VectorSpace("c", 2000, "cosine"))

    hosted = as_table(schema_of(Family.WEAVIATE, {}, spaces=spaces))

    assert [space.metric for space in hosted.schema.vectors] == ["l2", "l2", "cosine"]
    assert hosted.fidelity == ("a: hamming as l2, without an index", "b: cosine as l2, without an index")
