"""Which workers of this machine use a data folder's engines: the last to go stops them."""

import fcntl
import os
from pathlib import Path

_LOCK_FILE = "engines.lock"


class Users:
    """A shared lock in the folder, which ends with its process, however that dies."""

    def __init__(self, folder: Path) -> None:
        """Lock nothing yet."""
        self._path = folder / _LOCK_FILE
        self._descriptor: int | None = None

    def join(self) -> None:
        """Be one of the users; waits while the last one before stops what it used."""
        self._locked()

    def leave(self) -> bool:
        """Say whether there is no other user; while this process lives, none joins after that."""
        try:
            fcntl.flock(self._locked(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _locked(self) -> int:
        if self._descriptor is None:
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
            fcntl.flock(self._descriptor, fcntl.LOCK_SH)
        return self._descriptor
