"""What the server extra brings to `reg`: found through entry points, since the CLI knows nothing of the server."""

from collections.abc import Callable
from importlib.metadata import entry_points
from typing import Any

from regalia.core.errors import ConfigurationError

_GROUP = "regalia.commands"


def load_command(name: str) -> Callable[..., Any]:
    """Find what does a command of the server, as `serve` or `admin-check`.

    Raises:
        ConfigurationError: The server extra is not installed.
    """
    found = [point for point in entry_points(group=_GROUP) if point.name == name]
    try:
        command: Callable[..., Any] = found[0].load()
    except (IndexError, ModuleNotFoundError) as error:
        raise ConfigurationError(
            f"reg {name.replace('-', ' ')} is not installed here", hint="pip install 'regalia[server]'"
        ) from error
    return command
