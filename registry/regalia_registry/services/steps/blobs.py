"""Keeping what a worker made as a blob of a namespace."""

from io import BufferedIOBase

from regalia.core.digest import Digest
from regalia_registry.services.context import Ports


def keep_blob(ports: Ports, namespace: str, digest: Digest, source: BufferedIOBase, *, size_bytes: int) -> None:
    """Store a blob and link it: the namespace has it from then on."""
    ports.blobs.put(digest=digest, source=source, size_bytes=size_bytes)
    with ports.store.note() as tx:
        tx.blobs.link(namespace, sizes={digest: size_bytes})
