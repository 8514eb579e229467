"""How much a template with logic may ask for: so many steps, and values no larger than a prompt.

A template comes from its author and runs in the agent: a loop in a loop, a text that doubles, or a pad of a billion
spaces would stop the agent. Every step and every value costs, and each rendering has one budget.
"""

import re
from collections.abc import Callable, Iterator, Mapping, MappingView, Sized
from decimal import Decimal
from itertools import islice
from types import GeneratorType

from regalia.core.errors import RenderError
from regalia.core.templates.values import MAX_OUTPUT

MAX_RANGE = 10_000
_MAX_WORK = 32 * 1024 * 1024
_MAX_BITS = 4096
_STEP = 64  # a step of the interpreter takes about as long as touching so many characters
_ELEMENT = 8
_AT_A_TIME = 16
_WIDTH = 1000  # a %999d or {:999} at most
_SCALARS = (float, Decimal, type(None))
_WIDE = r"[-#0 +]*+(?:\*|[0-9]{4}|[0-9]*+\.(?:\*|[0-9]{4}))"
_WIDE_PERCENT, _WIDE_NAMED_PERCENT = re.compile("%" + _WIDE), re.compile(r"\)" + _WIDE)
_WIDE_BRACES = re.compile(r"\{[^{}:]*+:[^{}]*?[0-9]{4}|\{[^{}]++\{")


