"""Blobs on a local disk: written beside, synced, then linked under their digest."""

import errno
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from io import BufferedIOBase, BufferedReader, FileIO, RawIOBase
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote, urlsplit

from typing_extensions import Buffer

from regalia.core.digest import Digest
from regalia.core.errors import NotFoundError, StorageFullError, UnavailableError
from regalia_registry.adapters.checking import checked

_ABANDONED_S = 24 * 3600
_SHELVES = [f"{number:02x}" for number in range(256)]
_MODE = 0o600
_NO_LINK = {errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP}  # another disk, or one without hard links
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class DiskBlobs:
    """A `BlobStore` in a folder: `sha256/ab/ab…`, and `incoming/` for what is not whole yet."""

    def __init__(self, folder: Path) -> None:
        """Make the folders, and clear what a killed process left a day ago."""
        self._folder = folder / "sha256"
        self._incoming = folder / "incoming"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._incoming.mkdir(mode=0o700, exist_ok=True)
        self._make_shelves()
        oldest = time.time() - _ABANDONED_S
        for left in self._incoming.iterdir():
            with suppress(OSError):  # another process clears too, or the disk can only be read
                if left.stat().st_mtime < oldest:
                    left.unlink()

    def put(self, *, digest: Digest, source: BufferedIOBase, size_bytes: int) -> bool:
        """Keep the stream under `digest`, hashing while it is written."""
        try:
            descriptor, name = tempfile.mkstemp(dir=self._incoming)
        except OSError as error:
            raise _translated(error) from error
        incoming = Path(name)
        try:
            with FileIO(descriptor, "wb") as target:
                for chunk in checked(source, digest, size_bytes):
                    _write(target, chunk)
                os.fsync(target.fileno())
            return self._keep(incoming, digest)
        except OSError as error:
            raise _translated(error) from error
        finally:
            incoming.unlink(missing_ok=True)

    def link(self, *, digest: Digest, path: Path, size_bytes: int) -> bool:
        """Keep a whole file under `digest`, hashing it first: the file itself, where it lies on this disk."""
        try:
            with path.open("rb") as source:
                for _ in checked(source, digest, size_bytes):
                    pass
                os.fchmod(source.fileno(), _MODE)
                os.fsync(source.fileno())
            try:
                return self._keep(path, digest)
            except OSError as error:
                if error.errno not in _NO_LINK:
                    raise
            with path.open("rb") as source:
                return self.put(digest=digest, source=source, size_bytes=size_bytes)
        except OSError as error:
            raise _translated(error) from error

    def open(self, *, digest: Digest, start: int = 0, stop: int | None = None) -> BinaryIO:
        """Open the bytes from `start` up to `stop`."""
        try:
            source = self._path(digest).open("rb", buffering=0)
            source.seek(start)
            return BufferedReader(_Window(source, remaining=sys.maxsize if stop is None else max(0, stop - start)))
        except FileNotFoundError as error:
            raise NotFoundError(f"there is no blob {digest.short}", hint="push it again: reg push") from error
        except OSError as error:
            raise _translated(error) from error

    def stat(self, *, digest: Digest) -> int | None:
        """Give the size in bytes, or None."""
        try:
            return self._path(digest).stat().st_size
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _translated(error) from error

    def url_for(self, *, digest: Digest) -> str | None:  # noqa: ARG002 # the port's name; a disk has no address
        """Give None: only this process reads the disk."""
        return None

    def delete(self, *, digest: Digest) -> bool:
        """Remove a blob."""
        try:
            self._path(digest).unlink()
        except FileNotFoundError:
            return False
        except OSError as error:
            raise _translated(error) from error
        return True

    def list(self, *, after: Digest | None = None) -> Iterator[Digest]:
        """Walk all blobs in the order of their digests."""
        for shelf in _SHELVES:
            if after is not None and shelf < after.hex[:2]:
                continue
            try:
                names = sorted(os.listdir(self._folder / shelf))
            except OSError as error:
                raise _translated(error) from error
            yield from (Digest(name) for name in names if after is None or name > after.hex)

    def _path(self, digest: Digest) -> Path:
        return self._folder / digest.hex[:2] / digest.hex

    def _keep(self, incoming: Path, digest: Digest) -> bool:
        path, is_new = self._path(digest), True
        try:
            os.link(incoming, path)  # unlike a rename, never over a blob that is there
        except FileExistsError:
            is_new = False
        _sync_folder(path.parent)  # also where it was there: whoever linked it may not have come this far yet
        return is_new

    def _make_shelves(self) -> None:
        """Make all shelves at once, so that no put has to make one last."""
        if (self._folder / _SHELVES[-1]).is_dir():
            return
        self._folder.mkdir(mode=0o700, exist_ok=True)
        for shelf in _SHELVES:
            (self._folder / shelf).mkdir(mode=0o700, exist_ok=True)
        _sync_folder(self._folder)
        _sync_folder(self._folder.parent)


class _Window(RawIOBase):
    """A file that ends early."""

    def __init__(self, source: FileIO, *, remaining: int) -> None:
        self._source = source
        self._remaining = remaining

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer) -> int:
        view = memoryview(buffer)[: self._remaining]
        try:
            count = self._source.readinto(view) or 0
        except OSError as error:
            raise _translated(error) from error
        self._remaining -= count
        return count

    def close(self) -> None:
        self._source.close()
        super().close()


def _write(target: FileIO, content: memoryview) -> None:
    while content:
        content = content[target.write(content) :]


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _translated(error: OSError) -> UnavailableError:
    if error.errno in _FULL:
        return StorageFullError("the registry's disk takes no more", hint="make room; nothing of this blob was stored")
    return UnavailableError(f"the registry's disk did not answer: {error.strerror}", hint="see the registry's log")


def open_disk(url: str) -> DiskBlobs:
    """Open the blobs of a `file://` address."""
    return DiskBlobs(Path(unquote(urlsplit(url).path)))
