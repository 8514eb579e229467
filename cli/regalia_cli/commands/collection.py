"""`reg collection`: what the vector engines hold."""

import click

from regalia import operations, questions
from regalia_cli import output
from regalia_cli.commands.asking import answer_hits, near, near_options
from regalia_cli.commands.confirming import confirm
from regalia_cli.commands.operation import finished, looked
from regalia_cli.state import State, pass_state


@click.group()
def collection() -> None:
    """List, show, search and retire the collections of a target."""


@collection.command(name="list")
@click.argument("target", default="local")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@pass_state
def list_(state: State, target: str, *, as_json: bool) -> None:
    """List what a target holds. The rows are the engine's estimate."""
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
    """Show what a collection is made of. It says too why a snapshot would be refused, and what one would not keep."""
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


@collection.command()
@click.argument("target")
@click.argument("name", metavar="COLLECTION")
@near_options
@pass_state
def search(
    state: State,
    target: str,
    name: str,
    vector_file: str | None,
    like: str | None,
    space: str,
    limit: int,
    *,
    as_json: bool,
) -> None:  # an option each
    """Find the nearest rows of a collection. Its engine's own index is asked, as an agent asks it."""
    question = near(vector_file, like, space, limit)
    namespace = state.application().namespace
    asked = questions.start_search(state.client, namespace, target, name, question)
    answer_hits(finished(state, asked).outcome or {}, as_json=as_json)


@collection.command()
@click.argument("target")
@click.argument("name", metavar="COLLECTION")
@click.option("--yes", is_flag=True, help="Don't ask.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@pass_state
def retire(state: State, target: str, name: str, *, yes: bool, as_json: bool) -> None:
    """Drop a collection that a load made. Whatever else the target holds is refused.

    One that a channel's pointer names is refused too. The snapshot stays: it can be loaded again.
    """
    confirm(f'Drop "{name}" and all its rows in "{target}"?', yes=yes)
    asked = questions.start_retire(state.client, state.application().namespace, target, name)
    outcome = finished(state, asked).outcome or {}
    if as_json:
        output.answer_json(outcome)
        return
    output.answer(f"{outcome['target']}  {outcome['collection']}  dropped")
