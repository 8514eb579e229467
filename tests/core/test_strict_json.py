"""Our JSON: one writer, and a parser that refuses whatever two readers could read in two ways."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regalia.core.errors import DocumentError, InvalidError, TooLargeError
from regalia.core.strict_json import MAX_DEPTH, MAX_INTEGER, JsonObject, JsonValue, parse, parse_object, write

TEXTS = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]))
SCALARS = st.none() | st.booleans() | st.integers(-MAX_INTEGER, MAX_INTEGER) | TEXTS
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
VALUES: st.SearchStrategy[JsonValue] = st.recursive(
    SCALARS | FLOATS, lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner), max_leaves=12
)


def read(body: bytes) -> JsonValue:
    return parse(body, what="the document", max_bytes=100_000)


def nested(levels: int) -> JsonValue:
    value: JsonValue = 1
    for _ in range(levels):
        value = [value]
    return value


@given(VALUES)
def test_what_is_written_reads_back(value: JsonValue) -> None:
    assert read(write(value)) == value


@given(VALUES)
def test_writing_what_was_read_changes_no_byte(value: JsonValue) -> None:
    body = write(value)

    assert write(read(body)) == body


@given(st.dictionaries(TEXTS, SCALARS))
def test_the_order_of_keys_changes_no_byte(document: JsonObject) -> None:
    backwards = dict(reversed(document.items()))

    assert write(backwards) == write(document)


@given(VALUES, st.sampled_from([None, 1, "\t"]))
def test_white_space_and_escapes_change_no_meaning(value: JsonValue, indent: int | str | None) -> None:
    loose = json.dumps(value, indent=indent, ensure_ascii=True).encode()

    assert write(read(loose)) == write(value)


@given(
    st.binary(max_size=40)
    | st.text(st.sampled_from('{}[]",:0123456789eE+-.\\untrefalsd\x00 '), max_size=40).map(str.encode)
)
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    try:
        value = read(body)
    except InvalidError:
        return

    assert read(write(value)) == value


def test_the_writers_bytes_are_these() -> None:
    document: JsonObject = {"b": [1, -0.0, 1.5, 1e22], "a": {"ü": 'é\u2028"\\\n', "Z": None, "z": True}, "": ""}

    assert write(document) == ('{"":"","a":{"Z":null,"z":true,"ü":"é\u2028\\"\\\\\\n"},"b":[1,0.0,1.5,1e+22]}'.encode())


def test_two_spellings_of_one_letter_stay_two() -> None:
    assert write("\u00e9") != write("e\u0301")


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"{", id="cut"),
        pytest.param(b"{} {}", id="two values"),
        pytest.param(b"{'a':1}", id="single quotes"),
        pytest.param(b'{"a":1,}', id="trailing comma"),
        pytest.param(b'{"a":1 /* one */}', id="comment"),
        pytest.param(b'{"a":1,"a":1}', id="duplicate key"),
        pytest.param(b'{"a":1,"\\u0061":2}', id="duplicate key by an escape"),
        pytest.param(b'[{"b":{"a":1,"a":2}}]', id="duplicate key deep inside"),
        pytest.param(b"NaN", id="nan"),
        pytest.param(b"[Infinity]", id="infinity"),
        pytest.param(b"[-Infinity]", id="negative infinity"),
        pytest.param(b"1e999", id="infinite by its exponent"),
        pytest.param(b"-1e999", id="negative infinite by its exponent"),
        pytest.param(b"9007199254740992", id="2^53"),
        pytest.param(b"-9007199254740992", id="-2^53"),
        pytest.param(b"1" * 5000, id="5,000 digits"),
        pytest.param(b"1" * 4000, id="4,000 digits"),
        pytest.param(b"01", id="leading zero"),
        pytest.param(b"0x1", id="hexadecimal"),
        pytest.param(b"+1", id="plus"),
        pytest.param(b".5", id="no digit before the point"),
        pytest.param(b'"\\u0000"', id="u+0000"),
        pytest.param(b'{"\\u0000":1}', id="u+0000 in a key"),
        pytest.param(b'"\x00"', id="raw u+0000"),
        pytest.param(b'"\n"', id="raw new line"),
        pytest.param(b'"\\ud800"', id="lone surrogate"),
        pytest.param(b'{"\\udc00":1}', id="lone surrogate in a key"),
        pytest.param(b'"\\udc00\\ud800"', id="surrogates the wrong way round"),
        pytest.param(b'"\xed\xa0\x80"', id="surrogate in utf-8"),
        pytest.param(b'"\xc0\x80"', id="overlong utf-8"),
        pytest.param(b'"\xff"', id="not utf-8"),
        pytest.param(b"\xef\xbb\xbf{}", id="byte-order mark"),
        pytest.param("{}".encode("utf-16"), id="utf-16"),
        pytest.param("{}".encode("utf-16-le"), id="utf-16 without a mark"),
        pytest.param("{}".encode("utf-32"), id="utf-32"),
        pytest.param(b"[" * 33 + b"]" * 33, id="33 levels"),
        pytest.param(b'{"a":' * 33 + b"1" + b"}" * 33, id="33 levels of objects"),
        pytest.param(b"[" * 5000 + b"]" * 5000, id="5,000 levels"),
        pytest.param(b"[" * 50_000, id="50,000 levels, cut"),
    ],
)
def test_what_could_be_read_two_ways_is_refused(body: bytes) -> None:
    with pytest.raises(DocumentError, match="the document"):
        read(body)


@pytest.mark.parametrize("body", [b"[]", b"1", b'"{}"', b"null", b"true", b"1.5"])
def test_a_document_is_an_object(body: bytes) -> None:
    with pytest.raises(DocumentError, match="expected an object"):
        parse_object(body, what="the document", max_bytes=100)


def test_the_cap_itself_is_allowed_and_one_byte_more_is_not() -> None:
    body = b'"' + b"x" * 98 + b'"'

    assert parse(body, what="the document", max_bytes=100) == "x" * 98
    with pytest.raises(TooLargeError):
        parse(body + b" ", what="the document", max_bytes=100)


def test_all_levels_of_the_cap_are_read_and_written() -> None:
    assert read(write(nested(MAX_DEPTH))) == nested(MAX_DEPTH)


def test_the_largest_integers_are_exact() -> None:
    assert read(b"[9007199254740991,-9007199254740991]") == [MAX_INTEGER, -MAX_INTEGER]


def test_a_pair_of_surrogates_is_one_letter() -> None:
    assert read(b'"\\ud83d\\ude00"') == "\U0001f600"


def test_negative_zero_is_written_as_zero() -> None:
    assert write({"a": [-0.0]}) == b'{"a":[0.0]}'


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(math.nan, id="nan"),
        pytest.param(math.inf, id="infinity"),
        pytest.param(-math.inf, id="negative infinity"),
        pytest.param(2**53, id="2^53"),
        pytest.param(-(2**53), id="-2^53"),
        pytest.param("\x00", id="u+0000"),
        pytest.param("\ud800", id="lone surrogate"),
        pytest.param(nested(32), id="33 levels"),
        pytest.param(nested(5000), id="5,000 levels"),
        pytest.param({1: 2}, id="key that is a number"),
        pytest.param({None: 1}, id="key that is nothing"),
        pytest.param(b"x", id="bytes"),
        pytest.param((1,), id="tuple"),
        pytest.param({1}, id="set"),
    ],
)
def test_what_strict_json_does_not_have_is_never_written(value: JsonValue) -> None:
    with pytest.raises(DocumentError):
        write({"a": value})
