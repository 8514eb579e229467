"""A content root over a stream of any length: 256 files, sorted one at a time."""

from collections.abc import Sequence
from pathlib import Path

from regalia.core.digest import Digest
from regalia_registry.domain.snapshots.root import BUCKETS, bucket_digest, content_root

_HASH = 32
_ENTRY = 2 * _HASH
_SPILL_BYTES = 8 * 1024 * 1024


class RootSpool:
    """Takes rows in any order, and holds some megabytes of them at a time."""

    def __init__(self, folder: Path) -> None:
        """Make the folder of the buckets."""
        self._folder = folder
        self._folder.mkdir()
        self._waiting = [bytearray() for _ in range(BUCKETS)]
        self._waiting_bytes = 0
        self.count = 0

    def add(self, key_hash: bytes, digest: bytes) -> None:
        """Take a row as SHA-256 of its key and its digest."""
        self._waiting[key_hash[0]] += key_hash + digest
        self.count += 1
        self._waiting_bytes += _ENTRY
        if self._waiting_bytes >= _SPILL_BYTES:
            self._spill()

    def buckets(self) -> Sequence[bytes]:
        """Hash every bucket.

        Raises:
            DocumentError: A key stood twice.
        """
        self._spill()
        return [bucket_digest(self._entries(number)) for number in range(BUCKETS)]

    def root(self, schema: Digest) -> Digest:
        """Give the content root.

        Raises:
            DocumentError: A key stood twice.
        """
        return content_root(schema, count=self.count, buckets=self.buckets())

    def _entries(self, number: int) -> list[tuple[bytes, bytes]]:
        path = self._path(number)
        body = path.read_bytes() if path.exists() else b""
        return [
            (body[start : start + _HASH], body[start + _HASH : start + _ENTRY]) for start in range(0, len(body), _ENTRY)
        ]

    def _spill(self) -> None:
        for number, waiting in enumerate(self._waiting):
            if waiting:
                with self._path(number).open("ab") as file:
                    file.write(waiting)
                waiting.clear()
        self._waiting_bytes = 0

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:02x}"
