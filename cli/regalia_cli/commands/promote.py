"""`reg promote`: make a channel name a bundle."""

import click

from regalia import moving
from regalia.core.names import check_channel
from regalia.core.references import BundleReference
from regalia_cli import output
from regalia_cli.state import State, pass_state


@click.command()
@click.argument("reference", metavar="VERSION")
@click.option("--to", required=True, metavar="CHANNEL", help="dev, staging, prod …; a first promote makes it.")
@click.option("--reason", default="", help="Why; signed for ever, so a ticket rather than names.")
@click.option("--ticket", help="The approval's ticket, for the record.")
@click.option("--approver", help="Who approved, for the record; stored beside it.")
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
    dry_run: bool,
    as_json: bool,
) -> None:  # an option each
    """Make a channel name the bundle VERSION (or a digest, or a whole reference), and show what changes."""
    target = state.client.parse(reference)
    channel = BundleReference(target.application, channel=check_channel(to.removeprefix(":")))
    plan = moving.plan_promote(state.client, channel, target, moving.Facts(reason, ticket, approver))
    show_plan(plan)
    carry_out(state, plan, dry_run=dry_run, as_json=as_json)


def show_plan(plan: moving.MovePlan) -> None:
    """Show what a move changes."""
    is_first = plan.pointer.previous is None
    before = plan.current.version if plan.current is not None else "nothing" if is_first else "a bundle not trusted"
    output.tell(f"{plan.channel}: {before} → {plan.target.version}")
    if plan.replaces_lost:
        output.tell("  its pointer was signed by a key that has left the trust root; this one replaces it")
    elif is_first:
        output.tell("  the channel is made by this")
    output.tell_changes(plan.changes)


def carry_out(state: State, plan: moving.MovePlan, *, dry_run: bool, as_json: bool) -> None:
    """Sign and send a plan, and say what became of it."""
    word, deployment = "unchanged", None
    if not plan.is_unchanged and dry_run:
        word = "would be moved"
    elif not plan.is_unchanged:
        signer = moving.channel_signer(state.client, plan.channel)
        moved = moving.execute(state.client, plan, signer)
        word, deployment = "moved", moved.deployment
        if plan.hold and plan.current is not None:
            output.tell(f"{plan.channel.application}@{plan.current.version} is on hold: {plan.facts.reason}")
    if as_json:
        answered = {"channel": str(plan.channel), "version": plan.target.version, "digest": plan.target.digest}
        told = {"state": word, "sequence": plan.pointer.sequence, "deployment": deployment}
        output.answer_json({**answered, **told, "changes": output.changes_as_rows(plan.changes)})
        return
    output.answer(f"{plan.channel} names {plan.target.version}  {word}  {plan.target.digest[:19]}")
