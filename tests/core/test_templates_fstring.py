"""F-string prompts: JSON and LaTeX braces survive, names are replaced once, and no input is slow."""

import json
from collections.abc import Mapping
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regalia.core import templates
from regalia.core.errors import RenderError

NAMES = st.sampled_from(["x", "user_query", "größe", "user.name", "_a1"])
PLAIN = st.text(st.characters(exclude_characters="{}", exclude_categories=["Cs"]), max_size=8)
TREES = st.recursive(
    st.none() | st.booleans() | st.integers() | PLAIN,
    lambda children: st.lists(children, max_size=3) | st.dictionaries(PLAIN, children, max_size=3),
    max_leaves=8,
)
BRACES = st.text(st.sampled_from("{}x. \n\"':!"), max_size=30)
BALANCED = st.recursive(
    PLAIN | NAMES.map("{{{}}}".format),
    lambda inner: st.lists(inner, max_size=3).map("".join) | inner.map("{{{{{}}}}}".format),
    max_leaves=8,
)
VALUES: Mapping[str, object] = {"x": "{x}", "user_query": "{{", "größe": 1, "user.name": "}}", "_a1": True}


class _Values(dict[str, object]):
    """Answers Python's own formatter, which reads a dot as an attribute."""

    name = "}}"


def render(template: str, **values: object) -> str:
    return templates.render("fstring", template, values)


@pytest.mark.parametrize(
    "text",
    [
        '{"a": {"b": 1}}',
        '{"a":{"b":{}}}',
        "{}",
        "{ }",
        "{\n}",
        "{ x }",
        "{0}",
        "{x:.2f}",
        "{x!r}",
        "{x-y}",
        "{.x}",
        "{x.}",
        "{x..y}",
        "{x y}",
        "{",
        "}",
        "{{",
        "}}",
        "}}{{",
        "{{ x }",
        "{ x }}",
        r"\frac{1}{n^{2}} \sum_{i=0}^{n+1} x_{i,j}",
        "function() { if (a) { b() } }",
        "%s ${} $x #{}",
    ],
)
def test_braces_that_mean_nothing_stay(text: str) -> None:
    assert (render(text), templates.variables_of("fstring", text)) == (text, ())


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{x}", "X"),
        ("${x}", "$X"),
        ("{{x}}", "{x}"),
        ("{{{x}}}", "{X}"),
        ("{{{{x}}}}", "{{x}}"),
        ('{{"q": "{x}"}}', '{"q": "X"}'),
        ('{"q": "{x}"}', '{"q": "X"}'),
        ('{{"q":{x}}}', '{"q":X}'),
        ('{"q":{x}}', '{"q":X}'),
        ('{{"a": {{"b": {x}}}}}', '{"a": {"b": X}}'),
        ('{{"a": {"b": {x}}}}', '{"a": {"b": X}}'),
        ("{{ }}", "{ }"),
        ("{{}}", "{}"),
        ("{{{x}", "{{X"),
        ("{x}}", "X}"),
        ("{x}}}", "X}}"),
        ("{{x}}}", "{x}}"),
        ("{{x}} {x} {{", "{x} X {{"),
        ("{x}\r\n{x}\r\n", "X\r\nX\r\n"),
    ],
)
def test_names_are_replaced_and_paired_double_braces_are_one(template: str, expected: str) -> None:
    assert render(template, x="X") == expected


@given(TREES, st.sampled_from([None, 0, 2]), st.sampled_from([None, (",", ":")]))
def test_json_in_a_prompt_stays_as_it_is(tree: object, indent: int | None, separators: tuple[str, str] | None) -> None:
    text = json.dumps(tree, indent=indent, separators=separators, ensure_ascii=False)

    assert (render(text), templates.variables_of("fstring", text)) == (text, ())


@given(TREES, st.sampled_from([None, 0, 2]))
def test_escaped_json_is_that_json(tree: object, indent: int | None) -> None:
    text = json.dumps(tree, indent=indent, separators=(",", ":"), ensure_ascii=False)

    assert render(text.replace("{", "{{").replace("}", "}}")) == text


@given(BALANCED)
def test_what_python_can_format_reads_as_python_reads_it(template: str) -> None:
    expected = template.format_map({**VALUES, "user": _Values()})

    assert templates.render("fstring", template, VALUES) == expected