class Work:
    """What is left of one rendering's budget."""

    def __init__(self) -> None:
        """Start with the whole budget."""
        self._left = _MAX_WORK

    def spend(self, amount: int) -> None:
        """Take from the budget.

        Raises:
            RenderError: There is not as much left.
        """
        self._left -= amount
        if self._left < 0:
            raise _too_much()

    def step(self, *values: object) -> None:
        """Spend a step, and the weight of the values that it reads."""
        self.spend(_STEP + sum(map(weight_of, values)))

    def counted(self, values: object) -> Iterator[object]:
        """Spend a step an element."""
        for value in values:  # type: ignore[attr-defined] # what can't be iterated says so itself
            self.spend(_STEP)
            yield value

    def weighed(self, value: object) -> object:
        """Give the value back, read in whole if it is made on demand, and spend its weight."""
        value = self.whole(value)
        self.step(value)
        return value

    def whole(self, value: object) -> object:
        """Read a value that is made on demand, as most filters give one."""
        if isinstance(value, GeneratorType | reversed):
            return list(islice(self.counted(value), MAX_OUTPUT))
        return value

    def compared(self, value: object) -> object:
        """Give the value back, and spend what comparing it takes: texts are compared many characters at a time."""
        self.spend(_STEP + (len(value) // _AT_A_TIME if isinstance(value, str) else weight_of(value)))
        return value

    def joined(self, values: object) -> str:
        """Give the texts of a list in one."""
        self.step(values)
        return "".join(map(str, values))  # type: ignore[call-overload] # only ever a list


def weight_of(value: object) -> int:
    """Count the characters and elements in a value.

    Raises:
        RenderError: They are more than a prompt can hold; a list that holds itself often is, too.
    """
    weight, waiting = 0, [value]
    while waiting:
        current = waiting.pop()
        if isinstance(current, str):
            weight += len(current)
        elif isinstance(current, list | tuple | set | frozenset):
            weight += _ELEMENT * len(current)
            if weight <= MAX_OUTPUT:
                waiting.extend(current)
        elif isinstance(current, int):
            weight += current.bit_length() // 4
        elif not isinstance(current, _SCALARS) and isinstance(current, Mapping | MappingView | range):
            weight += 2 * _ELEMENT * len(current)
            if weight <= MAX_OUTPUT and not isinstance(current, range):
                waiting.extend(current.items() if isinstance(current, Mapping) else current)  # type: ignore[arg-type] # dict's views
        if weight > MAX_OUTPUT:
            raise _too_much()
    return weight


def check_operation(operator: str, left: object, right: object) -> None:
    """Refuse an operator whose result would be out of bounds, before it is made."""
    if isinstance(left, int) and isinstance(right, int):
        _admit(_bits_of(operator, left, right), _MAX_BITS)
    elif operator == "*":
        _admit(_length_of(left) * _length_of(right), MAX_OUTPUT)
    elif operator == "%" and isinstance(left, str):
        check_growth("format", left, right)


def check_growth(name: str, *arguments: object, **named: object) -> None:
    """Refuse a filter or method of a text whose result would be out of bounds, before it is made."""
    if name in _GROWTH:
        _admit(_GROWTH[name](*arguments, **named), _MAX_WORK)


def _admit(size: int, limit: int) -> None:
    if size > limit:
        raise _too_much()


def _too_much() -> RenderError:
    return RenderError(
        "the template asks for too much work or too long a text",
        hint=f"a prompt has at most {MAX_OUTPUT} characters, a range at most {MAX_RANGE} numbers",
    )


def _bits_of(operator: str, left: int, right: int) -> int:
    if operator == "**":
        return left.bit_length() * abs(right)
    if operator == "*":
        return left.bit_length() + right.bit_length()
    return max(left.bit_length(), right.bit_length())


def _length_of(value: object) -> int:
    if isinstance(value, str | list | tuple):
        return len(value) * (1 if isinstance(value, str) else _ELEMENT)
    return value if isinstance(value, int) else 0


def _number(value: object) -> int:
    return abs(value) if isinstance(value, int) else len(str(value))


def _of_widths(*arguments: object, **named: object) -> int:
    widths = [abs(width) for width in (*arguments[1:], *named.values()) if isinstance(width, int)]
    return max(widths, default=0) * (_MAX_WORK // MAX_OUTPUT)


def _of_replace(text: object, old: object, new: object, *_: object, **__: object) -> int:
    return str(text).count(str(old)) * len(str(new))


def _of_join(values: object, d: object = "", *_: object, **__: object) -> int:
    return len(values) * len(str(d)) if isinstance(values, Sized) else 0


def _of_indent(text: object, width: object = 4, *_: object, **__: object) -> int:
    return (str(text).count("\n") + 1) * _number(width)


def _of_tojson(value: object, indent: object = None) -> int:
    return weight_of(value) * (0 if indent is None else _number(indent))


def _of_wordwrap(text: object, width: object = 79, *others: object, **named: object) -> int:
    longest = max(map(len, str(text).split()), default=0)  # textwrap cuts a long word by copying its rest each time
    wrap = max((len(other) for other in (*others, *named.values()) if isinstance(other, str)), default=1)
    return longest * longest // max(1, _number(width)) + len(str(text)) * wrap


def _of_percent(text: object, *arguments: object, **named: object) -> int:
    # a name in parentheses may hold parentheses, so that only its end is sure
    wide = _WIDE_PERCENT.search(str(text)) or ("%(" in str(text) and _WIDE_NAMED_PERCENT.search(str(text)))
    return _MAX_WORK + 1 if wide else str(text).count("%") * _of_field(arguments, named)


def _of_braces(text: object, *arguments: object, **named: object) -> int:
    wide = _WIDE_BRACES.search(str(text))
    return _MAX_WORK + 1 if wide else str(text).count("{") * _of_field(arguments, named)


def _of_field(arguments: tuple[object, ...], named: Mapping[str, object]) -> int:
    return _WIDTH + sum(map(weight_of, (*arguments, *named.values())))


def _of_sum(*arguments: object, **named: object) -> int:
    starts = (*arguments[2:], *(start for name, start in named.items() if name == "start"))
    return 0 if all(isinstance(start, int | float) for start in starts) else _MAX_WORK + 1  # lists are copied each time


_GROWTH: Mapping[str, Callable[..., int]] = {
    "batch": _of_widths,
    "center": _of_widths,
    "format": _of_percent,
    "indent": _of_indent,
    "join": _of_join,
    "ljust": _of_widths,
    "replace": _of_replace,
    "rjust": _of_widths,
    "round": _of_widths,
    "slice": _of_widths,
    "str.format": _of_braces,
    "sum": _of_sum,
    "tojson": _of_tojson,
    "truncate": _of_widths,
    "wordwrap": _of_wordwrap,
    "zfill": _of_widths,
}
