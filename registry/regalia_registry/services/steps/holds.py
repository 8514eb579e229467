"""Holding a bundle, with its record."""

from regalia.core.digest import Digest
from regalia.core.names import ApplicationName
from regalia.core.references import BundleReference
from regalia_registry.domain.entries import Event
from regalia_registry.domain.records import Hold
from regalia_registry.ports.store import Transaction
from regalia_registry.services.context import Caller, Ports
from regalia_registry.services.steps.records import record


def add_hold(
    ports: Ports,
    caller: Caller,
    tx: Transaction,
    *,
    application: ApplicationName,
    bundle: Digest,
    version: str,
    reason: str,
) -> Hold | None:
    """Hold a bundle of an application; None where it was held before, which keeps its reason."""
    hold = Hold(application, bundle, version, reason, ports.clock.now(), held_by=caller.actor.name)
    if not tx.holds.add(hold):
        return None
    reference = str(BundleReference(application, version=version))
    record(ports, caller, tx, Event("bundle.held", reference, after=bundle, texts={"reason": reason}))
    return hold
