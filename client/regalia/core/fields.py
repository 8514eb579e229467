"""Typed reading of parsed documents: every field is there with its type, or the error names it."""

from collections.abc import Callable
from datetime import datetime
from typing import TypeVar

from regalia.core import times
from regalia.core.errors import DocumentError, TooLargeError
from regalia.core.strict_json import MAX_INTEGER, JsonObject, JsonValue
from regalia.core.values import frozen

Parsed = TypeVar("Parsed")


@frozen
class Fields:
    """A JSON object and what to call it in an error; unknown fields are ignored, null is never a value."""

    raw: JsonObject
    what: str

    def has(self, name: str) -> bool:
        """Say whether the field is there."""
        return name in self.raw

    def text(self, name: str, *, max_characters: int = 65_536) -> str:
        """Get a text."""
        value = self._get(name)
        if not isinstance(value, str):
            raise self._wrong(name, "a text")
        if len(value) > max_characters:
            raise TooLargeError(f'"{name}" in {self.what} has {len(value)} characters, the cap is {max_characters}')
        return value

    def exactly(self, name: str, expected: str) -> None:
        """Check a field that has one allowed text."""
        if (value := self._get(name)) != expected:
            raise DocumentError(f'"{name}" in {self.what} is {str(value)[:120]!r}, expected {expected!r}')

    def integer(self, name: str, *, minimum: int = 0, maximum: int = MAX_INTEGER) -> int:
        """Get an integer within bounds, both included; a boolean is none."""
        value = self._get(name)
        if not isinstance(value, int) or isinstance(value, bool):
            raise self._wrong(name, "an integer")
        if not minimum <= value <= maximum:
            raise DocumentError(f'"{name}" in {self.what} is {value}, expected {minimum} to {maximum}')
        return value

    def boolean(self, name: str) -> bool:
        """Get a boolean."""
        value = self._get(name)
        if not isinstance(value, bool):
            raise self._wrong(name, "true or false")
        return value

    def time(self, name: str) -> datetime:
        """Get a time, spelled `YYYY-MM-DDTHH:MM:SSZ`."""
        return times.parse(self.text(name, max_characters=20), what=f'"{name}" in {self.what}')

    def child(self, name: str) -> "Fields":
        """Get an object."""
        value = self._get(name)
        if not isinstance(value, dict):
            raise self._wrong(name, "an object")
        return Fields(value, f'"{name}" in {self.what}')

    def children(self, name: str, *, maximum: int) -> list["Fields"]:
        """Get an array of objects."""
        found = []
        for place, value in enumerate(self.array(name, maximum=maximum)):
            if not isinstance(value, dict):
                raise self._wrong(f"{name}[{place}]", "an object")
            found.append(Fields(value, f'"{name}[{place}]" in {self.what}'))
        return found

    def texts(self, name: str, *, maximum: int) -> tuple[str, ...]:
        """Get an array of texts."""
        found = []
        for place, value in enumerate(self.array(name, maximum=maximum)):
            if not isinstance(value, str):
                raise self._wrong(f"{name}[{place}]", "a text")
            found.append(value)
        return tuple(found)

    def array(self, name: str, *, maximum: int) -> list[JsonValue]:
        """Get an array of at most `maximum` values."""
        value = self._get(name)
        if not isinstance(value, list):
            raise self._wrong(name, "an array")
        if len(value) > maximum:
            raise TooLargeError(f'"{name}" in {self.what} has {len(value)} entries, the cap is {maximum}')
        return value

    def optional(self, name: str, get: Callable[[str], Parsed]) -> Parsed | None:
        """Get a field by the given getter, or None where it is absent."""
        return get(name) if self.has(name) else None

    def _get(self, name: str) -> JsonValue:
        if name not in self.raw:
            raise DocumentError(f'{self.what} has no "{name}"')
        return self.raw[name]

    def _wrong(self, name: str, expected: str) -> DocumentError:
        return DocumentError(f'"{name}" in {self.what} is not {expected}')
