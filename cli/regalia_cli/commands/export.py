"""`reg export` and `reg import`: a bundle as an OCI image layout."""

from pathlib import Path

import click

from regalia import exports
from regalia_cli import output
from regalia_cli.state import State, pass_state


@click.command()
@click.argument("reference")
@click.argument("destination", type=click.Path(path_type=Path))
@pass_state
def export(state: State, reference: str, destination: Path) -> None:
    """Write a bundle with its signatures as an OCI image layout: a folder, or one file where the name ends in .tar."""
    index = exports.export(state.client, reference, destination)
    output.tell(f"{index.application}@{index.version}  {index.digest}")
    output.answer(str(destination))


@click.command(name="import")
@click.argument("source", type=click.Path(exists=True, path_type=Path))
@pass_state
def import_(state: State, source: Path) -> None:
    """Verify an exported bundle under this registry's trust root, and take it in."""
    entry = exports.take_in(state.client, source)
    word = "taken in" if entry.created else "unchanged"
    output.answer(f"{entry.application}@{entry.version}  {word}  {entry.digest[:19]}")
