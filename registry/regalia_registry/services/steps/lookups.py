"""Finding what a reference names."""

from regalia.core.digest import Digest
from regalia.core.errors import NotFoundError, NotPlacedError
from regalia.core.names import ApplicationName
from regalia.core.references import BundleReference
from regalia_registry.domain.placing import CollectionState
from regalia_registry.domain.records import StoredBundle, StoredPointer
from regalia_registry.domain.refusals import no_channel
from regalia_registry.ports.store import Transaction


def find_bundle(tx: Transaction, reference: BundleReference) -> StoredBundle:
    """Get the bundle that a version or a digest names, or raise `NotFoundError`."""
    if reference.digest is not None:
        return tx.bundles.get_by_digest(reference.application, digest=reference.digest)
    return tx.bundles.get(reference.application, version=str(reference.version))


def find_pointer(
    tx: Transaction, application: ApplicationName, channel: str, *, pinned: Digest | None = None
) -> StoredPointer:
    """Get a channel's current pointer, or the newest one that named the pinned bundle.

    Raises:
        NotFoundError: There is no such channel, or it never named the bundle.
        NotPlacedError: A collection that the pinned bundle was placed in is not there any more.
    """
    current = tx.channels.find(application, channel)
    if current is None:
        raise no_channel(application, channel)
    if pinned is None:
        return current
    found = tx.channels.find_newest(application, channel, bundle=pinned)
    if found is None:
        raise NotFoundError(
            f'"{application}:{channel}" never named {pinned.short}', hint=f"reg history {application}:{channel}"
        )
    _require_ready(tx, found)
    return found


def _require_ready(tx: Transaction, pinned: StoredPointer) -> None:
    pointer = pinned.pointer
    for place in pointer.collections:
        collection = tx.collections.find(place.target, place.collection)
        if collection is None or collection.state is not CollectionState.READY:
            raise NotPlacedError(
                f'"{place.slot}" of {pinned.version} is not on "{place.target}" any more',
                hint=f"follow {pointer.application}:{pointer.channel}, or pin {pointer.application}@{pinned.version}"
                " for its prompts, models and configs alone",
            )
