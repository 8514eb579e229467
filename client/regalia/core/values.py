"""Values: frozen, slotted and compared by content, as `dataclass(frozen=True, slots=True)` makes them.

The standard decorator writes and compiles six methods for every class, 0.4 ms each time, and an agent meets sixty
classes before its first bundle. Here the classes share their methods; type checkers read dataclasses (PEP 681).
"""

from collections.abc import Callable
from operator import attrgetter
from typing import Any, TypeVar, dataclass_transform, overload

Value = TypeVar("Value")

_FIELDS = "__value_fields__"
_CONTENT = "__value_content__"
_HASHED = "__value_hashed__"
_ABSENT: Any = object()


class Field:
    """One field: its name, its default, and whether `repr` and `hash` look at it."""

    __slots__ = ("default", "default_factory", "has_hash", "has_repr", "name", "write")

    def __init__(self, default: object, default_factory: Callable[[], object] | None, has: tuple[bool, bool]) -> None:
        """Describe; the decorator adds `name`, and `write` for the frozen slot."""
        self.name = ""
        self.default = default
        self.default_factory = default_factory
        self.has_repr, self.has_hash = has
        self.write: Callable[[object, object], None]

    def absent(self) -> object:
        """Give what stands where no value was given; `_ABSENT` where one must be."""
        return self.default if self.default_factory is None else self.default_factory()


def field(
    *, default: Any = _ABSENT, default_factory: Callable[[], Any] | None = None, repr: bool = True, hash: bool = True
) -> Any:  # what type checkers expect of a field specifier
    """Describe a field further; the arguments are those of `dataclasses.field`."""
    return Field(default, default_factory, (repr, hash))


@overload
def frozen(cls: type[Value], /) -> type[Value]: ...
@overload
def frozen(*, order: bool) -> Callable[[type[Value]], type[Value]]: ...
@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def frozen(cls: type[Value] | None = None, /, *, order: bool = False) -> object:
    """Make a class's values frozen and slotted; `order` compares them field by field.

    A method that the class defines itself stays; `__post_init__` is called last.
    """
    if cls is None:
        return lambda made: _made(made, _METHODS | _ORDER if order else _METHODS)
    return _made(cls, _METHODS)


def replace(value: Value, /, **changes: object) -> Value:
    """Give a value with some fields changed, validated as any."""
    return type(value)(**{**{one.name: getattr(value, one.name) for one in fields(value)}, **changes})


def fields(value: object) -> tuple[Field, ...]:
    """List the fields of a value, or of a class of values; empty for anything else."""
    found: tuple[Field, ...] = getattr(value, _FIELDS, ())
    return found


def _made(cls: type[Value], methods: dict[str, object]) -> type[Value]:
    """Make the class anew: slots can't be added to one that exists."""
    names = tuple(cls.__annotations__)
    body = {name: given for name, given in vars(cls).items() if name not in {"__dict__", "__weakref__"}}
    described = [_described(name, body.pop(name, _ABSENT)) for name in names]
    body |= {"__slots__": names, "__match_args__": names, _FIELDS: tuple(described), _CONTENT: attrgetter(*names)}
    body[_HASHED] = attrgetter(*(one.name for one in described if one.has_hash))
    made: Any = type(cls.__name__, cls.__bases__, {**methods, **body})
    made.__qualname__ = cls.__qualname__
    for one in described:
        one.write = getattr(made, one.name).__set__
    return made  # type: ignore[no-any-return] # the class it was, with slots


def _described(name: str, given: object) -> Field:
    described = given if isinstance(given, Field) else Field(given, None, (True, True))
    described.name = name
    return described


def _init(self: object, /, *values: object, **named: object) -> None:
    described = fields(self)
    if len(values) > len(described):
        raise TypeError(f"{type(self).__name__}() takes {len(described)} values, got {len(values)}")
    for one, value in zip(described, values, strict=False):
        one.write(self, value)
    for one in described[len(values) :]:
        value = named.pop(one.name) if one.name in named else one.absent()
        if value is _ABSENT:
            raise TypeError(f'{type(self).__name__}() misses "{one.name}"')
        one.write(self, value)
    if named:
        raise TypeError(f"{type(self).__name__}() has no such field, or got it twice: {', '.join(named)}")
    check = getattr(self, "__post_init__", None)
    if check is not None:
        check()


def _eq(self: Any, other: object) -> object:
    content = self.__value_content__
    return content(self) == content(other) if type(other) is type(self) else NotImplemented


def _lt(self: Any, other: object) -> object:
    content = self.__value_content__
    return content(self) < content(other) if type(other) is type(self) else NotImplemented


def _le(self: Any, other: object) -> object:
    content = self.__value_content__
    return content(self) <= content(other) if type(other) is type(self) else NotImplemented


def _hash(self: Any) -> int:
    return hash(self.__value_hashed__(self))


def _repr(self: object) -> str:
    shown = ", ".join(f"{one.name}={getattr(self, one.name)!r}" for one in fields(self) if one.has_repr)
    return f"{type(self).__qualname__}({shown})"


def _refuse(self: object, name: str, _: object = None) -> None:
    raise AttributeError(f'{type(self).__name__} is frozen: "{name}" can\'t be set')


def _reduce(self: object) -> tuple[object, ...]:
    return type(self), tuple(getattr(self, one.name) for one in fields(self))


_METHODS: dict[str, object] = {
    "__init__": _init,
    "__eq__": _eq,
    "__hash__": _hash,
    "__repr__": _repr,
    "__setattr__": _refuse,
    "__delattr__": _refuse,
    "__reduce__": _reduce,
}
_ORDER: dict[str, object] = {"__lt__": _lt, "__le__": _le}  # > and >= are these, seen from the other side
