"""One folder's files by name, and never anything outside: no paths, no links, nothing that is no plain file."""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from regalia.core.errors import AccessError, ConflictError, NotFoundError, StorageFullError, UnavailableError

_KEPT = 40  # characters of a name that its temporary one keeps
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_CLOSED = {errno.EACCES, errno.EPERM, errno.EROFS}
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # a pipe would wait for its writer
_MAKE = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC

Stamp = tuple[int, int, int, int]


@contextmanager
def translated() -> Iterator[None]:
    """Turn the system's errors into ours.

    Raises:
        StorageFullError: There is no space.
        AccessError: The folder does not let us.
        UnavailableError: Anything else.
    """
    try:
        yield
    except OSError as error:
        told = (error.strerror or str(error)).lower()
        if error.errno in _FULL:
            raise StorageFullError(f"the folder is full: {told}", hint="make room, and ask again") from error
        if error.errno in _CLOSED:
            raise AccessError(
                f"the folder can't be written: {told}", hint="give the worker's user the right to write there"
            ) from error
        raise UnavailableError(
            f"the folder can't be used: {told}", hint="is it there, and its disk mounted?"
        ) from error


class Folder:
    """An open folder. Its names are used as they are: whoever calls has checked that they are names."""

    def __init__(self, descriptor: int) -> None:
        """Own the descriptor."""
        self._descriptor = descriptor

    @classmethod
    def open(cls, path: Path) -> "Folder":
        """Open a folder by its path."""
        with translated():
            return cls(os.open(path, _FOLDER))

    def close(self) -> None:
        """Let go of it, once."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def names(self) -> list[str]:
        """List what is in it, sorted."""
        with translated():
            return sorted(os.listdir(self._descriptor))

    def is_writable(self) -> bool:
        """Say whether files can be made in it."""
        return os.access(".", os.W_OK | os.X_OK, dir_fd=self._descriptor)

    def free_bytes(self) -> int:
        """Give the room that is left on its disk."""
        with translated():
            found = os.fstatvfs(self._descriptor)
        return found.f_bavail * found.f_frsize

    def find(self, name: str) -> BinaryIO | None:
        """Open a plain file to be read; None where there is none of this name, or it is anything else."""
        with translated():
            try:
                found = os.open(name, _READ, dir_fd=self._descriptor)
            except FileNotFoundError:
                return None
            except OSError as error:
                if error.errno in {errno.ELOOP, errno.EMLINK, errno.ENXIO}:  # a link, a socket
                    return None
                raise
            if stat.S_ISREG(os.fstat(found).st_mode):
                return os.fdopen(found, "rb")
            os.close(found)
        return None

    def has(self, name: str) -> bool:
        """Say whether anything has the name, a broken link included."""
        with translated():
            try:
                os.stat(name, dir_fd=self._descriptor, follow_symlinks=False)
            except FileNotFoundError:
                return False
        return True

    def find_folder(self, name: str) -> "Folder | None":
        """Open a folder in it; None where there is none of this name."""
        with translated():
            try:
                return Folder(os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=self._descriptor))
            except OSError as error:
                if error.errno in {errno.ENOENT, errno.ENOTDIR, errno.ELOOP}:
                    return None
                raise

    def make_folder(self, name: str) -> "Folder":
        """Make a folder in it, which must not be there."""
        with translated():
            os.mkdir(name, 0o700, dir_fd=self._descriptor)
            return Folder(os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=self._descriptor))

    def rename(self, name: str, to: str) -> bool:
        """Rename a folder in it to a name that is free or an empty folder's; False where it is neither."""
        with translated():
            try:
                os.rename(name, to, src_dir_fd=self._descriptor, dst_dir_fd=self._descriptor)
            except OSError as error:
                if error.errno in {errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR}:
                    return False
                raise
        return True

    @contextmanager
    def writing(self, name: str, *, replace: bool = False) -> Iterator[BinaryIO]:
        """Write a file that gets its name once it is whole and on the disk.

        Raises:
            ConflictError: The name is taken, and what has it isn't to be replaced.
        """
        beside = f".{name[:_KEPT]}.{os.urandom(4).hex()}"
        with translated():
            made = os.open(beside, _MAKE, 0o644, dir_fd=self._descriptor)
        try:
            with translated(), open(made, "wb") as file:
                yield file
                file.flush()
                os.fsync(made)
            self._link(beside, name, replace=replace)
        finally:
            with suppress(FileNotFoundError):
                os.unlink(beside, dir_fd=self._descriptor)

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        with translated(), suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self._descriptor)

    def remove_folder(self, name: str) -> None:
        """Remove a folder of files, if it is there."""
        inner = self.find_folder(name)
        if inner is None:
            return
        with closing(inner):
            for one in inner.names():
                inner.remove(one)
        with translated():
            try:
                os.rmdir(name, dir_fd=self._descriptor)
            except OSError as error:
                if error.errno not in {errno.ENOENT, errno.ENOTEMPTY}:  # a late worker's file is of no load any more
                    raise

    def _link(self, beside: str, name: str, *, replace: bool) -> None:
        with translated():
            try:
                if replace:
                    os.replace(beside, name, src_dir_fd=self._descriptor, dst_dir_fd=self._descriptor)
                    return
                os.link(beside, name, src_dir_fd=self._descriptor, dst_dir_fd=self._descriptor, follow_symlinks=False)
                os.fsync(self._descriptor)
            except FileExistsError as error:
                raise ConflictError(f'the name "{name}" is taken', hint="choose another") from error


def stamp_of(file: BinaryIO) -> Stamp:
    """Give what changes with every write to a file: where it is, its size, its time."""
    with translated():
        found = os.fstat(file.fileno())
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def read_small(file: BinaryIO, *, max_bytes: int) -> bytes:
    """Read a small file whole.

    Raises:
        NotFoundError: It is larger than any of ours.
    """
    with translated():
        body = file.read(max_bytes + 1)
    if len(body) > max_bytes:
        raise NotFoundError("a file that says what is loaded is larger than any of ours", hint="remove its folder")
    return body
