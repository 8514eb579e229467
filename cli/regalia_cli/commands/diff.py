"""`reg diff`: what differs between two bundles."""

import click

from regalia import comparing, counting
from regalia.core.names import ApplicationName
from regalia_cli import output
from regalia_cli.state import State, pass_state


@click.command()
@click.argument("old")
@click.argument("new")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@pass_state
def diff(state: State, old: str, new: str, *, as_json: bool) -> None:
    """Say what differs from bundle OLD to bundle NEW: texts as a unified diff, models, keys, slots, rows."""
    before, after = state.client.refresh(old), state.client.refresh(new)
    changes = comparing.compare(before.members, after.members)
    namespace = ApplicationName.parse(after.application).namespace
    changes = counting.with_rows(state.client, namespace, changes, before.members, after.members)
    if as_json:
        output.answer_json(output.changes_as_rows(changes))
        return
    for change in changes:
        output.answer(change.sentence)
        for line in change.lines:
            output.answer(f"    {line}")
    if not changes:
        output.tell("nothing differs")
