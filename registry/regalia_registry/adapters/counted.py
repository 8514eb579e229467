"""A blob store whose failures are counted; what it answers is the store's own."""

from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedIOBase
from pathlib import Path
from typing import BinaryIO

from regalia.core.digest import Digest
from regalia.core.errors import UnavailableError
from regalia_registry.domain.series import BLOB_ERRORS, FIXED
from regalia_registry.ports.blobs import BlobStore, Linking
from regalia_registry.ports.counting import Counts


def counted(blobs: BlobStore, counts: Counts) -> BlobStore:
    """Count the failures of a store; one that makes files into blobs goes on doing so."""
    return _CountedLinking(blobs, blobs, counts) if isinstance(blobs, Linking) else _Counted(blobs, counts)


class _Counted:
    def __init__(self, blobs: BlobStore, counts: Counts) -> None:
        self._blobs = blobs
        self._counts = counts

    def put(self, *, digest: Digest, source: BufferedIOBase, size_bytes: int) -> bool:
        with self._counting("put"):
            return self._blobs.put(digest=digest, source=source, size_bytes=size_bytes)

    def open(self, *, digest: Digest, start: int = 0, stop: int | None = None) -> BinaryIO:
        with self._counting("open"):
            return self._blobs.open(digest=digest, start=start, stop=stop)

    def stat(self, *, digest: Digest) -> int | None:
        with self._counting("stat"):
            return self._blobs.stat(digest=digest)

    def url_for(self, *, digest: Digest) -> str | None:
        return self._blobs.url_for(digest=digest)  # it asks nobody

    def delete(self, *, digest: Digest) -> bool:
        with self._counting("delete"):
            return self._blobs.delete(digest=digest)

    def list(self, *, after: Digest | None = None) -> Iterator[Digest]:
        with self._counting("list"):
            yield from self._blobs.list(after=after)

    @contextmanager
    def _counting(self, call: str) -> Iterator[None]:
        try:
            yield
        except UnavailableError:
            self._counts.add(FIXED.cell(BLOB_ERRORS, call))
            raise


class _CountedLinking(_Counted):
    def __init__(self, blobs: BlobStore, linking: Linking, counts: Counts) -> None:
        super().__init__(blobs, counts)
        self._linking = linking

    def link(self, *, digest: Digest, path: Path, size_bytes: int) -> bool:
        with self._counting("link"):
            return self._linking.link(digest=digest, path=path, size_bytes=size_bytes)
