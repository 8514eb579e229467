"""Finding a target by its name: those that were added, and the embedded one."""

from regalia.core.errors import NotFoundError
from regalia_registry.domain.operations import Target
from regalia_registry.ports.store import Transaction

LOCAL = Target("local", "embedded", "embedded:")


def find_target(tx: Transaction, name: str) -> Target:
    """Get a target, or raise `NotFoundError`."""
    found = LOCAL if name == LOCAL.name else tx.targets.find(name)
    if found is None:
        raise NotFoundError(f'there is no target "{name[:64]}"', hint="reg target list, or reg target add")
    return found
