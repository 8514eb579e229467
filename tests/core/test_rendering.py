"""Rendering of prompts: every declared variable given, none beyond, values never interpreted."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regalia.core.errors import RenderError
from regalia.core.kinds.prompt import Message, PromptConfig, Variable
from regalia.core.rendering import messages, render


def text_prompt(template: str, *variables: Variable, template_format: str = "fstring") -> PromptConfig:
    return PromptConfig("greeting", "1.0.0", template_format, template=template, variables=variables)


def chat_prompt(*turns: tuple[str, str], variables: tuple[Variable, ...] = ()) -> PromptConfig:
    return PromptConfig(
        "greeting", "1.0.0", "fstring", messages=tuple(Message(*turn) for turn in turns), variables=variables
    )


def test_a_prompt_with_json_in_it_renders() -> None:
    prompt = text_prompt(
        'Answer as {"a": {"b": 1}}.\n{context}\nUser: {user_query}', Variable("context"), Variable("user_query")
    )

    rendered = render(prompt, {"context": "{user_query}", "user_query": "{{context}}"})

    assert rendered == 'Answer as {"a": {"b": 1}}.\n{user_query}\nUser: {{context}}'


@given(st.text())
def test_a_value_is_never_interpreted(value: str) -> None:
    prompt = text_prompt("{a}{b}", Variable("a"), Variable("b"))

    assert render(prompt, {"a": value, "b": "{a}"}) == value + "{a}"


def test_all_missing_and_unknown_variables_are_named_at_once() -> None:
    prompt = text_prompt("{a}{b}{c}", Variable("a"), Variable("b"), Variable("c"))

    with pytest.raises(RenderError) as caught:
        render(prompt, {"c": 1, "x": 2, "y": 3})

    assert caught.value.message == 'the prompt "greeting" misses "a", "b" and does not know "x", "y"'
    assert caught.value.hint == "its variables are: a, b, c"


def test_a_default_stands_in_for_what_is_not_given() -> None:
    prompt = text_prompt("[{a}{b}]", Variable("a", required=False, default="A"), Variable("b", required=False))

    assert render(prompt, {}) == "[A]"
    assert render(prompt, {"a": "x", "b": "y"}) == "[xy]"


def test_a_dotted_variable_is_given_by_a_mapping_or_by_its_exact_name() -> None:
    prompt = text_prompt("{user.name}", Variable("user.name"))

    assert render(prompt, {"user": {"name": "Jane"}}) == "Jane"
    assert render(prompt, {"user.name": "Jane"}) == "Jane"
    with pytest.raises(RenderError, match=r"user\.name"):
        render(prompt, {"user": "Jane"})


def test_a_dotted_default_stands_in_where_the_mapping_is_not_given() -> None:
    prompt = text_prompt("{user.name}", Variable("user.name", required=False, default="you"))

    assert render(prompt, {}) == "you"


def test_a_text_prompt_is_one_message_of_the_user() -> None:
    assert messages(text_prompt("Hello {a}", Variable("a")), {"a": 1}) == [{"role": "user", "content": "Hello 1"}]


def test_a_chat_prompt_renders_each_message() -> None:
    prompt = chat_prompt(
        ("system", "Be {tone}."), ("user", "{question}"), variables=(Variable("tone"), Variable("question"))
    )

    assert messages(prompt, {"tone": "kind", "question": "{tone}?"}) == [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "{tone}?"},
    ]


def test_a_chat_prompt_has_no_one_text() -> None:
    with pytest.raises(RenderError, match="chat prompt") as caught:
        render(chat_prompt(("user", "hello")), {})

    assert "messages" in caught.value.hint


@pytest.mark.parametrize(
    ("template_format", "template"), [("fstring", "{x}"), ("curly", "{{ x }}"), ("jinja2", "{{ x }}")]
)
def test_a_value_that_is_a_template_stays_text_in_every_engine(template_format: str, template: str) -> None:
    bomb = "{% for i in range(9) %}{{ x }}{x}{% endfor %}"

    assert render(text_prompt(template, Variable("x"), template_format=template_format), {"x": bomb}) == bomb


def test_a_literal_prompt_takes_no_values() -> None:
    prompt = text_prompt("{x} {{y}} {% z %}", template_format="none")

    assert render(prompt, {}) == "{x} {{y}} {% z %}"
    with pytest.raises(RenderError, match="does not know"):
        render(prompt, {"x": 1})
