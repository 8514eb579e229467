"""`reg worker`: the worker alone, through its entry point; it is installed with the server extra."""

from importlib.metadata import entry_points
from pathlib import Path

import click

from regalia.core.errors import ConfigurationError


@click.command()
@click.option("--data", type=click.Path(file_okay=False, path_type=Path), help="Data folder; default REGALIA_DATA.")
def worker(data: Path | None) -> int:
    """Do the operations of a registry on this machine until Ctrl-C.

    reg serve runs one already, unless it was started with --no-worker. Any number may run beside each other: an
    operation belongs to one of them, and is taken over by another when that one dies.
    """
    found = [point for point in entry_points(group="regalia.commands") if point.name == "worker"]
    try:
        start = found[0].load()
    except (IndexError, ModuleNotFoundError) as error:
        raise ConfigurationError("reg worker is not installed here", hint="pip install 'regalia[server]'") from error
    status: int = start(data=data)
    return status
