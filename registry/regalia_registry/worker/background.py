"""What a worker does beside its operations, again and again: a thread, and a list of what is due when."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog

from regalia.core.errors import RegaliaError

log = structlog.get_logger("regalia.worker")


@dataclass(frozen=True, slots=True)
class Chore:
    """Something short that is done every `period_s` seconds, first after one; what it raises is told.

    `end` lets go of what it keeps, once nothing is done any more.
    """

    name: str
    period_s: float
    do: Callable[[], None]
    end: Callable[[], None] = lambda: None


class Background:
    """Does chores, at least one, one after another, from the block's beginning to its end."""

    def __init__(self, chores: Sequence[Chore], stopping: threading.Event) -> None:
        """Do nothing yet."""
        self._chores = chores
        self._stopping = stopping
        self._thread = threading.Thread(target=self._run, name="background")

    def __enter__(self) -> None:
        """Begin."""
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        """End after the chore that is at work."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        """Do them; where that ends by a fault, so does the worker, and is started anew."""
        try:
            self._do_all()
        finally:
            self._stopping.set()
            for chore in self._chores:
                chore.end()

    def _do_all(self) -> None:
        due = [(time.monotonic() + chore.period_s, number) for number, chore in enumerate(self._chores)]
        while not self._stopping.is_set():
            at, number = min(due)
            if self._stopping.wait(max(0.0, at - time.monotonic())):
                return
            chore = self._chores[number]
            try:
                chore.do()
            except RegaliaError as error:
                log.warning("chore failed", chore=chore.name, error=error.message)
            due[number] = time.monotonic() + chore.period_s, number
