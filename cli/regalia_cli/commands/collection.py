"""`reg collection`: what the vector engines hold."""

import click

from regalia import operations
from regalia_cli import output
from regalia_cli.commands.operation import looked
from regalia_cli.state import State, pass_state


@click.group()
def collection() -> None:
    """List and show the collections of a target."""


@collection.command(name="list")
@click.argument("target", default="local")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@pass_state
def list_(state: State, target: str, *, as_json: bool) -> None:
    """List what can be a snapshot; the rows are the engine's estimate."""
    found = looked(state, operations.start_look(state.client, state.application().namespace, target, what="list"))
    if as_json:
        output.answer_json(found["collections"])
        return
    rows = [
        (one["collection"], "" if one["rows"] is None else f"{one['rows']:,}", "loaded by us" if one["ours"] else "")
        for one in found["collections"]
    ]
    output.answer_table(("COLLECTION", "ROWS", ""), rows, empty=f'"{target}" has no collection')


@collection.command()
@click.argument("target")
@click.argument("name", metavar="COLLECTION")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@pass_state
def show(state: State, target: str, name: str, *, as_json: bool) -> None:
    """Show what a collection is made of, what would refuse a snapshot of it, and what it would not keep."""
    namespace = state.application().namespace
    found = looked(state, operations.start_look(state.client, namespace, target, what="show", collection=name))
    if as_json:
        output.answer_json(found)
        return
    output.answer(f"{found['collection']}  {found['family']}, key {found['key']}")
    for space in found["vectors"]:
        output.answer(f"  vector {space['name']}: {space['dims']} dimensions, {space['metric']}")
    for line in found["properties"]:
        output.answer(f"  {line}")
    for line in found["refusals"]:
        output.answer(f"  can't be a snapshot: {line}")
    for line in found["fidelity"]:
        output.answer(f"  not kept: {line}")
