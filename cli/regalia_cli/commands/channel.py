"""`reg channel`: list, show and renew channels."""

import click

from regalia import administration, moving
from regalia_cli import output
from regalia_cli.state import State, pass_state


@click.group()
def channel() -> None:
    """List, show and renew channels."""


@channel.command(name="list")
@click.argument("application", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@pass_state
def list_(state: State, application: str | None, *, as_json: bool) -> None:
    """List an application's channels and what they name."""
    found = list(administration.list_channels(state.client, state.application(application)))
    if as_json:
        output.answer_json(found)
        return
    rows = [
        (one.channel, one.pointer.version, one.pointer.bundle[:19], one.pointer.issued_at, one.pointer.expires)
        for one in found
    ]
    empty = "no channels: reg promote VERSION --to CHANNEL makes one"
    output.answer_table(("CHANNEL", "VERSION", "BUNDLE", "SINCE", "EXPIRES"), rows, empty=empty)


@channel.command()
@click.argument("name", metavar="APP:CHANNEL")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@pass_state
def show(state: State, name: str, *, as_json: bool) -> None:
    """Show a channel's pointer, verified."""
    reference = state.channel(name)
    bundle = state.client.refresh(str(reference))
    entry = administration.get_channel(state.client, reference).pointer
    if as_json:
        output.answer_json(entry)
        return
    rows = [
        ("names", f"{bundle.version}  {bundle.digest}"),
        ("provenance", f"{bundle.provenance}"),
        ("min_pointer", f"{entry.epoch}.{entry.sequence}"),
        ("moved by", f"{entry.move} {entry.reason}".strip()),
        ("issued", entry.issued_at),
        ("expires", entry.expires),
        ("fallbacks", ", ".join(digest[:19] for digest in entry.fallbacks)),
        ("on hold", "" if entry.hold is None else entry.hold.reason),
    ]
    output.answer_table(("", ""), [row for row in rows if row[1]], empty="")


@channel.command()
@click.argument("name", metavar="APP:CHANNEL")
@pass_state
def renew(state: State, name: str) -> None:
    """Sign a younger pointer to the same bundle."""
    reference = state.channel(name)
    plan = moving.plan_renew(state.client, reference)
    moved = moving.execute(state.client, plan, moving.channel_signer(state.client, reference))
    output.answer(f"{reference} names {moved.pointer.version} until {moved.pointer.expires}")
