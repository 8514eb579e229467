"""Keeping blobs from being removed: before they are stored, and until a manifest that is stored links them."""

from collections.abc import Collection
from datetime import datetime, timedelta

from regalia.core.digest import Digest
from regalia.core.errors import NotFoundError, UnavailableError
from regalia.core.manifest import Manifest
from regalia_registry.domain.records import ArtifactVersion
from regalia_registry.ports.store import Told, Transaction
from regalia_registry.services.context import Ports

KEPT_FOR = timedelta(hours=24)


def claim_blobs(ports: Ports, namespace: str, digests: Collection[Digest]) -> Collection[Digest]:
    """Keep blobs for a day, those that are about to be stored among them; gives those that the namespace sees already.

    Raises:
        UnavailableError: One is being removed: what is stored there now would go with it.
    """
    until = ports.shared_now() + KEPT_FOR
    with ports.store.note(to=Told.NOBODY) as tx:
        removed = tx.blobs.claim(digests=digests, until=until)
        known = tx.blobs.find_sizes(namespace, digests=digests)
    if removed:
        raise UnavailableError(
            f"the blob {min(removed).short} is being removed, and can be stored again then",
            hint="try again in a moment",
        )
    return known.keys()


def keep_linked(tx: Transaction, artifact: ArtifactVersion, *, now: datetime) -> None:
    """Keep what a version links, in the transaction that adds it: whoever removes blobs may not have seen it yet.

    Raises:
        NotFoundError: A blob was removed since it was sent.
    """
    linked = {descriptor.digest for descriptor in Manifest.parse(artifact.manifest).descriptors}
    gone = linked - tx.blobs.find_sizes(artifact.artifact.namespace, digests=linked).keys()
    if gone:
        raise NotFoundError(
            f"{len(gone)} blobs of the manifest were removed since they were sent: {min(gone).short}",
            hint="send them again, and the manifest within a day: reg push",
        )
    tx.blobs.claim(digests=linked, until=now + KEPT_FOR)
