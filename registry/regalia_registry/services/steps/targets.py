"""Finding a target by its name: those that were added, and the embedded one."""

from pathlib import Path

from regalia.core.errors import NotFoundError
from regalia_registry.domain.access import EVERYWHERE, Actor
from regalia_registry.domain.operations import Target
from regalia_registry.ports.store import Transaction

LOCAL = Target("local", "embedded", "embedded:", namespaces=(EVERYWHERE,))  # decision 0008


def folder_target(folder: Path) -> Target:
    """Give a work folder as a target, for files that come and go as blobs; it is nobody's and never stored."""
    return Target(folder.name, "files", folder.as_uri())


def list_targets(tx: Transaction) -> list[Target]:
    """List targets, the embedded one first; a stored one of its name says who may use it."""
    stored = {target.name: target for target in tx.targets.list()}
    return [stored.pop(LOCAL.name, LOCAL), *stored.values()]


def get_target(tx: Transaction, name: str) -> Target:
    """Get a target.

    Raises:
        NotFoundError: There is none.
    """
    found = _find(tx, name)
    if found is None:
        raise absent(name)
    return found


def require_use(tx: Transaction, target: str, *, namespace: str) -> Target:
    """Get a target that those of a namespace may use; an absent one and another's are told alike.

    Which rights in the namespace a use takes is the service's to check.

    Raises:
        NotFoundError: There is none for this namespace.
    """
    found = _find(tx, target)
    if found is None or not found.serves(namespace):
        raise NotFoundError(
            f'there is no target "{target[:64]}" for "{namespace}"',
            hint="reg target list; an admin gives a namespace one: reg target assign, or reg target add",
        )
    return found


def is_visible(target: Target, actor: Actor) -> bool:
    """Say whether an actor may know that there is this target: a namespace of its uses it."""
    if EVERYWHERE in target.namespaces:
        return bool(actor.grants)
    return any(actor.rights_on(namespace) for namespace in (*target.namespaces, EVERYWHERE))


def absent(name: str) -> NotFoundError:
    """Say that there is none; it is said of another's target too."""
    return NotFoundError(f'there is no target "{name[:64]}"', hint="reg target list, or reg target add")


def _find(tx: Transaction, name: str) -> Target | None:
    return tx.targets.find(name) or (LOCAL if name == LOCAL.name else None)
