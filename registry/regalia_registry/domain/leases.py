"""How long a worker has an operation without a sign of life, and how long it waits for one from others."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class Lease:
    """A worker does nothing after `length`; another may take over a quarter later, for what was on its way by then.

    >>> lease = Lease(timedelta(seconds=60))
    >>> [part.total_seconds() for part in (lease.renewal, lease.needed, lease.takeover)]
    [10.0, 35.0, 75.0]
    """

    length: timedelta = timedelta(seconds=60)

    @property
    def renewal(self) -> timedelta:
        """How often it is renewed."""
        return self.length / 6

    @property
    def needed(self) -> timedelta:
        """How much of it must be left when a step begins."""
        return self.length * 7 / 12

    @property
    def takeover(self) -> timedelta:
        """How long after its renewal another worker may take the operation."""
        return self.length * 5 / 4

    def until(self, now: datetime) -> datetime:
        """Say until when nobody else may take an operation that is claimed or renewed now."""
        return now + self.takeover


@dataclass(frozen=True, slots=True)
class Patience:
    """How long what is unavailable is tried again: pauses that double, up to a total of waiting.

    >>> list(Patience(first_s=1, longest_s=4, total_s=10).pauses())
    [1, 2, 4, 4]
    """

    first_s: float = 1
    longest_s: float = 30
    total_s: float = 300

    def pauses(self) -> Iterator[float]:
        """Give the pauses before one attempt after another; once they are over, it is given up."""
        pause_s, waited_s = self.first_s, 0.0
        while waited_s < self.total_s:
            yield pause_s
            waited_s += pause_s
            pause_s = min(pause_s * 2, self.longest_s)
