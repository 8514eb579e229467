"""Holds: an operational brake on a bundle, with a reason."""

from regalia.core.errors import ConflictError, InvalidError
from regalia.core.names import ApplicationName
from regalia.core.references import BundleReference
from regalia.wire.answers import HoldEntry
from regalia_registry.domain.access import Right
from regalia_registry.domain.entries import Event
from regalia_registry.services.context import Caller, Ports
from regalia_registry.services.steps.answers import hold_entry
from regalia_registry.services.steps.holds import add_hold
from regalia_registry.services.steps.lookups import find_bundle
from regalia_registry.services.steps.records import record


def list_holds(ports: Ports, caller: Caller, *, application: ApplicationName) -> list[HoldEntry]:
    """List an application's holds, newest first."""
    caller.actor.require(Right.READ, on=application.namespace)
    with ports.store.read() as tx:
        return [hold_entry(hold) for hold in tx.holds.list(application)]


def hold_bundle(ports: Ports, caller: Caller, reference: BundleReference, *, reason: str) -> HoldEntry:
    """Hold a bundle: nothing may newly name it; channels that name it go on.

    Raises:
        ConflictError: It is on hold already.
    """
    caller.actor.require(Right.PROMOTE, on=reference.application.namespace)
    _require_reason(reason)
    with ports.store.write(caller.actor) as tx:
        bundle = find_bundle(tx, reference)
        hold = add_hold(
            ports,
            caller,
            tx,
            application=bundle.application,
            bundle=bundle.digest,
            version=bundle.version,
            reason=reason,
        )
        if hold is None:
            raise ConflictError(f'"{reference}" is on hold already', hint=f"reg bundle show {reference}")
    return hold_entry(hold)


def lift_hold(ports: Ports, caller: Caller, reference: BundleReference, *, reason: str) -> None:
    """Lift a hold.

    Raises:
        ConflictError: The bundle is not on hold.
    """
    caller.actor.require(Right.PROMOTE, on=reference.application.namespace)
    _require_reason(reason)
    with ports.store.write(caller.actor) as tx:
        bundle = find_bundle(tx, reference)
        if not tx.holds.lift(bundle.application, bundle.digest):
            raise ConflictError(f'"{reference}" is not on hold', hint=f"reg bundle show {reference}")
        lifted = str(BundleReference(bundle.application, version=bundle.version))
        record(ports, caller, tx, Event("bundle.lifted", lifted, after=bundle.digest, texts={"reason": reason}))


def _require_reason(reason: str) -> None:
    if not reason.strip():
        raise InvalidError("a hold is set and lifted with a reason", hint="--reason INC-42")
