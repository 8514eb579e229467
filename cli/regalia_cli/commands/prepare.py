"""`reg prepare`: make a bundle's collections before they are needed."""

import click

from regalia import moving
from regalia.core.names import check_channel
from regalia.core.references import BundleReference
from regalia_cli import output, progress
from regalia_cli.state import State, pass_state


@click.command()
@click.argument("reference", metavar="VERSION")
@click.option("--for", "channel", required=True, metavar="CHANNEL", help="Where it is to be promoted or restored.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@pass_state
def prepare(state: State, reference: str, channel: str, *, as_json: bool) -> None:
    """Make the collections that the bundle VERSION needs in CHANNEL, so that a move there takes no time.

    Nothing moves, and nobody signs anything.
    """
    target = state.bundle(reference)
    placed = BundleReference(target.application, channel=check_channel(channel.removeprefix(":")))
    with progress.shown() as tell:
        done = moving.warm_up(state.client, placed, target, tell)
    if as_json:
        output.answer_json(done.outcome)
        return
    names = (done.outcome or {}).get("collections")
    output.answer(f"{target} is warm for {placed}: {', '.join(map(str, names)) if isinstance(names, list) else ''}")
