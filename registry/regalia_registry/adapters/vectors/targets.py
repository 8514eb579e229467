"""Finding the provider of a target among those that are installed."""

import importlib
import importlib.util
from importlib.metadata import entry_points
from pathlib import Path

from regalia.core.errors import ConfigurationError
from regalia_registry.adapters.vectors.credentials import read_secret
from regalia_registry.domain.operations import Holder, Target
from regalia_registry.ports.vectors import Provider

_GROUP = "regalia.providers"


class InstalledTargets:
    """A `Targets` over the entry points `regalia.providers`; called with URL, password, data folder, holder."""

    def __init__(self, data: Path) -> None:
        """Open nothing yet."""
        self._data = data

    def connect(self, target: Target, *, holder: Holder) -> Provider:
        """Open a connection."""
        found = {point.name: point for point in entry_points(group=_GROUP)}
        if target.provider not in found:
            raise ConfigurationError(
                f'no provider "{target.provider}" is installed', hint=f"known: {', '.join(sorted(found))}"
            )
        try:
            opens = found[target.provider].load()
        except ImportError as error:
            raise ConfigurationError(
                f'the provider "{target.provider}" lacks a library: {error.name}',
                hint=f"pip install 'regalia[{target.provider}]'",
            ) from error
        secret = read_secret(target.credential)
        opened: Provider = opens(target.url, password=secret, data=self._data, holder=holder)
        return opened

    def close(self) -> None:
        """Stop the embedded PostgreSQL, if there is one; its module is loaded for that alone."""
        if importlib.util.find_spec("psycopg") is not None:
            importlib.import_module("regalia_registry.adapters.vectors.pgvector.embedded").stop_embedded(self._data)
