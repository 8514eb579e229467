"""Counting what happens: for those who watch the service, never for the service itself."""

from typing import Protocol

from regalia_registry.domain.series import FIXED, NS, Family, bucket


class Counts(Protocol):
    """The numbers of one process; `cell` is of a layout of `domain.series`. Any thread may count."""

    def add(self, cell: int, by: int = 1) -> None:
        """Count on."""
        ...

    def put(self, cell: int, value: int) -> None:
        """Replace a gauge's value."""
        ...


class Uncounted:
    """A `Counts` that keeps nothing, where nobody watches."""

    def add(self, cell: int, by: int = 1) -> None:
        """Keep nothing."""

    def put(self, cell: int, value: int) -> None:
        """Keep nothing."""


def observe(counts: Counts, family: Family, *values: str, spent_s: float) -> None:
    """Count a duration in a histogram of the fixed layout; what a clock makes negative counts as 0."""
    first, lasted_s = FIXED.cell(family, *values), max(0.0, spent_s)
    counts.add(first + bucket(family, lasted_s))
    counts.add(first + family.width - 1, round(lasted_s * NS))
