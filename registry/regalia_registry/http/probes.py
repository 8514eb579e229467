"""Asking what may hang: in a thread of its own, one at a time, and nobody waits longer than a limit."""

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

from regalia.core.errors import RegaliaError, UnavailableError

Answer = TypeVar("Answer")


class Kept(Generic[Answer]):
    """A question whose answer holds for some seconds; one asks at a time, as a probe does."""

    def __init__(self, ask: Callable[[], Answer], *, for_s: float) -> None:
        """Ask nothing yet."""
        self._ask = ask
        self._for_s = for_s
        self._last: tuple[float, Answer] | None = None

    def __call__(self) -> Answer:
        """Give the last answer, or ask again."""
        if self._last is None or time.monotonic() - self._last[0] > self._for_s:
            self._last = time.monotonic(), self._ask()
        return self._last[1]


class Probe(Generic[Answer]):
    """A question; while one that hangs is out, nobody asks again, so that what hangs holds one thread and no more."""

    def __init__(self, ask: Callable[[], Answer], *, limit_s: float) -> None:
        """Ask nothing yet."""
        self._ask = ask
        self._limit_s = limit_s
        self._lock = threading.Lock()
        self._out: Future[Answer] | None = None

    async def answer(self) -> Answer:
        """Give the answer, from the event loop.

        Raises:
            UnavailableError: There is none within the limit.
            RegaliaError: What the question raised.
        """
        out = self._begun()
        await asyncio.wait([asyncio.wrap_future(out)], timeout=self._limit_s)
        return self._of(out)

    def answer_here(self) -> Answer:
        """Give the answer, from a thread that may wait; raises what `answer` does."""
        out = self._begun()
        done = threading.Event()
        out.add_done_callback(lambda _: done.set())
        done.wait(self._limit_s)
        return self._of(out)

    def _begun(self) -> "Future[Answer]":
        with self._lock:
            if self._out is None or self._out.done():
                self._out = Future()
                threading.Thread(target=self._run, args=(self._out,), name="probe", daemon=True).start()
            return self._out

    def _run(self, out: "Future[Answer]") -> None:
        try:
            out.set_result(self._ask())
        except RegaliaError as error:
            out.set_exception(error)
        finally:
            out.cancel()  # of what neither answered nor failed by an error of ours, which the thread's own end tells

    def _of(self, out: "Future[Answer]") -> Answer:
        if not out.done() or out.cancelled():
            raise UnavailableError(f"no answer within {self._limit_s:g} s", hint="see the registry's log")
        return out.result()
