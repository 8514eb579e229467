"""Finding the provider of a target among those that are installed."""

import importlib
import importlib.util
from importlib.metadata import entry_points
from pathlib import Path

from regalia.core.errors import ConfigurationError
from regalia_registry.adapters.vectors.credentials import read_secret
from regalia_registry.adapters.vectors.users import Users
from regalia_registry.domain.operations import Holder, Target
from regalia_registry.ports.vectors import Provider

_GROUP = "regalia.providers"
_EMBEDDED = "embedded"


class InstalledTargets:
    """A `Targets` over the entry points `regalia.providers`; called with URL, password, data folder, holder."""

    def __init__(self, data: Path, *, local_port: int = 0) -> None:
        """Open nothing yet; `local_port` is the embedded PostgreSQL's port for agents, 0 for none."""
        self._data = data
        self._users = Users(data)
        self._local_port = local_port

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
        url = f"embedded:{self._local_port}" if target.provider == _EMBEDDED else target.url
        secret = read_secret(target.credential)
        self._users.join()
        opened: Provider = opens(url, password=secret, data=self._data, holder=holder)
        return opened

    def close(self) -> None:
        """Stop the embedded PostgreSQL, if no other worker uses it; its module is loaded for that alone."""
        if self._users.leave() and importlib.util.find_spec("psycopg") is not None:
            importlib.import_module("regalia_registry.adapters.vectors.pgvector.embedded").stop_embedded(self._data)
