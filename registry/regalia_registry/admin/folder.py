"""The data folder of a registry: who may serve it, and what is in it before the first start."""

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from regalia.core.errors import ConfigurationError
from regalia.core.keys import Scheme
from regalia.core.signing import SigningKey
from regalia.places import ADMIN_TOKEN_FILE, ADMIN_TOKEN_HASH_FILE, ROOT_FILE, server_keys_folder, write_private
from regalia_registry.domain.access import hash_token, make_token

_LOCK_FILE = "lock"
_MOUNTS = Path("/proc/mounts")
_NETWORK_FILE_SYSTEMS = (
    "nfs",
    "cifs",
    "smb",
    "fuse.sshfs",
    "9p",
    "afs",
    "ceph",
    "glusterfs",
    "fuse.glusterfs",
    "lustre",
)
_OWN_ROLES = ("freshness", "log")


@contextmanager
def opened(folder: Path) -> Iterator[None]:
    """Make the folder if it is not there, and be the only one to serve it while the block runs.

    The lock is the operating system's: it ends with the process that holds it, however that dies.

    Raises:
        ConfigurationError: Another process serves it, it is on a network file system, or it can't be written.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(folder / _LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise ConfigurationError(
            f'"{folder}" can\'t be the data folder: {error.strerror}', hint="choose one that you may write with --data"
        ) from error
    try:
        if _MOUNTS.is_file():
            refuse_network(folder, mounts=_MOUNTS.read_text(encoding="utf-8", errors="replace"))
        _lock(descriptor, folder)
        yield
    finally:
        os.close(descriptor)


def refuse_network(folder: Path, *, mounts: str) -> None:
    """Refuse what SQLite's write-ahead log does not work on; `mounts` is the table as `/proc/mounts` has it.

    Raises:
        ConfigurationError: The folder is on a network file system.
    """
    longest, kind = "", ""
    for line in mounts.splitlines():
        _, mount, found, *_ = line.split(" ")
        place = mount.replace("\\040", " ")  # how the table writes a space
        if folder.resolve().is_relative_to(place) and len(place) >= len(longest):
            longest, kind = place, found
    if kind.startswith(_NETWORK_FILE_SYSTEMS):
        raise ConfigurationError(
            f'"{folder}" is on a network file system ({kind}), where the database would lose writes',
            hint="choose a local folder with --data",
        )


def make_own_keys(folder: Path) -> None:
    """Make the keys that the first root will name; once there is a root, a lost key is not made up."""
    if (folder / ROOT_FILE).exists():
        return
    for role in _OWN_ROLES:
        path = server_keys_folder(folder) / f"{role}.pem"
        if not path.exists():
            write_private(path, SigningKey.generate(Scheme.ED25519).pem())


def make_admin_token(folder: Path) -> Path | None:
    """Make an admin token where the folder has none; gives the file it lies in, or None."""
    if (folder / ADMIN_TOKEN_HASH_FILE).exists():
        return None
    token = make_token(secrets.token_bytes(32))
    write_private(folder / ADMIN_TOKEN_FILE, token.encode("ascii") + b"\n")
    write_private(folder / ADMIN_TOKEN_HASH_FILE, (hash_token(token) or "").encode("ascii"))
    return folder / ADMIN_TOKEN_FILE


def _lock(descriptor: int, folder: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        owner = os.read(descriptor, 32).decode("ascii", "replace").strip()
        raise ConfigurationError(
            f'"{folder}" is served already, by {f"process {owner}" if owner else "another process"}',
            hint="stop that one, or choose another folder with --data",
        ) from error
    os.ftruncate(descriptor, 0)
    os.write(descriptor, str(os.getpid()).encode("ascii"))