@given(st.text())
def test_a_value_is_inserted_as_it_is(value: str) -> None:
    assert render("<{x}|{x}>", x=value) == f"<{value}|{value}>"


@given(BRACES | st.text())
def test_the_names_listed_are_all_that_a_prompt_needs(template: str) -> None:
    names = templates.variables_of("fstring", template)

    assert isinstance(templates.render("fstring", template, dict.fromkeys(names, "{x}")), str)


@given(BRACES)
def test_only_braces_are_ever_dropped(template: str) -> None:
    names = templates.variables_of("fstring", template)

    rendered = templates.render("fstring", template, {name: name for name in names})

    assert rendered.replace("{", "").replace("}", "") == template.replace("{", "").replace("}", "")


def test_names_are_listed_in_order_of_first_use() -> None:
    assert templates.variables_of("fstring", "{b} {a.c} {{z}} {b} {a}") == ("b", "a.c", "a")


@pytest.mark.parametrize(
    ("value", "text"), [(1, "1"), (1.5, "1.5"), (True, "True"), (Decimal("1.10"), "1.10"), ("", "")]
)
def test_numbers_and_texts_are_spelled_as_python_does(value: object, text: str) -> None:
    assert render("{x}", x=value) == text


@pytest.mark.parametrize("value", [None, [], {}, (), b"x", object(), 1j, {1}], ids=lambda value: type(value).__name__)
def test_a_value_without_one_text_is_refused_with_its_name_and_type(value: object) -> None:
    with pytest.raises(RenderError, match=f'"x" is a {type(value).__name__}') as caught:
        render("{x}", x=value)

    assert caught.value.hint


def test_a_number_of_too_many_digits_is_refused() -> None:
    with pytest.raises(RenderError, match='"x"'):
        render("{x}", x=10**5000)


def test_a_missing_variable_is_named() -> None:
    with pytest.raises(RenderError, match=r"user\.name"):
        render("{user.name}", user={"nam": "Jane"})


def test_a_dotted_name_prefers_its_exact_key() -> None:
    assert templates.render("fstring", "{a.b}", {"a.b": "exact", "a": {"b": "walked"}}) == "exact"


def test_a_dotted_name_walks_mappings() -> None:
    assert render("{a.b.c}", a={"b": {"c": "deep"}}) == "deep"


@pytest.mark.parametrize("template", ["{x.upper}", "{x.__class__}", "{x.real}"])
def test_a_dotted_name_never_reads_an_attribute(template: str) -> None:
    with pytest.raises(RenderError):
        render(template, x="text")


def test_many_long_values_are_bounded() -> None:
    with pytest.raises(RenderError, match="more than"):
        render("{x}" * 10_000, x="x" * 10_000)


@pytest.mark.parametrize(
    ("template", "part"),
    [
        ("Hello {{ name }}", "curly or jinja2"),
        ("Hello {{name}}", "curly or jinja2"),
        ("{% if a %}", "jinja2"),
        ("{price:.2f}", "name alone"),
        ("{price!r}", "name alone"),
        ("{ price }", "name alone"),
        ('a\n{{"q": "[{{]", "b": 1}}', "line 2"),
    ],
)
def test_what_reads_two_ways_is_warned_of(template: str, part: str) -> None:
    [warning] = templates.warnings_of("fstring", template)

    assert part in warning


@pytest.mark.parametrize("template", ["{x}", '{{"q": "{x}"}}', '{"a": {"b": 1}}', "{}", "{ }", "100 %", "{{{x}}}"])
def test_what_reads_one_way_is_not_warned_of(template: str) -> None:
    assert templates.warnings_of("fstring", template) == ()


@pytest.mark.parametrize(
    "unit", ["{", "}", "{{", "{}", "{{ ", "{a", "{a.", "{a:", "{ a", "{%", "{% ", "a.", "{a}}", "{{a}"]
)
@pytest.mark.parametrize("template_format", ["fstring", "curly"])
def test_hostile_input_is_read_in_one_pass(template_format: str, unit: str) -> None:
    template = unit * (100_000 // len(unit))  # quadratic reading would take hours

    templates.render(template_format, template, {"a": ""})
    templates.warnings_of(template_format, template)

    assert len(templates.variables_of(template_format, template)) <= 1
