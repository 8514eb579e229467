"""`reg history`: who moved a channel, when and why; refused moves too."""

from itertools import islice

import click

from regalia import administration
from regalia_cli import output
from regalia_cli.state import State, pass_state


@click.command()
@click.argument("name", metavar="APP[:CHANNEL]", required=False)
@click.option("--limit", default=20, show_default=True, help="How many.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON: the whole deployment records.")
@pass_state
def history(state: State, name: str | None, limit: int, *, as_json: bool) -> None:
    """List the deployments of a channel, or of all channels, newest first."""
    channel = state.channel(name) if name is not None and ":" in name else None
    application = state.application(name) if channel is None else channel.application
    asked = None if channel is None else channel.channel
    found = list(islice(administration.deployments(state.client, application, channel=asked), limit))
    if as_json:
        output.answer_json(found)
        return
    rows = [
        (
            one.timestamp,
            one.environment,
            one.version,
            one.move if one.success else f"{one.move} (refused)",
            one.deployer,
            one.reason,
            "; ".join(one.changes[:3]) + (" …" if len(one.changes) > 3 else ""),
        )
        for one in found
    ]
    columns = ("TIME", "CHANNEL", "VERSION", "MOVE", "BY", "REASON", "CHANGES")
    output.answer_table(columns, rows, empty="nothing was deployed yet")
