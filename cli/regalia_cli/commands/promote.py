"""`reg promote`: make a channel name a bundle."""

import click

from regalia import moving
from regalia.core.names import check_channel
from regalia.core.references import BundleReference
from regalia_cli.commands import arriving
from regalia_cli.commands.carrying import Ways, carry_out, show_plan, show_steps, wait_option
from regalia_cli.state import State, pass_state


@click.command()
@click.argument("reference", metavar="VERSION")
@click.option("--to", required=True, metavar="CHANNEL", help="dev, staging, prod …; a first promote makes it.")
@click.option("--reason", default="", help="Why; signed for ever, so a ticket rather than names.")
@click.option("--ticket", help="The approval's ticket, for the record.")
@click.option("--approver", help="Who approved, for the record; stored beside it.")
@click.option("--unplaced", is_flag=True, help="Leave the bundle's snapshots without a place.")
@wait_option
@click.option("--seal-first", is_flag=True, help="Stop the writers of live collections before the channel leaves them.")
@click.option("--dry-run", is_flag=True, help="Show what would change; sign nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@pass_state
def promote(
    state: State,
    reference: str,
    to: str,
    reason: str,
    ticket: str | None,
    approver: str | None,
    *,
    wait_s: float | None,
    unplaced: bool,
    seal_first: bool,
    dry_run: bool,
    as_json: bool,
) -> None:  # an option each
    """Make a channel name the bundle VERSION (or a digest, or a whole reference), and show what changes."""
    target = state.client.parse(reference)
    channel = BundleReference(target.application, channel=check_channel(to.removeprefix(":")))
    plan = moving.plan_promote(state.client, channel, target, moving.Facts(reason, ticket, approver))
    show_plan(plan)
    ways = Ways(dry_run=dry_run, unplaced=unplaced, as_json=as_json, wait_s=wait_s, seal_first=seal_first)
    plan = show_steps(state, plan, ways)
    arriving.show(arriving.seen(state, plan))
    carry_out(state, plan, ways)
