"""Order of versions, and ranges as npm users read them: `^ ~ >= < x`, sets joined by spaces, `||`."""

import re
from collections.abc import Iterable
from enum import StrEnum
from functools import total_ordering
from typing import Self

import semver

from regalia.core.errors import InvalidVersionError
from regalia.core.names import check_version
from regalia.core.values import frozen

_MAX_RANGE = 256
_HYPHEN = re.compile(r"\s*v?(\S+)\s+-\s+v?(\S+)\s*\Z")
_COMPARATOR = re.compile(r"(\^|~>?|>=|<=|>|<|=)?\s*v?([0-9xX*][0-9A-Za-z.*-]*)\Z")
_WILD = frozenset({"x", "X", "*"})


class Part(StrEnum):
    """Which number of a version to raise."""

    MAJOR = "major"
    MINOR = "minor"
    PATCH = "patch"


@total_ordering
@frozen
class Version:
    """A SemVer 2.0.0 version without build metadata; pre-releases sort before their release.

    >>> Version("2.4.0-rc.1") < Version("2.4.0")
    True
    """

    text: str

    def __post_init__(self) -> None:
        """Refuse what isn't one."""
        check_version(self.text)

    @property
    def numbers(self) -> tuple[int, int, int]:
        """Major, minor, patch."""
        parsed = semver.Version.parse(self.text)
        return parsed.major, parsed.minor, parsed.patch

    @property
    def is_prerelease(self) -> bool:
        """Say whether it has a part after the dash."""
        return "-" in self.text

    def raised(self, part: Part) -> Self:
        """Give the next version; a pre-release is raised to its release first, as npm does."""
        return type(self)(str(semver.Version.parse(self.text).next_version(str(part))))

    def __lt__(self, other: object) -> bool:
        """Order as SemVer 2.0.0 §11."""
        if not isinstance(other, Version):
            return NotImplemented
        return semver.Version.parse(self.text).compare(other.text) < 0

    def __str__(self) -> str:
        """Spell it as written."""
        return self.text


@frozen
class _Bound:
    operator: str
    version: Version

    def admits(self, version: Version) -> bool:
        if self.operator == ">=":
            return version >= self.version
        if self.operator == ">":
            return version > self.version
        if self.operator == "<":
            return version < self.version
        if self.operator == "<=":
            return version <= self.version
        return version == self.version


@frozen
class Range:
    """A set of versions; a pre-release is in it only where the range names one of the same numbers.

    >>> Range.parse("^2.3 || 1.x").newest([Version("2.4.1"), Version("3.0.0"), Version("1.9.0")])
    Version(text='2.4.1')
    """

    text: str
    _alternatives: tuple[tuple[_Bound, ...], ...]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a range.

        Raises:
            InvalidVersionError: It is none.
        """
        if len(text) > _MAX_RANGE or not text.strip():
            raise InvalidVersionError(
                f"{text[:80]!r} is no range", hint="a range is ^2.3, ~2.3.1, 2.x or >=2.0.0 <3.0.0"
            )
        return cls(text, tuple(_parse_set(part) for part in text.split("||")))

    def admits(self, version: Version) -> bool:
        """Say whether the version is in the range."""
        return any(_set_admits(bounds, version) for bounds in self._alternatives)

    def newest(self, versions: Iterable[Version]) -> Version | None:
        """Find the highest version in the range."""
        return max((version for version in versions if self.admits(version)), default=None)

    def __str__(self) -> str:
        """Spell it as written."""
        return self.text


def _set_admits(bounds: tuple[_Bound, ...], version: Version) -> bool:
    if not all(bound.admits(version) for bound in bounds):
        return False
    if not version.is_prerelease:
        return True
    return any(bound.version.is_prerelease and bound.version.numbers == version.numbers for bound in bounds)


def _parse_set(text: str) -> tuple[_Bound, ...]:
    if hyphen := _HYPHEN.match(text):
        low, high = hyphen.groups()
        return (*_comparator(">=", low), *_comparator("<=", high))
    joined = re.sub(r"(\^|~>?|>=|<=|>|<|=)\s+", r"\1", text.strip())  # npm allows ">= 2.0.0"
    bounds: list[_Bound] = []
    for word in joined.split():
        matched = _COMPARATOR.match(word)
        if matched is None:
            raise InvalidVersionError(
                f"{word[:80]!r} is no part of a range", hint="a range is ^2.3, ~2.3.1, 2.x or >=2.0.0 <3.0.0"
            )
        bounds.extend(_comparator(matched.group(1) or "", matched.group(2)))
    if not bounds:  # npm reads nothing as any version; a forgotten half should not mean that
        raise InvalidVersionError("one side of || is empty", hint='write "*" for any version')
    return tuple(bounds)


def _comparator(operator: str, text: str) -> tuple[_Bound, ...]:
    """Spell one comparator out as plain bounds; missing and wild parts stand for any."""
    core, dash, prerelease = text.partition("-")
    parts = core.split(".")
    if len(parts) > 3 or (dash and (len(parts) < 3 or any(part in _WILD for part in parts))):
        raise InvalidVersionError(f"{text[:80]!r} is no part of a range")
    numbers: list[int] = []
    for part in parts:
        if part in _WILD:
            break
        numbers.append(_number(part, text))
    if any(part not in _WILD for part in parts[len(numbers) :]):
        raise InvalidVersionError(f"{text[:80]!r} has a number after an x")
    padded = [*numbers, 0, 0, 0][:3]
    low = Version(".".join(map(str, padded)) + (f"-{prerelease}" if dash else ""))
    if operator == "^":
        return _caret(low, numbers)
    if operator in {"~", "~>"}:
        return _between(low, numbers, keep=min(2, len(numbers)))
    if len(numbers) == 3:
        return (_Bound(operator or "=", low),)
    return _partial(operator, low, numbers)


def _number(part: str, text: str) -> int:
    try:
        return Version(f"{part}.0.0").numbers[0]
    except InvalidVersionError as error:
        raise InvalidVersionError(f"{text[:80]!r} is no part of a range") from error


def _caret(low: Version, numbers: list[int]) -> tuple[_Bound, ...]:
    """Allow what does not change the leftmost number that isn't zero."""
    keep = next((place + 1 for place, number in enumerate(numbers) if number != 0), len(numbers))
    return _between(low, numbers, keep=keep)


def _partial(operator: str, low: Version, numbers: list[int]) -> tuple[_Bound, ...]:
    if operator in {"", "="}:
        return _between(low, numbers, keep=len(numbers))
    if not numbers:  # npm: ">x" and "<x" admit nothing, ">=x" and "<=x" everything
        return (_Bound("<", Version("0.0.0-0")),) if operator in {">", "<"} else (_Bound(">=", Version("0.0.0")),)
    if operator == ">":
        return (_Bound(">=", _after(numbers)),)
    if operator == "<=":
        return (_Bound("<", _before(numbers)),)
    if operator == "<":
        return (_Bound("<", Version(f"{low}-0")),)
    return (_Bound(">=", low),)


def _between(low: Version, numbers: list[int], *, keep: int) -> tuple[_Bound, ...]:
    if keep == 0:
        return (_Bound(">=", Version("0.0.0")),)
    return (_Bound(">=", low), _Bound("<", _before(numbers[:keep])))


def _after(numbers: list[int]) -> Version:
    raised = [*numbers[:-1], numbers[-1] + 1]
    return Version(".".join(map(str, [*raised, 0, 0][:3])))


def _before(numbers: list[int]) -> Version:
    """Give the lowest pre-release after all versions that start with these numbers."""
    return Version(f"{_after(numbers)}-0")
