"""`reg worker`: the worker alone, through its entry point; it is installed with the server extra."""

from pathlib import Path

import click

from regalia_cli.server import load_command


@click.command()
@click.option("--data", type=click.Path(file_okay=False, path_type=Path), help="Data folder; default REGALIA_DATA.")
def worker(data: Path | None) -> int:
    """Do the operations of a registry on this machine until Ctrl-C.

    reg serve runs one already, unless it was started with --no-worker. Any number may run beside each other: an
    operation belongs to one of them, and is taken over by another when that one dies.
    """
    status: int = load_command("worker")(data=data)
    return status
