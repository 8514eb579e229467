"""`reg login`: keep a token for a registry."""

from pathlib import Path

import click

from regalia import administration, credentials
from regalia.client import Client
from regalia_cli import output
from regalia_cli.state import State, pass_state


@click.command()
@click.option("--token-file", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Read it from a file.")
@pass_state
def login(state: State, token_file: Path | None) -> None:
    """Try a token with the registry, and keep it for this user (0600)."""
    url = state.client.settings.url
    if token_file is not None:
        token = token_file.read_text(encoding="ascii", errors="replace").strip()
    else:
        token = click.prompt(f"Token for {url}", hide_input=True, err=True).strip()
    caller = administration.who_am_i(Client(url, token=token))
    path = credentials.keep_token(state.environment, url, token)
    output.tell(f"kept in {path}")
    output.answer(f"{caller.name} at {url}")
