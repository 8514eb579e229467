"""Prompts as plain text, Markdown (with front matter, where it has some) and Jinja2: the engine goes by the suffix."""

import re

from regalia import strict_yaml
from regalia.core.names import Kind
from regalia.core.strict_json import JsonObject
from regalia.sources.drafts import Format, Read, Source
from regalia.sources.prompts import Fields, read_prompt

_JINJA = frozenset({".jinja", ".jinja2", ".j2"})
_FRONT = re.compile(r"---[ \t]*\n(.*?\n|)---[ \t]*\n", re.DOTALL)


def _read(source: Source) -> Read:
    text = strict_yaml.decode(source.body, what=source.what).replace("\r\n", "\n").replace("\r", "\n")
    values: JsonObject = {}
    document = None
    front = _FRONT.match(text) if source.suffix == ".md" else None
    if front is not None:
        values, document = strict_yaml.parse_object(front.group(1).encode("utf-8") or b"{}", what=source.what)
        text = text[front.end() :]
    return read_prompt(source, Fields({**values, "template": text}, document), template_format=_engine(source, values))


def _engine(source: Source, values: JsonObject) -> str:
    """Take plain text literally unless variables are declared: a brace in it may be only a brace."""
    if source.suffix in _JINJA:
        return "jinja2"
    declares = values.get("variables") is not None or source.entry.options.get("variables") is not None
    return "fstring" if declares else "none"


FORMAT = Format(Kind.PROMPT, frozenset({".txt", ".md", *_JINJA}), _read)
