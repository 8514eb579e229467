"""Our documents as JSON: one writer, so that equal inputs give equal digests, and one strict parser.

The parser refuses what two readers could read in two ways.
"""

import json
import math
from typing import NoReturn, TypeAlias

from regalia.core.errors import DocumentError, TooLargeError

JsonValue: TypeAlias = "bool | int | float | str | list[JsonValue] | dict[str, JsonValue] | None"
JsonObject: TypeAlias = dict[str, JsonValue]

MAX_DEPTH = 32
MAX_INTEGER = 2**53 - 1  # RFC 7493 2.2: beyond it, readers that use doubles disagree


def parse_object(body: bytes, *, what: str, max_bytes: int) -> JsonObject:
    """Parse one of our documents strictly; its top is an object.

    Refused: more than `max_bytes`, anything but UTF-8 without a byte-order mark, duplicate keys, numbers that are
    not finite or not exact, lone surrogates, U+0000, more than 32 levels.

    Raises:
        TooLargeError: The body is over the cap; it was not parsed.
        DocumentError: It is not strict JSON, or not an object.
    """
    value = parse(body, what=what, max_bytes=max_bytes)
    if not isinstance(value, dict):
        raise DocumentError(f"{what} is a JSON {_kind_of(value)}, expected an object")
    return value


def parse(body: bytes, *, what: str, max_bytes: int) -> JsonValue:
    """Parse any JSON value under the rules of `parse_object`."""
    if len(body) > max_bytes:
        raise TooLargeError(f"{what} has {len(body)} bytes, the cap is {max_bytes}")
    if body.startswith(b"\xef\xbb\xbf"):
        raise DocumentError(f"{what} starts with a byte-order mark, expected plain UTF-8")
    try:
        value: JsonValue = json.loads(
            body.decode("utf-8"), object_pairs_hook=_object_without_duplicates, parse_constant=_refuse_constant
        )
    except UnicodeDecodeError as error:
        raise DocumentError(f"{what} is not UTF-8 at byte {error.start}") from error
    except RecursionError as error:
        raise DocumentError(f"{what} is nested deeper than {MAX_DEPTH} levels") from error
    except ValueError as error:  # json's own complaint, a number of too many digits, or one of our hooks
        raise DocumentError(f"{what} is not strict JSON: {error}") from error
    _check(value, what=what, depth=1)
    return value


def write(value: JsonValue) -> bytes:
    """Write a document: sorted keys, no white space, UTF-8; equal inputs give equal bytes.

    Raises:
        DocumentError: A number or string that strict JSON doesn't have, or more than 32 levels.
    """
    _check(value, what="the document", depth=1)
    text = json.dumps(
        _without_negative_zero(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
    return text.encode("utf-8")


def _object_without_duplicates(pairs: list[tuple[str, JsonValue]]) -> JsonObject:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        duplicate = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {duplicate[:80]!r} stands twice in one object")
    return found


def _refuse_constant(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no finite number")


def _check(value: JsonValue, *, what: str, depth: int) -> None:
    """Refuse what the grammar allows and two readers could read two ways."""
    if isinstance(value, str):
        _check_text(value, what=what)
    elif isinstance(value, dict | list):
        if depth > MAX_DEPTH:
            raise DocumentError(f"{what} is nested deeper than {MAX_DEPTH} levels")
        _check_children(value, what=what, depth=depth + 1)
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise DocumentError(f"{what} holds a number that is not finite")
    elif isinstance(value, int):
        if not -MAX_INTEGER <= value <= MAX_INTEGER:
            raise DocumentError(f"{what} holds an integer beyond ±(2^53-1)", hint="write it as text")
    elif value is not None:
        raise DocumentError(f"{what} holds a {type(value).__name__}, which JSON has no form for")


def _check_children(value: JsonObject | list[JsonValue], *, what: str, depth: int) -> None:
    if isinstance(value, list):
        for child in value:
            _check(child, what=what, depth=depth)
        return
    for key, child in value.items():
        if not isinstance(key, str):
            raise DocumentError(f"{what} has a key that is no text: {key!r}")
        _check_text(key, what=what)
        _check(child, what=what, depth=depth)


def _check_text(text: str, *, what: str) -> None:
    if "\x00" in text:
        raise DocumentError(f"{what} holds U+0000 in a text")
    if text.isascii():
        return
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise DocumentError(f"{what} holds a lone surrogate in a text") from error


def _without_negative_zero(value: JsonValue) -> JsonValue:
    if isinstance(value, float):
        return value + 0.0  # IEEE 754: -0.0 + 0.0 is 0.0
    if isinstance(value, list):
        return [_without_negative_zero(child) for child in value]
    if isinstance(value, dict):
        return {key: _without_negative_zero(child) for key, child in value.items()}
    return value


def _kind_of(value: JsonValue) -> str:
    if value is None:
        return "null"
    if isinstance(value, list):
        return "array"
    return {bool: "boolean", int: "number", float: "number", str: "text"}.get(type(value), "object")
