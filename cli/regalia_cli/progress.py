"""Progress of an operation: one line that changes on a terminal, plain lines elsewhere, and never on stdout."""

import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import click
from click.exceptions import Exit

from regalia import operations
from regalia.wire.answers import OperationProgress
from regalia_cli import output

_MEASURED_S = 2.0
_ERASE = "\r\x1b[2K"


class Meter:
    """The rate of the step that an operation is in, from what was seen of it here.

    What happened before somebody looked came at once, so only what comes after it is measured.
    """

    def __init__(self) -> None:
        """See nothing yet."""
        self._step: object = None
        self._first = 0, 0.0

    def told(self, body: Mapping[str, object], now: float) -> str:
        """Put an event into words; `now` is in seconds of any clock that only goes forward."""
        rows = _count(body, "rows")
        if body.get("step") != self._step:
            self._step, self._first = body.get("step"), (rows or 0, now)
        line = told(body)
        since = now - self._first[1]
        done = (rows or 0) - self._first[0]
        if rows is None or done <= 0 or since < _MEASURED_S:
            return line
        rate = done / since
        left = (_count(body, "of") or _count(body, "about") or 0) - rows
        return f"{line}, {_rounded(rate):,} rows/s" + (f", {_spoken(left / rate)} left" if left > 0 else "")


def told(body: Mapping[str, object]) -> str:
    """Put an event into words: its step, then how many of how many rows, then the rest."""
    rows, whole, about = _count(body, "rows"), _count(body, "of"), _count(body, "about")
    words = [str(body.get("step", ""))]
    if rows is not None and whole is not None:
        words.append(f"{rows:,} of {whole:,} rows")
    elif rows is not None and about is not None and about > rows:
        words.append(f"{rows:,} of about {about:,} rows")
    elif rows is not None:
        words.append(f"{rows:,} rows")
    rest = {
        name: value
        for name, value in body.items()
        if name not in {"step", "rows", "of", "about"} and not isinstance(value, list | dict)
    }
    words += [f"{value:,} {name}" if isinstance(value, int) else f"{value}" for name, value in rest.items()]
    return output.plain(" ".join(words))


@contextmanager
def shown() -> Iterator[Callable[[OperationProgress], None]]:
    """Give what tells progress; who leaves by Ctrl-C is told how to come back, and exits 1."""
    is_terminal = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
    progress = Progress(is_terminal=is_terminal)
    try:
        yield progress.tell
    except KeyboardInterrupt:
        progress.end()
        if progress.at_work is None:
            raise
        output.tell(f"it goes on without you; come back with: reg operation watch {progress.at_work}")
        raise Exit(1) from None
    finally:
        progress.end()


@contextmanager
def counted() -> Iterator[Callable[[str], None]]:
    """Give what shows a count that changes: on a terminal alone, since only its end is worth a line elsewhere."""
    progress = Progress(is_terminal=sys.stderr.isatty() and os.environ.get("TERM") != "dumb")
    try:
        yield progress.count
    finally:
        progress.end()


class Progress:
    """What a person sees of operations, one after another; `at_work` is the one that goes on without them."""

    def __init__(self, *, is_terminal: bool) -> None:
        """Show nothing yet."""
        self._is_terminal = is_terminal
        self._is_open = False
        self._meter = Meter()
        self.at_work: str | None = None

    def tell(self, progress: OperationProgress) -> None:
        """Show what happened."""
        is_over = progress.operation.state not in operations.AT_WORK
        if self.at_work != progress.operation.id:
            self._meter = Meter()
        self.at_work = None if is_over else progress.operation.id
        bodies = [event.body for event in progress.events]
        if not self._is_terminal:
            for body in bodies[:-1]:
                output.tell(f"  {told(body)}")
        if bodies:
            self._line(self._meter.told(bodies[-1], time.monotonic()))
        elif progress.operation.state == "queued":
            self._line("waiting for a worker: reg serve runs one where regalia[snapshots] is installed")
        if is_over:
            self.end()

    def count(self, text: str) -> None:
        """Show a count in place of the one before."""
        if self._is_terminal:
            self._line(text)

    def end(self) -> None:
        """Take the line that changes away."""
        if self._is_open:
            click.echo(_ERASE, err=True, nl=False, color=True)
            self._is_open = False

    def _line(self, text: str) -> None:
        if not self._is_terminal:
            output.tell(f"  {text}")
            return
        width = shutil.get_terminal_size().columns - 1
        click.echo(f"{_ERASE}{f'  {text}'[:width]}", err=True, nl=False, color=True)
        self._is_open = True


def _count(body: Mapping[str, object], name: str) -> int | None:
    value = body.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _rounded(rate: float) -> int:
    """Keep two figures: a rate is no more exact than that."""
    return int(float(f"{rate:.1e}"))


def _spoken(seconds: float) -> str:
    """Say a time as exactly as it is known."""
    if seconds < 90:
        return f"about {max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"about {minutes} min" if minutes < 90 else f"about {minutes / 60:.1f} h"
