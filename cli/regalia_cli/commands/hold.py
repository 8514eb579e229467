"""`reg hold` and `reg lift`: an operational brake on a bundle."""

import click

from regalia import administration
from regalia_cli import output
from regalia_cli.state import State, pass_state


@click.command()
@click.argument("reference", metavar="APP@VERSION")
@click.option("--reason", required=True, help="Why.")
@pass_state
def hold(state: State, reference: str, reason: str) -> None:
    """Let no channel newly name a bundle; channels that name it go on."""
    parsed = state.bundle(reference)
    held = administration.hold(state.client, parsed, reason=reason)
    output.answer(f"{parsed.application}@{held.version}  on hold  {held.reason}")


@click.command()
@click.argument("reference", metavar="APP@VERSION")
@click.option("--reason", required=True, help="Why.")
@pass_state
def lift(state: State, reference: str, reason: str) -> None:
    """Lift the hold of a bundle."""
    parsed = state.bundle(reference)
    entry = administration.lift(state.client, parsed, reason=reason)
    output.answer(f"{parsed.application}@{entry.version}  lifted")
