"""`{{x}}` without logic (`curly`): a name with a value is replaced, everything else stays."""

import re
from collections.abc import Iterator, Mapping

from regalia.core.templates.values import NAME, each_once, find, is_known, joined, text_of

_VARIABLE = re.compile(r"\{\{\s*+(" + NAME + r")\s*+\}\}")
_SINGLE = re.compile(r"(?<!\{)\{(" + NAME + r")\}(?!\})")
_LOGIC = re.compile(r"\{%[-+]?\s*+[a-z]|\{\{[#/^>!&]")


def variables_of(template: str) -> tuple[str, ...]:
    """List the names in double braces."""
    return each_once(found.group(1) for found in _VARIABLE.finditer(template))


def warnings_of(template: str) -> tuple[str, ...]:
    """List single braces and logic, which stay as text."""
    warnings = []
    if found := _SINGLE.search(template):
        name = found.group(1)[:80]
        warnings.append(f'"{{{name}}}" is text in a curly prompt; a variable is "{{{{{name}}}}}"')
    if found := _LOGIC.search(template):
        warnings.append(f'"{found.group()}" is text in a curly prompt; it is logic in another template format')
    return tuple(warnings)


def check(template: str) -> None:
    """Accept every text: what is no variable stays as it is."""


def render(template: str, values: Mapping[str, object]) -> str:
    """Replace the names that have a value."""
    return joined(_pieces(template, values))


def _pieces(template: str, values: Mapping[str, object]) -> Iterator[str]:
    end = 0
    for found in _VARIABLE.finditer(template):
        name = found.group(1)
        yield template[end : found.start()]
        yield text_of(name, find(name, values)) if is_known(name, values) else found.group()
        end = found.end()
    yield template[end:]
