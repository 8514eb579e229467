"""`reg agents`: who follows a channel, and what each serves."""

import click

from regalia import fleet
from regalia_cli import output
from regalia_cli.state import State, pass_state


@click.command()
@click.argument("channel", metavar="APP:CHANNEL")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@pass_state
def agents(state: State, channel: str, *, as_json: bool) -> None:
    """List the agents that followed APP:CHANNEL within the last day, and what each says that it serves.

    Agents follow by `Client.follow`; those that resolve only now and then are not seen. A pinned one serves one bundle,
    wherever the channel is.
    """
    reference = state.channel(channel)
    found = list(fleet.list_agents(state.client, reference))
    if as_json:
        output.answer_json(found)
        return
    rows = [
        (
            one.instance,
            one.version or one.bundle[:19],
            f"{one.epoch}.{one.sequence}",
            "pinned" if one.pinned else "",
            f"{one.age_s} s ago" if one.age_s < 120 else one.seen_at,
        )
        for one in found
    ]
    empty = f"nobody follows {reference}: agents do by Client().follow(…)"
    output.answer_table(("INSTANCE", "SERVES", "POINTER", "", "SEEN"), rows, empty=empty)
