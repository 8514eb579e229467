"""`reg serve`: the registry, through its entry point; it is installed with the server extra."""

from pathlib import Path

import click

from regalia_cli.server import load_command


@click.command()
@click.option("--host", help="Address to listen on; default 127.0.0.1.")
@click.option("--port", type=click.IntRange(0, 65535), help="Port; default 7117, 0 for any free one.")
@click.option("--workers", type=click.IntRange(1, 64), help="Web processes; default 2.")
@click.option("--data", type=click.Path(file_okay=False, path_type=Path), help="Data folder; default REGALIA_DATA.")
@click.option("--no-worker", is_flag=True, help="Leave operations to reg worker.")
def serve(host: str | None, port: int | None, workers: int | None, data: Path | None, *, no_worker: bool) -> int:
    """Run a registry on this machine until Ctrl-C.

    The first start makes everything it needs in the data folder. Settings come from its server.toml, then
    REGALIA_SERVER_<NAME>, then these options.
    """
    status: int = load_command("serve")(host=host, port=port, workers=workers, data=data, worker=not no_worker)
    return status
