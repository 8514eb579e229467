"""Values of typed properties in their one spelling: what the families `files` and `weaviate` hash."""

import base64
import binascii
import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

from regalia.core.errors import DocumentError

_DATE = re.compile(r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?([Zz]|[+-]\d\d:\d\d)\Z", re.ASCII)

Normalise = Callable[[object], object]


def normaliser(type_name: str) -> Normalise:
    """Find how a type's values are spelled; `[]` after a type is an array of it.

    Raises:
        DocumentError: There is no such type.
    """
    if type_name.endswith("[]"):
        inner = normaliser(type_name.removesuffix("[]"))
        return lambda value: [inner(one) for one in _list(value)]
    found = _NORMALISERS.get(type_name)
    if found is None:
        raise DocumentError(f'there is no property type "{type_name[:40]}"', hint=f"one of {', '.join(_NORMALISERS)}")
    return found


def _list(value: object) -> list[object]:
    if not isinstance(value, list | tuple):
        raise _wrong(value, "an array")
    return list(value)


def _text(value: object) -> object:
    if not isinstance(value, str):
        raise _wrong(value, "text")
    return value


def _int(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, int):
        raise _wrong(value, "an integer")
    return value


def _number(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _wrong(value, "a number")
    try:
        number = float(value)
    except OverflowError as error:
        raise _wrong(value, "a number of 64 bits") from error
    if not math.isfinite(number):
        raise _wrong(value, "a finite number")
    return number


def _boolean(value: object) -> object:
    if not isinstance(value, bool):
        raise _wrong(value, "true or false")
    return value


def _date(value: object) -> object:
    """Spell a moment as RFC 3339 in UTC with up to nine fraction digits."""
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise _wrong(value, "a date with its offset")
        value = value.isoformat()
    matched = _DATE.match(value) if isinstance(value, str) else None
    if matched is None:
        raise _wrong(value, "a date as RFC 3339 with its offset")
    day, time, fraction, offset = matched.groups()
    try:
        moment = datetime.fromisoformat(f"{day}T{time}").replace(tzinfo=_zone(offset)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise _wrong(value, "a date between the years 1 and 9999") from error
    kept = (fraction or "").rstrip("0")
    return f"{moment.year:04}{moment:-%m-%dT%H:%M:%S}{'.' + kept if kept else ''}Z"


def _zone(offset: str) -> timezone:
    if offset in {"Z", "z"}:
        return UTC
    hours, minutes = offset[1:].split(":")
    away = timedelta(hours=int(hours), minutes=int(minutes))
    return timezone(-away if offset.startswith("-") else away)


def _uuid(value: object) -> object:
    try:
        return str(value if isinstance(value, UUID) else UUID(str(value)))
    except ValueError as error:
        raise _wrong(value, "a UUID") from error


def _bytes(value: object) -> object:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    try:
        return base64.b64encode(base64.b64decode(str(value), validate=True)).decode("ascii")
    except (ValueError, binascii.Error) as error:
        raise _wrong(value, "bytes, or base64 of them") from error


def _json(value: object) -> object:
    """Keep any JSON: an object's null stays, since engines tell it from an absent key."""
    if isinstance(value, Mapping):
        return {_text(name): _json(child) for name, child in value.items()}
    if isinstance(value, list | tuple):
        return [_json(child) for child in value]
    if isinstance(value, float):
        return _number(value)
    if value is None or isinstance(value, str | int):
        return value
    raise _wrong(value, "JSON")


def _wrong(value: object, expected: str) -> DocumentError:
    return DocumentError(f"{str(value)[:60]!r} is not {expected}")


_NORMALISERS: dict[str, Normalise] = {
    "text": _text,
    "int": _int,
    "number": _number,
    "boolean": _boolean,
    "date": _date,
    "uuid": _uuid,
    "bytes": _bytes,
    "json": _json,
}

TYPES = frozenset(_NORMALISERS)
