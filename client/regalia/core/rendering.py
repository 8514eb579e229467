"""Rendering of prompts: every declared variable given, none that is not declared, values never interpreted."""

from collections.abc import Mapping

from regalia.core import templates
from regalia.core.errors import RenderError
from regalia.core.kinds.prompt import PromptConfig


def render(prompt: PromptConfig, values: Mapping[str, object]) -> str:
    """Render a text prompt.

    Raises:
        RenderError: A variable is missing or unknown, or the prompt is a chat prompt.
    """
    if prompt.template is None:
        raise RenderError(f'"{prompt.name}" is a chat prompt', hint=f'use prompt("{prompt.name}").messages(…)')
    return templates.render(prompt.template_format, prompt.template, bind(prompt, values))


def messages(prompt: PromptConfig, values: Mapping[str, object]) -> list[dict[str, str]]:
    """Render a prompt as chat messages; a text prompt is one message of the user.

    Raises:
        RenderError: A variable is missing or unknown.
    """
    if prompt.template is not None:
        return [{"role": "user", "content": render(prompt, values)}]
    bound = bind(prompt, values)
    return [
        {"role": message.role, "content": templates.render(prompt.template_format, message.content, bound)}
        for message in prompt.messages
    ]


def bind(prompt: PromptConfig, values: Mapping[str, object]) -> dict[str, object]:
    """Check the values against the declared variables and fill in defaults.

    Raises:
        RenderError: A required variable is missing, or a value has no variable; all of them are named.
    """
    declared = {variable.name: variable for variable in prompt.variables}
    roots = {name.partition(".")[0] for name in declared}
    unknown = [name for name in values if name not in declared and name not in roots]
    missing = [
        name
        for name, variable in declared.items()
        if variable.required and variable.default is None and name not in values and not _is_within(name, values)
    ]
    if unknown or missing:
        raise RenderError(_complaint(prompt.name, missing, unknown), hint=f"its variables are: {', '.join(declared)}")
    defaults = {name: variable.default for name, variable in declared.items() if name not in values}
    optional = {name: "" if default is None else default for name, default in defaults.items()}
    return {**{name: value for name, value in optional.items() if not _is_within(name, values)}, **values}


def _is_within(name: str, values: Mapping[str, object]) -> bool:
    """Say whether a dotted name is reached through a mapping that was given."""
    root, dot, _ = name.partition(".")
    return bool(dot) and isinstance(values.get(root), Mapping)


def _complaint(name: str, missing: list[str], unknown: list[str]) -> str:
    told = []
    if missing:
        told.append("misses " + _quoted(missing))
    if unknown:
        told.append("does not know " + _quoted(unknown))
    return f'the prompt "{name}" {" and ".join(told)}'


def _quoted(names: list[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)
