"""What a move changes, in the sentences of its record."""

from collections.abc import Mapping
from dataclasses import dataclass

from regalia.core.bundle import BundleIndex
from regalia.core.diff import PinChange, describe, diff, pins_of, sentences
from regalia.core.digest import Digest
from regalia.core.kinds import Content
from regalia.core.kinds.config import TREE_TITLE
from regalia.core.manifest import Artifact, Manifest
from regalia_registry.ports.blobs import BlobStore, read_blob
from regalia_registry.ports.store import Transaction


@dataclass(frozen=True, slots=True)
class Difference:
    """The slots that differ between two bundles, and the manifests on both sides."""

    changes: tuple[PinChange, ...]
    manifests: Mapping[Digest, bytes]


def difference(tx: Transaction, old: BundleIndex | None, new: BundleIndex) -> Difference:
    """Compare two bundles of one application; only members that differ are read."""
    changes = diff(pins_of(old), pins_of(new))
    digests = {digest for change in changes for digest in (change.before, change.after) if digest is not None}
    stored = tx.artifacts.find_all_by_digest(new.application.namespace, digests=digests)
    return Difference(changes, {digest: found.manifest for digest, found in stored.items()})


def told(differing: Difference, blobs: BlobStore, *, restoring: bool) -> tuple[str, ...]:
    """Put a difference into sentences; this reads blobs, so no transaction should wait for it."""
    contents = {digest: _content(Manifest.parse(body), blobs) for digest, body in differing.manifests.items()}

    def content_of(digest: Digest | None) -> Content | None:
        return None if digest is None else contents[digest]

    return sentences(
        describe(change.slot, content_of(change.before), content_of(change.after), restoring=restoring)
        for change in differing.changes
    )


def _content(manifest: Manifest, blobs: BlobStore) -> Content:
    """Read what a sentence needs: the config, and a config's tree."""
    needed = [manifest.config, *(layer for layer in [manifest.layer(TREE_TITLE)] if layer is not None)]
    found = {descriptor.digest: read_blob(blobs, descriptor.digest) for descriptor in needed}
    return Artifact.of(manifest, found).content
