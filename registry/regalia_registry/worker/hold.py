"""Holding an operation: its lease is renewed in the background, and looked at before every step."""

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime

import structlog

from regalia.core.errors import RegaliaError
from regalia.core.strict_json import JsonObject
from regalia_registry.domain.leases import Lease
from regalia_registry.domain.operations import Operation
from regalia_registry.domain.texts import readable
from regalia_registry.ports.store import Told, Transaction
from regalia_registry.services.context import Ports

_TELL_S = 0.5
_LOOK_S = 1.0

log = structlog.get_logger("regalia.worker")


class Ended(BaseException):
    """This worker may not go on with the operation; nothing of ours catches it on its way out. It says why."""


class Cancelled(Ended):
    """Somebody asked for the operation to end, and this worker still has it."""


class Hold:
    """A lease that is renewed in the background for as long as the block runs."""

    def __init__(self, ports: Ports, claimed: Operation, lease: Lease, stopping: threading.Event, asked: float) -> None:
        """Hold what was claimed; `asked` is the monotonic time from before the claim."""
        self._ports = ports
        self._claimed = claimed
        self._lease = lease
        self._stopping = stopping
        self._renewed, self._until = asked, asked + lease.length.total_seconds()
        self._interrupts: list[Callable[[], None]] = []
        self._told = float("-inf")
        self._last: JsonObject = {}
        self._untold: JsonObject | None = None
        self._over = threading.Event()
        self._attending = threading.Thread(target=self._attend, name="lease", daemon=True)

    def __enter__(self) -> None:
        """Begin to attend to it."""
        self._attending.start()

    def __exit__(self, *_: object) -> None:
        """End attending."""
        self.stop()

    def stop(self) -> None:
        """Renew no more: what is stored next says until when the operation waits, and nothing may come behind it."""
        self._over.set()
        self._attending.join()

    def tell(self, body: JsonObject) -> None:
        """Say how far the operation is, twice a second at most, and end it where it is not to be gone on with.

        How far a step came is told with the next step, where it was not yet.
        """
        self._require_going()
        now = self._ports.clock.monotonic()
        # A new step always looks whether the operation is still ours.
        is_next = body.get("step") != self._last.get("step")
        if now - self._told < _TELL_S and not is_next:
            self._untold = body if body != self._last else None
            return
        if not is_next:
            self._untold = None  # this is further
        self._told, self._last = now, body
        with self._ports.store.note(to=Told.WORKERS) as tx:
            self._require_wanted(tx)
            self.append(tx, body)

    def append(self, tx: Transaction, body: JsonObject) -> None:
        """Write an event, after how far the step before it came."""
        bodies = [body] if self._untold is None else [self._untold, body]
        self._untold = None
        for one in bodies:
            tx.operations.append(self._claimed.id, time=self._ports.clock.now(), body=readable(one))

    def interrupts(self, interrupt: Callable[[], None]) -> None:
        """Call this, from another thread, once the operation is not to be gone on with."""
        self._interrupts.append(interrupt)

    def forget_interrupts(self) -> None:
        """Call none any more: what they would end is closed."""
        self._interrupts.clear()

    def look(self) -> None:
        """End the operation here where it is not to be gone on with."""
        self._require_going()
        with self._ports.store.read() as tx:
            self._require_wanted(tx)

    def rest(self, pause_s: float) -> None:
        """Wait, and look all the while whether the operation is still to be gone on with."""
        left_s = pause_s
        while left_s > 0:
            self._stopping.wait(min(left_s, _LOOK_S))
            left_s -= _LOOK_S
            self.look()

    def keep(self, journal: JsonObject) -> None:
        """Replace the operation's journal, and end it where it is no longer ours."""
        with self._ports.store.note(to=Told.WORKERS) as tx:
            there = self._ours(tx)
            tx.operations.update(replace(there, journal=journal), epoch=there.epoch)

    def fence(self, tx: Transaction) -> None:
        """Leave a transaction that would write for an operation that another worker has: nothing of it is committed."""
        self._ours(tx)

    def stands(self) -> Operation:
        """Give the operation as it stands, and end it where it is no longer ours."""
        with self._ports.store.read() as tx:
            return self._ours(tx)

    def _ours(self, tx: Transaction) -> Operation:
        there = tx.operations.get(self._claimed.id)
        if there.epoch != self._claimed.epoch or there.state.is_over:
            raise Ended("another worker has it")
        return there

    def _require_going(self) -> None:
        if not self._is_long():
            raise Ended("its lease runs out")
        if self._stopping.is_set():
            self._release()
            raise Ended("the worker stops")

    def _require_wanted(self, tx: Transaction) -> None:
        if self._ours(tx).cancel_requested:
            raise Cancelled("it was cancelled")

    def _release(self) -> None:
        """End the lease at once: nothing of this worker is on its way any more."""
        self._change(until=self._ports.shared_now())

    def _attend(self) -> None:
        """Renew the lease when that is due, and interrupt what runs in an engine once it is for nothing."""
        renewal_s = self._lease.renewal.total_seconds()
        while not self._over.wait(min(renewal_s, _LOOK_S)):
            try:
                if not self._is_wanted():
                    self._interrupt()
                elif self._ports.clock.monotonic() - self._renewed >= renewal_s:
                    self._renew()
            except RegaliaError as error:
                log.warning("lease not renewed", operation=self._claimed.id, error=error.message)

    def _is_wanted(self) -> bool:
        if self._stopping.is_set() or not self._is_long():
            return False
        with self._ports.store.read() as tx:
            there = tx.operations.get(self._claimed.id)
        return there.epoch == self._claimed.epoch and not there.cancel_requested

    def _is_long(self) -> bool:
        return self._until - self._ports.clock.monotonic() >= self._lease.needed.total_seconds()

    def _interrupt(self) -> None:
        for interrupt in tuple(self._interrupts):
            with suppress(RegaliaError):  # the connection may be gone already
                interrupt()

    def _renew(self) -> None:
        asked = self._ports.clock.monotonic()
        if self._change(until=self._lease.until(self._ports.shared_now())):
            self._renewed, self._until = asked, asked + self._lease.length.total_seconds()
        else:
            self._until = float("-inf")

    def _change(self, *, until: datetime) -> bool:
        """Say until when nobody else may take the operation, if it is still ours and at work."""
        with self._ports.store.note(to=Told.WORKERS) as tx:
            there = tx.operations.get(self._claimed.id)
            if there.epoch != self._claimed.epoch or there.state.is_over:
                return False
            return tx.operations.update(replace(there, lease_until=until), epoch=there.epoch)
