"""Keys in files: the registry's own, which sign freshness and later the log."""

from pathlib import Path

from regalia.core.errors import ConfigurationError
from regalia.core.keys import SigningKey


def load_key(path: Path) -> SigningKey:
    """Read a key file, which is a `Signer`.

    Raises:
        ConfigurationError: It is missing or no key.
    """
    try:
        return SigningKey.parse(path.read_bytes())
    except OSError as error:
        raise ConfigurationError(
            f'the key file "{path.name}" can\'t be read: {error.strerror}',
            hint="restore the data folder's keys from the backup, or see the page on a lost freshness key",
        ) from error
