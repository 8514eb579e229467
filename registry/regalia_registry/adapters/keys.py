"""The registry's own keys and the newest root, as files of its data folder."""

import os
from collections.abc import Collection, Sequence
from pathlib import Path

import structlog

from regalia.core.errors import ConfigurationError
from regalia.core.keys import PublicKey
from regalia.core.signing import SigningKey

_FRESHNESS = "freshness"
_LOG = "log"

log = structlog.get_logger("regalia.keys")


class FolderKeys:
    """An `OwnKeys` in a folder: `freshness.pem`, `log.pem`, and a `freshness.next.pem` while one is rotated."""

    def __init__(self, folder: Path) -> None:
        """Read nothing yet."""
        self._folder = folder
        self._loaded: dict[str, SigningKey] = {}

    def freshness_signers(self, keyids: Collection[str]) -> Sequence[SigningKey]:
        """Find the freshness keys that a root names; the folder is read again where one is not known."""
        if not all(keyid in self._loaded for keyid in keyids):
            keys = [_load(path) for path in sorted(self._folder.glob(f"{_FRESHNESS}*.pem"))]
            self._loaded = {key.keyid: key for key in keys}
        return [self._loaded[keyid] for keyid in keyids if keyid in self._loaded]

    def public_keys(self) -> tuple[PublicKey, PublicKey]:
        """Give the public halves of the freshness and the log key."""
        return _load(self._folder / f"{_FRESHNESS}.pem").public, _load(self._folder / f"{_LOG}.pem").public


class FolderRoot:
    """A `RootFile` on disk."""

    def __init__(self, path: Path) -> None:
        """Write nothing yet."""
        self._path = path

    def keep(self, envelope: bytes) -> None:
        """Replace the file whole."""
        beside = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        try:
            beside.write_bytes(envelope)
            beside.replace(self._path)
        except OSError as error:
            log.warning("the newest root could not be kept beside the database", reason=error.strerror)


def _load(path: Path) -> SigningKey:
    try:
        return SigningKey.parse(path.read_bytes())
    except OSError as error:
        raise ConfigurationError(
            f'the key file "{path.name}" can\'t be read: {error.strerror}',
            hint="restore the data folder's keys from the backup, or see the page on a lost freshness key",
        ) from error
