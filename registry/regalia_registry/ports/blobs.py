"""Where blobs live: bytes under their own digest."""

from collections.abc import Iterator
from io import BufferedIOBase
from pathlib import Path
from typing import BinaryIO, Protocol, runtime_checkable

from regalia.core.digest import Digest


class BlobStore(Protocol):
    """Bytes under their own digest. Nothing is ever overwritten."""

    def put(self, *, digest: Digest, source: BufferedIOBase, size_bytes: int) -> bool:
        """Keep the stream under `digest`, hashing while it is written.

        Returns:
            True where the blob is new, False where it was there already; the stream is read either way.

        Raises:
            DigestError: The bytes do not hash to `digest`, or are not `size_bytes` long; nothing is kept.
            StorageFullError: There is no space; nothing is kept.
            UnavailableError: The store did not answer; nothing half-written can be read.
        """
        ...

    def open(self, *, digest: Digest, start: int = 0, stop: int | None = None) -> BinaryIO:
        """Open the bytes from `start` up to `stop`, for the caller to close.

        Raises:
            NotFoundError: There is no such blob.
            UnavailableError: The store did not answer.
        """
        ...

    def stat(self, *, digest: Digest) -> int | None:
        """Give the size in bytes, or None where there is no such blob.

        Raises:
            UnavailableError: The store did not answer.
        """
        ...

    def url_for(self, *, digest: Digest) -> str | None:
        """Give an address where clients may fetch it without us for some minutes, or None where they can't.

        Raises:
            UnavailableError: The store can't sign one.
        """
        ...

    def delete(self, *, digest: Digest) -> bool:
        """Remove a blob; False where there was none.

        Raises:
            UnavailableError: The store did not answer.
        """
        ...

    def list(self, *, after: Digest | None = None) -> Iterator[Digest]:
        """Walk all blobs in the order of their digests, from behind `after`.

        Raises:
            UnavailableError: The store did not answer.
        """
        ...


@runtime_checkable
class Linking(Protocol):
    """What a store is as well, where a file of this machine can become a blob without being copied."""

    def link(self, *, digest: Digest, path: Path, size_bytes: int) -> bool:
        """Keep a file under `digest`, hashing it first; the caller may remove `path`, and never writes to it again.

        Returns:
            True where the blob is new, False where it was there already.

        Raises:
            DigestError: The bytes do not hash to `digest`, or are not `size_bytes` long; nothing is kept.
            StorageFullError: There is no space; nothing is kept.
            UnavailableError: The store did not answer.
        """
        ...


def read_blob(blobs: BlobStore, digest: Digest) -> bytes:
    """Read a small blob whole."""
    with blobs.open(digest=digest) as source:
        return source.read()
