"""YAML in which every reader reads the same; the rest is refused with its place."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regalia import strict_yaml
from regalia.core.errors import RegaliaError, SourceError


def read(text: str | bytes) -> object:
    return strict_yaml.parse(text.encode() if isinstance(text, str) else text, what="file.yaml").value


AGREED = {
    "a: 1": {"a": 1},
    "a: 0x1F": {"a": 31},
    "a: -3.5": {"a": -3.5},
    "a: 1.5e+3": {"a": 1500.0},
    "a: true": {"a": True},
    "a: no": {"a": "no"},
    "a: on": {"a": "on"},
    "a: 2026-03-15": {"a": "2026-03-15"},
    "a: 12:30": {"a": "12:30"},
    "a: ~": {"a": None},
    'a: "010"': {"a": "010"},
    "a: [1, {b: c}]": {"a": [1, {"b": "c"}]},
    "a: |\n  one\n  two\n": {"a": "one\ntwo\n"},
    "a: |\r\n  one\r\n": {"a": "one\n"},
}
REFUSED = {
    "octal": "a: 010",
    "octal-1.2": "a: 0o10",
    "underscore": "a: 1_0",
    "binary": "a: 0b11",
    "exponent-without-sign": "a: 1.5e3",
    "infinity": "a: .inf",
    "nan": "a: .nan",
    "beyond-double": "a: 9007199254740993",
    "five-thousand-digits": "a: " + "9" * 5000,
    "anchor": "a: &x 1",
    "alias": "a: &x 1\nb: *x",
    "billion-laughs": "a: &a [x]\nb: &b [*a, *a]\nc: [*b, *b]",
    "merge-key": "a: {<<: {b: 1}}",
    "tag": "a: !!python/object:os.system x",
    "duplicate-key": "a: 1\na: 2",
    "number-as-key": "1: a",
    "null-key": "~: a",
    "deep": "[" * 5000,
    "two-documents": "a: 1\n---\nb: 2",
    "tab": "a:\n\t- 1",
    "control-character": "a: \x07",
}


@pytest.mark.parametrize("text", AGREED)
def test_what_yaml_1_1_and_1_2_agree_on_is_read(text: str) -> None:
    assert read(text) == AGREED[text]


@pytest.mark.parametrize("defect", REFUSED)
def test_what_they_read_differently_is_refused(defect: str) -> None:
    with pytest.raises(SourceError):
        read(REFUSED[defect])


def test_a_refusal_names_line_and_column() -> None:
    with pytest.raises(SourceError, match="line 2, column 4"):
        read("a: 1\nb: 010")


@pytest.mark.parametrize("body", [b"\xef\xbb\xbfa: 1", b"a: \xff", b"\xff\xfea\x00", b"x" * (1024 * 1024 + 1)])
def test_bytes_that_are_not_plain_utf8_or_too_many_are_refused(body: bytes) -> None:
    with pytest.raises(SourceError):
        read(body)


@given(st.binary(max_size=300) | st.text(alphabet="ab:-[]{}&*!|>'\"#\n \t01._~<?,%@`", max_size=80).map(str.encode))
def test_no_bytes_make_it_fail_otherwise(body: bytes) -> None:
    with contextlib.suppress(RegaliaError):
        strict_yaml.parse(body, what="file.yaml")


@given(st.text(alphabet=st.characters(min_codepoint=32, blacklist_categories=["Cs"]), max_size=40))
def test_a_quoted_text_comes_back(text: str) -> None:
    printable = "".join(character for character in text if character.isprintable())
    quoted = printable.replace("'", "''")

    assert read(f"a: '{quoted}'") == {"a": printable}
