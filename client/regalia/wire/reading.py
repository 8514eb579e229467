"""Reading answers: a dataclass's fields are filled from JSON by their types; unknown fields are ignored."""

from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import TypeVar, Union, get_args, get_origin, get_type_hints

from regalia.core.errors import DocumentError
from regalia.core.strict_json import JsonValue, parse_object

MAX_ANSWER = 4 * 1024 * 1024

Answer = TypeVar("Answer")
Listed = TypeVar("Listed")


def read(kind: type[Answer], body: bytes) -> Answer:
    """Read an answer's body.

    Raises:
        DocumentError: It is not the JSON of this class.
    """
    return _object(kind, parse_object(body, what="the registry's answer", max_bytes=MAX_ANSWER))


def read_page(kind: type[Listed], body: bytes) -> tuple[list[Listed], str | None]:
    """Read a page of a list: its entries, and where the next page starts."""
    page = parse_object(body, what="the registry's answer", max_bytes=MAX_ANSWER)
    entries, following = page.get("items"), page.get("next")
    if not isinstance(entries, list) or not isinstance(following, str | None):
        raise DocumentError("the registry's answer is no page")
    return [_object(kind, entry) for entry in entries], following


def _object(kind: type[Answer], value: JsonValue) -> Answer:
    if not isinstance(value, dict):
        raise DocumentError(f"the registry's answer has no {kind.__name__} where one was expected")
    found = {}
    for name, hint, is_required in _shape(kind):  # type: ignore[arg-type] # mypy does not see that classes hash
        if name in value:
            found[name] = _value(hint, value[name], f"{kind.__name__}.{name}")
        elif is_required:
            raise DocumentError(f'the registry\'s answer has no "{name}" in {kind.__name__}')
    return kind(**found)


@cache
def _shape(kind: type) -> tuple[tuple[str, object, bool], ...]:
    if not is_dataclass(kind):
        raise TypeError(f"{kind} is no dataclass")
    hints = get_type_hints(kind)
    return tuple(
        (field.name, hints[field.name], field.default is MISSING and field.default_factory is MISSING)
        for field in fields(kind)
    )


def _value(hint: object, value: JsonValue, place: str) -> object:
    origin = get_origin(hint)
    if origin in {Union, UnionType}:
        choices = [choice for choice in get_args(hint) if choice is not NoneType]
        return None if value is None else _value(choices[0], value, place)
    if origin in {list, tuple}:
        if not isinstance(value, list):
            raise DocumentError(f"{place} in the registry's answer is no array")
        entries = [_value(get_args(hint)[0], entry, place) for entry in value]
        return entries if origin is list else tuple(entries)
    if origin is dict or hint is dict:
        if not isinstance(value, dict):
            raise DocumentError(f"{place} in the registry's answer is no object")
        return value
    if isinstance(hint, type) and is_dataclass(hint):
        return _object(hint, value)
    if not isinstance(hint, type) or type(value) is not hint:
        raise DocumentError(f"{place} in the registry's answer is not {getattr(hint, '__name__', hint)}")
    return value
