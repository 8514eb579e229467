"""The schema of JSONL that says nothing about itself: what all rows together are."""

from uuid import UUID

from regalia.core.errors import DocumentError
from regalia.core.kinds.snapshot import VectorSpace
from regalia_registry.adapters.vectors.files.form import Head
from regalia_registry.domain.snapshots.schema import MAX_PROPERTIES, Family, KeyKind, Property, Schema
from regalia_registry.domain.snapshots.translation import KEY_NAMES

VECTOR, VECTORS, DEFAULT = "vector", "vectors", "default"

_EXACT = 2**53  # beyond it, a float64 is not every integer
_TYPES = {str: "text", bool: "boolean", int: "int", float: "number"}
_KEY_TYPES = {KeyKind.UUID: "uuid", KeyKind.INTEGER: "int", KeyKind.TEXT: "text"}
_EMPTY, _LARGE = "empty", "large int"


class Guess:
    """Looks at every row once."""

    def __init__(self) -> None:
        """Know nothing yet."""
        self._key: str | None = None
        self._kinds: set[KeyKind] = set()
        self._dims: dict[str, int] = {}
        self._types: dict[str, set[str]] = {}

    def add(self, line: dict[str, object], number: int) -> None:
        """Take a row.

        Raises:
            DocumentError: It has more properties than a collection has.
        """
        if self._key is None:
            self._key = next((name for name in KEY_NAMES if name in line), "")
        for name, value in line.items():
            if name == self._key:
                self._kinds.add(_key_kind(value))
            elif name == VECTOR:
                self._vector(DEFAULT, value)
            elif name == VECTORS and isinstance(value, dict):
                for one, numbers in value.items():
                    self._vector(one, numbers)
            elif name != VECTORS and value is not None:
                self._types.setdefault(name, set()).add(_type(value))
        if len(self._types) > MAX_PROPERTIES:
            raise DocumentError(f"up to line {number} the rows have more than {MAX_PROPERTIES} properties")

    def schema(self, head: Head) -> tuple[Schema, list[str]]:
        """Give what the rows are, and why they can't be a snapshot."""
        refusals = []
        if not self._key:
            refusals.append('its first row has no key: name it "id" or "key"')
        if not self._dims:
            refusals.append('no row has a vector: {"vectors": {"body": [0.1, …]}} or {"vector": [0.1, …]}')
        kind = _one_kind(self._kinds)
        if kind is None:
            refusals.append(f'its keys "{self._key}" are of several kinds: all integers or all text are needed')
        made = kind or KeyKind.TEXT
        schema = Schema(
            Family.FILES,
            Property(self._key or "", _KEY_TYPES[made]),
            made,
            tuple(VectorSpace(name, dims, head.metric(name)) for name, dims in sorted(self._dims.items())),
            tuple(Property(name, _one_type(types)) for name, types in sorted(self._types.items())),
            {},
        )
        return schema, refusals

    def _vector(self, name: str, value: object) -> None:
        """Take the dimensions of the first; whatever differs from it is refused when it is read."""
        if isinstance(value, list) and value:
            self._dims.setdefault(name, len(value))


def _key_kind(value: object) -> KeyKind:
    if isinstance(value, int) and not isinstance(value, bool):
        return KeyKind.INTEGER
    try:
        return KeyKind.UUID if isinstance(value, str) and str(UUID(value)) == value else KeyKind.TEXT
    except ValueError:
        return KeyKind.TEXT


def _one_kind(kinds: set[KeyKind]) -> KeyKind | None:
    """Join what the keys are: text that is nearly always a UUID is text."""
    if KeyKind.INTEGER in kinds:
        return KeyKind.INTEGER if len(kinds) == 1 else None
    return KeyKind.UUID if kinds == {KeyKind.UUID} else KeyKind.TEXT


def _type(value: object) -> str:
    """Name a value's type; what is nested deeper than an array of plain values is JSON."""
    if isinstance(value, list):
        return f"{_one_type(set(map(_plain, value)))}[]" if value else _EMPTY
    return _plain(value)


def _plain(value: object) -> str:
    if type(value) is int and not -_EXACT <= value <= _EXACT:
        return _LARGE
    return _TYPES.get(type(value), "json")


def _one_type(types: set[str]) -> str:
    """Join the types of a property's values: what has none in common is JSON."""
    left = types - {_EMPTY}
    if _EMPTY in types:
        return next(iter(left)) if len(left) == 1 and all(one.endswith("[]") for one in left) else "json"
    if types <= {"int", _LARGE}:
        return "int"
    if types == {"int", "number"}:
        return "number"
    return next(iter(types)) if len(types) == 1 else "json"
