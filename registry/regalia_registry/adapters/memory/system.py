"""A clock that a test turns, and names in order."""

import hashlib
from datetime import UTC, datetime, timedelta
from itertools import count


class MemoryClock:
    """A `Clock` that stands still until it is turned."""

    def __init__(self, now: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:  # immutable
        """Set it."""
        self._start = self._now = now

    def now(self) -> datetime:
        """Give the time it was set to."""
        return self._now

    def monotonic(self) -> float:
        """Give the seconds it was turned by."""
        return (self._now - self._start).total_seconds()

    def turn(self, by: timedelta) -> None:
        """Let time pass."""
        self._now += by


class MemoryIds:
    """An `Ids` that counts."""

    def __init__(self) -> None:
        """Start at one."""
        self._count = count(1)

    def new(self) -> str:
        """Give the next id."""
        return f"00000000-0000-7000-8000-{next(self._count):012d}"

    def secret(self, size_bytes: int) -> bytes:
        """Give bytes that differ each time."""
        return hashlib.shake_128(str(next(self._count)).encode()).digest(size_bytes)
