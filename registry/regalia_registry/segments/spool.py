"""Streams of any length in files: a content root over 256 of them, and keys that are asked for again."""

import struct
from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path

import numpy as np

from regalia.core.digest import Digest
from regalia_registry.domain.snapshots.root import BUCKETS, bucket_digest, content_root

_HASH = 32
_ENTRY = 2 * _HASH
_SPILL_BYTES = 4 * 1024 * 1024
_LENGTH = struct.Struct(">H")


class RootSpool:
    """Takes rows in any order, and holds some megabytes of them at a time."""

    def __init__(self, folder: Path) -> None:
        """Make the folder of the buckets."""
        self._folder = folder
        self._folder.mkdir()
        self._waiting = bytearray()
        self.count = 0

    def add(self, key_hashes: Sequence[bytes], digests: Sequence[bytes]) -> None:
        """Take a batch, each row as SHA-256 of its key and its digest."""
        columns = [np.frombuffer(b"".join(column), np.uint8).reshape(-1, _HASH) for column in (key_hashes, digests)]
        self._waiting += np.hstack(columns).tobytes()
        self.count += len(digests)
        if len(self._waiting) >= _SPILL_BYTES:
            self._spill()

    def buckets(self) -> Sequence[bytes]:
        """Hash every bucket.

        Raises:
            DocumentError: A key stood twice.
        """
        self._spill()
        return [self._bucket(number) for number in range(BUCKETS)]

    def root(self, schema: Digest) -> Digest:
        """Give the content root.

        Raises:
            DocumentError: A key stood twice.
        """
        return content_root(schema, count=self.count, buckets=self.buckets())

    def _bucket(self, number: int) -> bytes:
        path = self._path(number)
        body = path.read_bytes() if path.exists() else b""
        entries = np.frombuffer(body, np.uint8).reshape(-1, _ENTRY)
        beginnings = np.ascontiguousarray(entries[:, :8]).view(">u8").ravel().astype(np.uint64)
        order = np.argsort(beginnings)
        beginnings = beginnings[order]
        if (beginnings[1:] == beginnings[:-1]).any():  # eight bytes do not decide their order, or a key stands twice
            cuts = [body[start : start + _ENTRY] for start in range(0, len(body), _ENTRY)]
            return bucket_digest((cut[:_HASH], cut[_HASH:]) for cut in cuts)
        return sha256(entries[order, _HASH:].tobytes()).digest()

    def _spill(self) -> None:
        waiting, self._waiting = self._waiting, bytearray()
        entries = np.frombuffer(waiting, np.uint8).reshape(-1, _ENTRY)
        numbers = entries[:, 0]
        entries = entries[np.argsort(numbers, kind="stable")]
        ends = np.cumsum(np.bincount(numbers, minlength=BUCKETS)).tolist()
        for number, (start, end) in enumerate(zip([0, *ends], ends, strict=False)):
            if start < end:
                with self._path(number).open("ab") as file:
                    file.write(entries[start:end].tobytes())

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:02x}"


class KeySpool:
    """Keys in a file, in the order in which they came."""

    def __init__(self, path: Path) -> None:
        """Make the file."""
        self._path = path
        self._path.touch(exist_ok=False)

    def add(self, keys: Sequence[bytes]) -> None:
        """Take a batch."""
        with self._path.open("ab") as file:
            file.write(b"".join(_LENGTH.pack(len(key)) + key for key in keys))

    def groups(self, count: int) -> Iterator[list[bytes]]:
        """Give all keys, so many at a time."""
        group: list[bytes] = []
        with self._path.open("rb") as file:
            while head := file.read(_LENGTH.size):
                group.append(file.read(_LENGTH.unpack(head)[0]))
                if len(group) == count:
                    yield group
                    group = []
        if group:
            yield group
