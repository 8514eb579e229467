"""`reg gc`: what nothing needs any more goes."""

from typing import Any

import click

from regalia import operations
from regalia_cli import output
from regalia_cli.commands.confirming import confirm
from regalia_cli.commands.operation import finished
from regalia_cli.state import State, pass_state


@click.command()
@click.option("--dry-run", is_flag=True, help="Say what would go, and why the rest stays; remove nothing.")
@click.option("--yes", is_flag=True, help="Don't ask.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@pass_state
def gc(state: State, *, dry_run: bool, yes: bool, as_json: bool) -> None:
    """Remove what nothing needs: collections that nobody serves from any more, and files that no version links.

    The worker does it once a day by itself. What is released stays: versions, their files, and the last bundles'
    collections of each channel. It needs a token with admin on all namespaces.
    """
    confirm("Remove what reg gc --dry-run lists?", yes=dry_run or yes)
    done = finished(state, operations.start_garbage(state.client, plan=dry_run))
    outcome: dict[str, Any] = dict(done.outcome or {})
    if as_json:
        output.answer_json(outcome)
        return
    going = "would go" if dry_run else "went"
    for one in outcome["going"]:
        output.answer(f"{_named(one)}  {going}: {one['rows']:,} rows, {one['bytes']:,} bytes; {one['why']}")
    for one in outcome["kept"]:
        output.answer(f"{_named(one)}  stays: {one['why']}")
    for one in outcome["odd"]:
        output.answer(f"{_named(one)}  look at it: {one['why']}")
    blobs = outcome["blobs"]
    output.answer(f"files that no version links  {going}: {blobs['count']:,}, {blobs['bytes']:,} bytes")


def _named(entry: dict[str, Any]) -> str:
    return "  ".join(str(entry[name]) for name in ("target", "collection") if name in entry)
