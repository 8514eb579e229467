"""As whom the embedded PostgreSQL runs, and with which binaries.

PostgreSQL refuses to run as root. There it runs as the user `nobody`, and its data, and its binaries where that user
does not reach the environment, lie in a folder of its own: nobody's home folder is opened up for it.
"""

import hashlib
import os
import pwd
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from regalia.core.errors import ConfigurationError, StorageFullError
from regalia_registry.adapters.vectors.pgvector.places import ROOTS_FOLDER, cluster_folder, sockets_folder

_UNPRIVILEGED = "nobody"
_PRIVATE = 0o077
_ENVIRONMENT: Mapping[str, str] = {"PATH": os.defpath, "LC_ALL": "C"}  # the worker's holds the secrets of targets

FULL = b"No space left on device"  # as programs say it in LC_ALL=C
RUN_S = 600.0  # crash recovery takes as long as it takes


@dataclass(frozen=True, slots=True)
class Runner:
    """Runs PostgreSQL's programs as the user that owns its data."""

    binaries: Path
    user: int | None

    def run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        """Run one of the binaries to its end."""
        return self._run([str(self.binaries / program), *arguments])

    def write(self, path: Path, text: str) -> subprocess.CompletedProcess[bytes]:
        """Write a file as that user, whole or not at all: root writes nothing where another may plant a link."""
        return self._run(["/bin/sh", "-c", 'cat > "$0.new" && mv "$0.new" "$0"', str(path)], text.encode())

    def _run(self, command: Sequence[str], given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(  # noqa: S603 # our own wheel's binaries and a shell, with words of ours
            command,
            user=self.user,
            cwd="/",
            env=_ENVIRONMENT,
            umask=_PRIVATE,
            capture_output=True,
            input=given,
            check=False,
            timeout=RUN_S,
        )


def make_runner(folder: Path, binaries: Path) -> Runner:
    """Make the folders, as that user's, and find binaries that it can run.

    Raises:
        ConfigurationError: This is root, and there is no user to run as.
        StorageFullError: There is no room for a copy of the binaries.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if os.geteuid() != 0:
        sockets_folder(folder).mkdir(mode=0o700, exist_ok=True)
        return Runner(binaries, None)
    try:
        user = pwd.getpwnam(_UNPRIVILEGED).pw_uid
    except KeyError as error:
        raise ConfigurationError(
            "PostgreSQL refuses to run as root, and there is no user nobody", hint="run reg serve as another user"
        ) from error
    ROOTS_FOLDER.mkdir(mode=0o755, parents=True, exist_ok=True)
    for made in (cluster_folder(folder), sockets_folder(folder)):
        made.mkdir(mode=0o700, exist_ok=True)
        os.chown(made, user, -1)
    return Runner(_reachable(binaries, user), user)


def _reachable(binaries: Path, user: int) -> Path:
    """Give binaries that the unprivileged user can run: the environment's, or a copy of them."""
    tried = subprocess.run(  # noqa: S603 # our own wheel's binary
        ["/bin/sh", "-c", 'exec "$0" --version', str(binaries / "postgres")],
        user=user,
        cwd="/",
        env=_ENVIRONMENT,
        capture_output=True,
        check=False,
    )
    if tried.returncode == 0:
        return binaries
    stamp = hashlib.sha256(bytes(binaries)).hexdigest()[:16]
    copied = ROOTS_FOLDER / f"binaries-{stamp}"
    if not copied.exists():
        making = copied.with_suffix(f".{os.getpid()}")
        try:
            shutil.copytree(binaries.parent, making, symlinks=True)
        except shutil.Error as error:  # one for all files, which has only the words of theirs
            shutil.rmtree(making, ignore_errors=True)
            if FULL.decode() not in str(error):
                raise
            raise StorageFullError(
                "the embedded PostgreSQL's programs find no room", hint=f"make room in {ROOTS_FOLDER}"
            ) from error
        try:
            making.rename(copied)
        except OSError:  # another process was first
            shutil.rmtree(making)
    return copied / "bin"
