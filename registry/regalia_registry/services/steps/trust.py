"""The trust root that is in force."""

from regalia.core.errors import UnavailableError
from regalia.core.trust import TrustedRoot
from regalia_registry.ports.store import Transaction


def current_root(tx: Transaction) -> TrustedRoot:
    """Get the newest root.

    Raises:
        UnavailableError: There is none yet.
    """
    stored = tx.roots.newest()
    if stored is None:
        raise UnavailableError("no trust root: this registry is not founded yet", hint="reg init NAMESPACE/NAME")
    return TrustedRoot.bootstrap(stored.envelope)
