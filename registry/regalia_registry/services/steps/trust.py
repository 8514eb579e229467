"""The trust root that is in force."""

from functools import lru_cache

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
    return _verified(stored.envelope)


@lru_cache(maxsize=2)  # a root is its bytes: parsing and verifying them once is enough
def _verified(envelope: bytes) -> TrustedRoot:
    return TrustedRoot.bootstrap(envelope)
