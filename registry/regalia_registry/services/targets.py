"""Targets: named connections to vector engines. What is stored of a password is where it is."""

from dataclasses import replace

from regalia.core.errors import ConflictError, NotFoundError
from regalia.wire.answers import TargetEntry
from regalia_registry.domain.access import EVERYWHERE, Actor, Right
from regalia_registry.domain.addresses import require_address
from regalia_registry.domain.entries import Event
from regalia_registry.domain.operations import Target
from regalia_registry.services.context import Caller, Ports
from regalia_registry.services.steps import targets as steps
from regalia_registry.services.steps.records import record
from regalia_registry.services.steps.targets import LOCAL


def add_target(ports: Ports, caller: Caller, target: Target) -> TargetEntry:
    """Add a target.

    Raises:
        ConflictError: The name is taken, or it is the embedded one under another name.
        InvalidError: Its provider would refuse the URL.
    """
    caller.actor.require_admin()
    if target.provider == LOCAL.provider:
        raise ConflictError('the embedded PostgreSQL is the target "local"', hint="reg target assign local")
    require_address(target.provider, target.url)
    with ports.store.write(caller.actor) as tx:
        if target.name == LOCAL.name or not tx.targets.add(target):
            raise ConflictError(f'there is a target "{target.name}"', hint="reg target remove, or choose another name")
        record(ports, caller, tx, _event("target.added", target))
    return _entry(target, caller.actor)


def assign_target(ports: Ports, caller: Caller, *, name: str, namespaces: tuple[str, ...]) -> TargetEntry:
    """Say which namespaces may use a target, in place of those that might.

    Raises:
        NotFoundError: There is none.
    """
    caller.actor.require_admin()
    with ports.store.write(caller.actor) as tx:
        assigned = replace(steps.get_target(tx, name), namespaces=namespaces)
        tx.targets.put(assigned)
        record(ports, caller, tx, _event("target.assigned", assigned))
    return _entry(assigned, caller.actor)


def list_targets(ports: Ports, caller: Caller) -> list[TargetEntry]:
    """List the targets that the caller's namespaces may use, the embedded one first; an admin sees all."""
    with ports.store.read() as tx:
        found = steps.list_targets(tx)
    return [_entry(target, caller.actor) for target in found if steps.is_visible(target, caller.actor)]


def get_target(ports: Ports, caller: Caller, *, name: str) -> TargetEntry:
    """Get a target.

    Raises:
        NotFoundError: There is none, or none that the caller's namespaces may use.
    """
    with ports.store.read() as tx:
        found = steps.get_target(tx, name)
    if not steps.is_visible(found, caller.actor):
        raise steps.absent(name)
    entry = _entry(found, caller.actor)
    if found.provider != LOCAL.provider or ports.local is None:
        return entry
    return replace(entry, agents_url=ports.local.url, agents_password_file=ports.local.password_file)


def remove_target(ports: Ports, caller: Caller, *, name: str) -> None:
    """Remove a target; what it points at stays as it is.

    Raises:
        NotFoundError: There is none.
        ConflictError: It is the embedded one.
    """
    caller.actor.require_admin()
    if name == LOCAL.name:
        raise ConflictError("the embedded target stays", hint="say who may use it: reg target assign local")
    with ports.store.write(caller.actor) as tx:
        if not tx.targets.remove(name):
            raise NotFoundError(f'there is no target "{name[:64]}" to remove', hint="reg target list")
        record(ports, caller, tx, Event("target.removed", f"target/{name}"))


def _event(name: str, target: Target) -> Event:
    return Event(name, f"target/{target.name}", texts={"namespaces": " ".join(target.namespaces)})


def _entry(target: Target, actor: Actor) -> TargetEntry:
    """Tell a target: where its credential is to an admin alone, and to others only namespaces of their own."""
    if Right.ADMIN in actor.rights_on(EVERYWHERE):
        return TargetEntry(target.name, target.provider, target.url, target.credential, target.namespaces)
    own = tuple(one for one in target.namespaces if one == EVERYWHERE or actor.rights_on(one))
    return TargetEntry(target.name, target.provider, target.url, None, own)
