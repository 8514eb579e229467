"""What a worker does beside its operations, over and over: each duty in its own time, in one thread."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog

from regalia.core.errors import RegaliaError
from regalia_registry.ports.system import Clock

log = structlog.get_logger("regalia.worker")


@dataclass(frozen=True, slots=True)
class Duty:
    """Something that is done every `period_s` seconds; what it could not do now, it does next time."""

    name: str
    period_s: float
    run: Callable[[], None]


class Background:
    """Does duties until it is told to stop."""

    def __init__(self, clock: Clock, duties: Sequence[Duty], stopping: threading.Event) -> None:
        """Do nothing yet."""
        self._clock = clock
        self._duties = duties
        self._stopping = stopping

    def run(self) -> None:
        """Do each duty when it is due, the first time at once; what failed is logged, and done again in its time."""
        due = [self._clock.monotonic()] * len(self._duties)
        while self._duties and not self._stopping.is_set():
            place = min(range(len(due)), key=due.__getitem__)
            if self._stopping.wait(max(0.0, due[place] - self._clock.monotonic())):
                return
            duty = self._duties[place]
            try:
                duty.run()
            except RegaliaError as error:
                log.warning("put off", duty=duty.name, error=error.message)
            due[place] = self._clock.monotonic() + duty.period_s
        self._stopping.wait()
