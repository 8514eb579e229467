"""`{x}` as in Python's f-strings (`fstring`), but forgiving: braces that mean nothing stay as they are.

Prompts are full of JSON and LaTeX, and their authors escape it in some places and forget it in others. So `{name}` is a
variable, `{{` and `}}` are one brace each where they pair up around balanced text, and every other brace is itself.
"""

import re
from collections.abc import Iterator, Mapping
from itertools import zip_longest

from regalia.core.templates.values import NAME, each_once, find, joined, text_of
from regalia.core.values import frozen

_TOKEN = re.compile(r"\{\{|\{(?P<name>" + NAME + r")\}|[{}]")
_CURLY = re.compile(r"(?<!\{)\{\{\s*+(" + NAME + r")\s*+\}\}(?!\})")
_LOGIC = re.compile(r"\{%[-+]?\s*+[a-z]")
_ALMOST = re.compile(
    r"(?<!\{)\{(?:\s++" + NAME + r"\s*+|" + NAME + r"(?:\s++|![rsa](?::[^{}\s\"']*+)?|:[^{}\s\"']++))\}"
)


@frozen
class _Piece:
    """Text as it is printed, or a variable's name."""

    text: str
    is_variable: bool = False


def variables_of(template: str) -> tuple[str, ...]:
    """List the names in single braces."""
    return each_once(piece.text for piece in _pieces(template) if piece.is_variable)


def warnings_of(template: str) -> tuple[str, ...]:
    """List what another engine, or Python, would read otherwise."""
    warnings = []
    if found := _CURLY.search(template):
        warnings.append(
            f'"{found.group()[:80]}" is the text "{{{found.group(1)[:80]}}}" in an fstring prompt; '
            "where a value is meant, state template_format: curly or jinja2"
        )
    if found := _LOGIC.search(template):
        warnings.append(f'"{found.group()}" is text in an fstring prompt; state template_format: jinja2 for logic')
    if found := _ALMOST.search(template):
        warnings.append(f'"{found.group()[:80]}" is text; a variable is a name alone in braces')
    tokens = list(_TOKEN.finditer(template))
    escapes = _escapes(tokens)
    alone = [token.start() for token in tokens if token.group() == "{{" and token.start() not in escapes]
    if alone and escapes:
        line = template.count("\n", 0, alone[0]) + 1
        warnings.append(
            f'"{{{{" in line {line} has no "}}}}" of its own and stays two braces, while others are escapes'
        )
    return tuple(warnings)


def check(template: str) -> None:
    """Accept every text: what is no variable stays as it is."""


def render(template: str, values: Mapping[str, object]) -> str:
    """Replace every variable."""
    return joined(
        text_of(piece.text, find(piece.text, values)) if piece.is_variable else piece.text
        for piece in _pieces(template)
    )


def _pieces(template: str) -> Iterator[_Piece]:
    tokens = list(_TOKEN.finditer(template))
    escapes = _escapes(tokens)
    end = 0
    for token in tokens:
        start = token.start()
        if start < end:  # the second half of a "}}" that was read as one
            continue
        if token.group("name") is not None:
            yield _Piece(template[end:start])
            yield _Piece(token.group("name"), is_variable=True)
            end = token.end()
        elif start in escapes:
            yield _Piece(template[end : start + 1])
            end = start + 2
    yield _Piece(template[end:])


def _escapes(tokens: list[re.Match[str]]) -> set[int]:
    """Find where a `{{` and its `}}` start, in one pass: an open brace is closed by the next that is left over."""
    found, opened = set[int](), list[tuple[int, int]]()  # where it opened, and how many braces wide
    skip = -1
    for token, following in zip_longest(tokens, tokens[1:]):
        start, text = token.start(), token.group()
        if text in {"{{", "{"}:
            opened.append((start, len(text)))
        if text != "}" or start == skip or not opened:
            continue
        place, width = opened.pop()
        if width == 2 and following is not None and following.group() == "}" and following.start() == start + 1:
            found |= {place, start}
            skip = start + 1
        elif width == 2:  # two braces of their own: this one closes the inner
            opened.append((place, 1))
    return found
