"""Targets: named connections to vector engines. What is stored of a password is where it is."""

from regalia.core.errors import ConflictError, NotFoundError
from regalia.wire.answers import TargetEntry
from regalia_registry.domain.entries import Event
from regalia_registry.domain.operations import Target
from regalia_registry.services.context import Caller, Ports
from regalia_registry.services.steps.records import record
from regalia_registry.services.steps.targets import LOCAL, find_target


def add_target(ports: Ports, caller: Caller, target: Target) -> TargetEntry:
    """Add a target.

    Raises:
        ConflictError: The name is taken.
    """
    caller.actor.require_admin()
    with ports.store.write(caller.actor) as tx:
        if target.name == LOCAL.name or not tx.targets.add(target):
            raise ConflictError(f'there is a target "{target.name}"', hint="reg target remove, or choose another name")
        record(ports, caller, tx, Event("target.added", f"target/{target.name}"))
    return _entry(target)


def list_targets(ports: Ports, caller: Caller) -> list[TargetEntry]:
    """List targets, the embedded one first."""
    caller.actor.require_admin()
    with ports.store.read() as tx:
        return [_entry(target) for target in (LOCAL, *tx.targets.list())]


def get_target(ports: Ports, caller: Caller, *, name: str) -> TargetEntry:
    """Get a target.

    Raises:
        NotFoundError: There is none.
    """
    caller.actor.require_admin()
    with ports.store.read() as tx:
        return _entry(find_target(tx, name))


def remove_target(ports: Ports, caller: Caller, *, name: str) -> None:
    """Remove a target; what it points at stays as it is.

    Raises:
        NotFoundError: There is none.
    """
    caller.actor.require_admin()
    with ports.store.write(caller.actor) as tx:
        if not tx.targets.remove(name):
            raise NotFoundError(f'there is no target "{name[:64]}" to remove', hint="reg target list")
        record(ports, caller, tx, Event("target.removed", f"target/{name}"))


def _entry(target: Target) -> TargetEntry:
    return TargetEntry(target.name, target.provider, target.url, target.credential)
