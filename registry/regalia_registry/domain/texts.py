"""Texts that our own readers of JSON refuse: named when they come in, made readable where they go out."""

import re

from regalia.core.errors import InvalidError
from regalia.core.strict_json import JsonObject, JsonValue

_UNREADABLE = re.compile(r"[\x00\ud800-\udfff]")
_REPLACEMENT = "\ufffd"


def check_text(text: str, *, what: str) -> None:
    """Refuse U+0000 and lone surrogates: a list that held one could not be read.

    Raises:
        InvalidError: There is one in it.
    """
    if _UNREADABLE.search(text):
        raise InvalidError(f"{what} holds U+0000, or half of a surrogate pair", hint="leave it out")


def readable_text(text: str) -> str:
    """Replace U+0000 and lone surrogates, and nothing else."""
    return _UNREADABLE.sub(_REPLACEMENT, text)


def readable(value: JsonObject) -> JsonObject:
    """Make all texts of a document readable, its names included."""
    return {readable_text(name): _readable(child) for name, child in value.items()}


def _readable(value: JsonValue) -> JsonValue:
    if isinstance(value, str):
        return readable_text(value)
    if isinstance(value, list):
        return [_readable(child) for child in value]
    return readable(value) if isinstance(value, dict) else value
