"""Finding what a reference names."""

from regalia.core.references import BundleReference
from regalia_registry.domain.records import StoredBundle
from regalia_registry.ports.store import Transaction


def find_bundle(tx: Transaction, reference: BundleReference) -> StoredBundle:
    """Get the bundle that a version or a digest names, or raise `NotFoundError`."""
    if reference.digest is not None:
        return tx.bundles.get_by_digest(reference.application, digest=reference.digest)
    return tx.bundles.get(reference.application, version=str(reference.version))
