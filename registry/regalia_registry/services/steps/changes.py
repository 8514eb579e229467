"""What a move changes, in the sentences of its record."""

from regalia.core.bundle import BundleIndex
from regalia.core.diff import describe, diff, pins_of, sentences
from regalia.core.digest import Digest
from regalia.core.kinds import Content
from regalia.core.kinds.config import TREE_TITLE
from regalia.core.manifest import Artifact, Manifest
from regalia_registry.ports.blobs import BlobStore, read_blob
from regalia_registry.ports.store import Transaction


def changes_between(
    old: BundleIndex | None, new: BundleIndex, *, restoring: bool, tx: Transaction, blobs: BlobStore
) -> tuple[str, ...]:
    """Compare two bundles of one application; only members that differ are read."""
    changed = diff(pins_of(old), pins_of(new))
    digests = {digest for change in changed for digest in (change.before, change.after) if digest is not None}
    stored = tx.artifacts.find_all_by_digest(new.application.namespace, digests=digests)
    contents = {digest: _content(Manifest.parse(found.manifest), blobs) for digest, found in stored.items()}

    def content_of(digest: Digest | None) -> Content | None:
        return None if digest is None else contents[digest]

    return sentences(
        describe(change.slot, content_of(change.before), content_of(change.after), restoring=restoring)
        for change in changed
    )


def _content(manifest: Manifest, blobs: BlobStore) -> Content:
    """Read what a sentence needs: the config, and a config's tree."""
    needed = [manifest.config, *(layer for layer in [manifest.layer(TREE_TITLE)] if layer is not None)]
    found = {descriptor.digest: read_blob(blobs, descriptor.digest) for descriptor in needed}
    return Artifact.of(manifest, found).content
