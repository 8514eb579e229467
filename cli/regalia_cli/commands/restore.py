"""`reg restore`: bring a channel back, plan first, one question."""

import click

from regalia import moving
from regalia_cli.commands import arriving
from regalia_cli.commands.carrying import Ways, carry_out, show_plan, show_steps, wait_option
from regalia_cli.commands.confirming import confirm
from regalia_cli.state import State, pass_state


@click.command()
@click.argument("channel", metavar="APP:CHANNEL")
@click.option("--to", required=True, metavar="previous|current|VERSION|DIGEST", help="A bundle that the channel named.")
@click.option("--reason", required=True, help="Why; signed for ever, so a ticket rather than names.")
@click.option("--ticket", help="The approval's ticket, for the record.")
@click.option("--approver", help="Who approved, for the record; stored beside it.")
@click.option("--no-hold", is_flag=True, help="Don't hold the bundle that the channel leaves.")
@click.option("--unplaced", is_flag=True, help="Leave the bundle's snapshots without a place.")
@click.option("--supersede", is_flag=True, help="End another restore of the channel that is open.")
@wait_option
@click.option("--seal-first", is_flag=True, help="Stop the writers of live collections before the channel leaves them.")
@click.option("--dry-run", is_flag=True, help="Show the plan; sign nothing.")
@click.option("--yes", is_flag=True, help="Don't ask.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@pass_state
def restore(
    state: State,
    channel: str,
    to: str,
    reason: str,
    ticket: str | None,
    approver: str | None,
    *,
    no_hold: bool,
    wait_s: float | None,
    unplaced: bool,
    seal_first: bool,
    supersede: bool,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:  # an option each
    """Bring APP:CHANNEL back to a bundle that it named before, as a whole, and hold the one that it leaves.

    Collections come back with it: those that are there at once, the others are made from their snapshots first. The old
    bundle serves until all is ready. `--to current` brings the collections alone back to what was released.
    """
    facts = moving.Facts(reason, ticket, approver)
    plan = moving.plan_restore(state.client, state.channel(channel), to, facts, hold=not no_hold)
    ways = Ways(
        dry_run=dry_run, unplaced=unplaced, as_json=as_json, supersede=supersede, wait_s=wait_s, seal_first=seal_first
    )
    show_plan(plan)
    plan = show_steps(state, plan, ways)
    arriving.show(arriving.seen(state, plan))
    confirm("Restore?", yes=plan.is_unchanged or dry_run or yes)
    carry_out(state, plan, ways)
