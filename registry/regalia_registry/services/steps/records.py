"""Writing the audit entry of a change."""

from regalia.core import times
from regalia_registry.domain.entries import Entry, Event
from regalia_registry.ports.store import Transaction
from regalia_registry.services.context import Caller, Ports

_SALT = 16


def record(ports: Ports, caller: Caller, tx: Transaction, event: Event) -> str:
    """Append the entry of an event to the transaction, and give its id."""
    entry = Entry(
        id=ports.ids.new(),
        time=times.whole_second(ports.clock.now()),
        actor=caller.actor.id,
        request=caller.request,
        salt=ports.ids.secret(_SALT),
        event=event,
    )
    tx.audit.record(entry)
    return entry.id
