"""Template formats by name, and the two that have no logic: none and curly."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regalia.core import templates
from regalia.core.errors import RenderError, SourceError, UnsupportedError


@given(st.text())
def test_a_literal_prompt_is_its_own_text(text: str) -> None:
    assert templates.render("none", text, {}) == text
    assert templates.variables_of("none", text) == templates.warnings_of("none", text) == ()


@pytest.mark.parametrize("template_format", ["mustache", "handlebars", "liquid"])
def test_formats_of_later_are_unsupported(template_format: str) -> None:
    with pytest.raises(UnsupportedError, match=template_format):
        templates.check(template_format, "")


@pytest.mark.parametrize("template_format", ["", "f-string", "Jinja2", "../fstring", "os"])
def test_an_unknown_format_is_refused_with_the_known(template_format: str) -> None:
    with pytest.raises(SourceError) as caught:
        templates.render(template_format, "", {})

    assert all(known in caught.value.hint for known in templates.FORMATS)


@pytest.mark.parametrize("template_format", templates.FORMATS)
def test_an_empty_prompt_is_empty_in_every_format(template_format: str) -> None:
    templates.check(template_format, "")

    assert templates.render(template_format, "", {}) == ""


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{{x}} {{ x }} {{\tx\n}}", "X X X"),
        ("{{unknown}} {{ unknown.part }}", "{{unknown}} {{ unknown.part }}"),
        ("{{{x}}}", "{X}"),
        ("{x} {} {{}} {{ }} {{x", "{x} {} {{}} {{ }} {{x"),
        ('{"a": {"b": "{{x}}"}}', '{"a": {"b": "X"}}'),
        ("{{user.name}}", "Jane"),
        ("{{#x}}{{/x}}{{>x}}{{&x}}", "{{#x}}{{/x}}{{>x}}{{&x}}"),
        ("{% if x %}", "{% if x %}"),
    ],
)
def test_curly_replaces_what_has_a_value_and_leaves_the_rest(template: str, expected: str) -> None:
    assert templates.render("curly", template, {"x": "X", "user": {"name": "Jane"}}) == expected


def test_curly_lists_names_in_order_of_first_use() -> None:
    assert templates.variables_of("curly", "{{ b }}{{a.c}}{{b}}{a}") == ("b", "a.c")


def test_a_known_name_with_a_part_that_is_missing_is_named() -> None:
    with pytest.raises(RenderError, match=r"user\.name"):
        templates.render("curly", "{{user.name}}", {"user": {}})


@given(st.text())
def test_a_value_in_curly_is_inserted_as_it_is(value: str) -> None:
    assert templates.render("curly", "<{{x}}|{{ x }}>", {"x": value}) == f"<{value}|{value}>"


@pytest.mark.parametrize(
    ("template", "part"), [("{x} {{x}}", '"{x}"'), ("{% if x %}", "{% i"), ("{{#items}}", "{{#"), ("{{>part}}", "{{>")]
)
def test_curly_warns_of_other_dialects(template: str, part: str) -> None:
    [warning] = templates.warnings_of("curly", template)

    assert part in warning
