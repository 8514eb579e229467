"""Values in templates: what has a text, how a dotted name finds one, and how long a result may get."""

from collections.abc import Iterable, Mapping
from decimal import Decimal

from regalia.core.errors import RenderError

MAX_OUTPUT = 4 * 1024 * 1024  # characters; a short template can ask for far more

# A name, or names joined by dots. Possessive, so that no input makes the engine try twice.
NAME = r"[^\W\d]\w*+(?:\.[^\W\d]\w*+)*+"


def text_of(name: str, value: object) -> str:
    """Give a value's text.

    Raises:
        RenderError: Its type has no one text.
    """
    if not isinstance(value, str | int | float | Decimal):
        raise RenderError(f'the variable "{name}" is a {type(value).__name__}, expected a text or a number', hint=_HINT)
    try:
        return str(value)
    except ValueError as error:  # Python refuses to spell integers of thousands of digits
        raise RenderError(f'the variable "{name}" is a number of too many digits', hint="pass it as text") from error


def find(name: str, values: Mapping[str, object]) -> object:
    """Find a name's value: its exact spelling first, else along its dots through mappings, never attributes.

    Raises:
        RenderError: There is none.
    """
    if name in values:
        return values[name]
    found: object = values
    for part in name.split("."):
        if not isinstance(found, Mapping) or part not in found:
            raise RenderError(f'the variable "{name}" has no value', hint=f"pass {name.partition('.')[0]}=…")
        found = found[part]
    return found


def check_plain(name: str, value: object) -> None:
    """Refuse a value that is more than texts, numbers, lists and mappings: its methods would be the template's to call.

    Raises:
        RenderError: It is, or holds, anything else.
    """
    seen, waiting = set[int](), [value]
    while waiting:
        current = waiting.pop()
        if current is None or isinstance(current, str | int | float | Decimal) or id(current) in seen:
            continue
        if not isinstance(current, Mapping | list | tuple):
            raise RenderError(f'the variable "{name}" holds a {type(current).__name__}', hint=_HINT)
        seen.add(id(current))
        waiting.extend([*current.keys(), *current.values()] if isinstance(current, Mapping) else current)


def is_known(name: str, values: Mapping[str, object]) -> bool:
    """Say whether the values are about this name."""
    return name in values or name.partition(".")[0] in values


def each_once(names: Iterable[str]) -> tuple[str, ...]:
    """Drop repetitions, keep the order."""
    return tuple(dict.fromkeys(names))


def joined(pieces: Iterable[str]) -> str:
    """Join a result piece by piece, and stop where it gets too long.

    Raises:
        RenderError: It has more than `MAX_OUTPUT` characters.
    """
    kept: list[str] = []
    length = 0
    for piece in pieces:
        length += len(piece)
        if length > MAX_OUTPUT:
            raise RenderError(f"the rendered prompt has more than {MAX_OUTPUT} characters")
        kept.append(piece)
    return "".join(kept)


_HINT = 'turn it into text first: json.dumps(value), ", ".join(value), or "" where nothing is meant'
