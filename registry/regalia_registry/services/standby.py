"""Standby: beside a collection that its application writes into, its channel keeps a sealed copy to go back to at once.

Run by every worker, again and again: where the copy is missing, was used or was opened by hand, another is made.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta

import structlog

from regalia_registry.domain.access import SYSTEM
from regalia_registry.domain.entries import Event
from regalia_registry.domain.operations import Operation
from regalia_registry.domain.plans import MoveWish
from regalia_registry.ports.store import Transaction
from regalia_registry.services.context import Caller, Ports
from regalia_registry.services.steps.planning import plan_of
from regalia_registry.services.steps.records import record

_AGAIN = timedelta(minutes=10)  # what failed, or was cancelled, is not asked for without pause

log = structlog.get_logger("regalia.worker")


@dataclass
class Standby:
    """Asks for the copies that are missing; `asked` is what this worker asked for, and when, until it is there."""

    ports: Ports
    asked: dict[MoveWish, float] = field(default_factory=dict)

    def run(self) -> None:
        """Look at every channel that keeps a copy; what is missing becomes an operation, which a worker carries out."""
        with self.ports.store.read() as tx:
            missing = [wish for wish in _wishes(tx) if not plan_of(tx, wish).is_warm]
        self.asked = {wish: at for wish, at in self.asked.items() if wish in missing}
        now = self.ports.clock.monotonic()
        for wish in missing:
            if wish not in self.asked or now - self.asked[wish] >= _AGAIN.total_seconds():
                self.asked[wish] = now
                self._ask(wish)

    def _ask(self, wish: MoveWish) -> None:
        with self.ports.store.read() as tx:
            if _open_one(tx, wish) is not None:
                return
        made = Operation(
            id=self.ports.ids.new(),
            kind=wish.kind,
            namespace=wish.application.namespace,
            subject=wish.subject,
            request=wish.written(),
            created_at=self.ports.shared_now(),
            created_by=SYSTEM.id,
        )
        with self.ports.store.write(SYSTEM) as tx:
            there = _open_one(tx, wish)  # another worker may have been faster
            if there is None:
                tx.operations.add(made)
            id_, what = (made.id, "operation.started") if there is None else (there.id, "operation.joined")
            record(self.ports, Caller(SYSTEM, made.id), tx, Event(what, f"operation/{id_}", after=wish.bundle))
        log.info("standby copy asked for", channel=wish.subject, operation=id_)


def _wishes(tx: Transaction) -> Iterator[MoveWish]:
    for placings in tx.placings.list():
        current = tx.channels.find(placings.application, placings.channel) if placings.has_standby else None
        if current is not None:
            pointer = current.pointer
            yield MoveWish(pointer.application, pointer.channel, pointer.bundle, None, standby=True)


def _open_one(tx: Transaction, wish: MoveWish) -> Operation | None:
    asked = wish.kind, wish.written()
    return next((one for one in tx.operations.list_open() if (one.kind, one.request) == asked), None)
