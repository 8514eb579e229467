"""What a process gets from its supervisor: open descriptors, told as one argument."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Descriptors:
    """Numbers of descriptors.

    `alive` is a pipe that closes when the supervisor dies, however it dies; `counts` is the memory of the board;
    `service` is the socket that a web process serves, `metrics` the one that tells its metrics, if any.

    >>> Descriptors.parse(str(Descriptors(3, 4, metrics=5))) == Descriptors(3, 4, metrics=5)
    True
    """

    alive: int
    counts: int
    service: int | None = None
    metrics: int | None = None

    def __str__(self) -> str:
        """Write it as an argument."""
        return ",".join("" if number is None else str(number) for number in self._each())

    def inherited(self) -> tuple[int, ...]:
        """List those that there are."""
        return tuple(number for number in self._each() if number is not None)

    @classmethod
    def parse(cls, text: str) -> "Descriptors":
        """Read what `str` wrote."""
        alive, counts, service, metrics = (int(number) if number else None for number in text.split(","))
        if alive is None or counts is None:
            raise ValueError(f'"{text}" lacks descriptors')
        return cls(alive, counts, service, metrics)

    def _each(self) -> tuple[int | None, ...]:
        return self.alive, self.counts, self.service, self.metrics
