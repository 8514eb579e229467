"""Blobs in a dict."""

from collections.abc import Iterator
from io import BufferedIOBase, BytesIO
from threading import Lock
from typing import BinaryIO

from regalia.core.digest import Digest
from regalia.core.errors import DigestError, NotFoundError


class MemoryBlobs:
    """A `BlobStore` in memory."""

    def __init__(self) -> None:
        """Start empty."""
        self._blobs: dict[Digest, bytes] = {}
        self._lock = Lock()

    def put(self, *, digest: Digest, source: BufferedIOBase, size_bytes: int) -> bool:
        """Keep the stream under `digest`."""
        content = source.read(size_bytes + 1)
        if len(content) != size_bytes:
            raise DigestError(f"the blob {digest.short} is not {size_bytes} bytes long")
        digest.check(content, what="the body")
        with self._lock:
            is_new = digest not in self._blobs
            self._blobs.setdefault(digest, content)
        return is_new

    def open(self, *, digest: Digest, start: int = 0, stop: int | None = None) -> BinaryIO:
        """Open the bytes from `start` up to `stop`."""
        if digest not in self._blobs:
            raise NotFoundError(f"there is no blob {digest.short}")
        return BytesIO(self._blobs[digest][start:stop])

    def stat(self, *, digest: Digest) -> int | None:
        """Give the size in bytes, or None."""
        content = self._blobs.get(digest)
        return None if content is None else len(content)

    def url_for(self, *, digest: Digest) -> str | None:  # noqa: ARG002 # the port's name; memory has no address
        """Give None: only this process reads its memory."""
        return None

    def delete(self, *, digest: Digest) -> bool:
        """Remove a blob."""
        return self._blobs.pop(digest, None) is not None

    def list(self, *, after: Digest | None = None) -> Iterator[Digest]:
        """Walk all blobs in the order of their digests."""
        yield from (digest for digest in sorted(self._blobs) if after is None or digest > after)
