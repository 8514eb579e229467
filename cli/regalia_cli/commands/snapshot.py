"""`reg snapshot`: the content of a live vector collection as one more version."""

from typing import Any

import click

from regalia import operations, questions
from regalia_cli import output
from regalia_cli.commands import asking, filing
from regalia_cli.commands.operation import finished
from regalia_cli.commands.wording import answer_taken, called, embedding_of, found_of, recalls_told
from regalia_cli.state import State, pass_state


@click.group()
def snapshot() -> None:
    """Take, show, compare and search snapshots of vector collections."""


snapshot.add_command(asking.show)
snapshot.add_command(asking.diff)
snapshot.add_command(asking.query)
snapshot.add_command(filing.export)
snapshot.add_command(filing.import_)


@snapshot.command()
@click.argument("target")
@click.argument("collection")
@click.option("--name", help="What the snapshot is called; default: the collection's last name.")
@click.option("--embedder", metavar="PROVIDER/MODEL@REVISION", help="Which embedder made the vectors.")
@click.option("--freeze", is_flag=True, help="Stop writers meanwhile, where only that gives one moment (Weaviate).")
@click.option("--detach", is_flag=True, help="Ask for it, and don't wait.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@pass_state
def create(
    state: State,
    target: str,
    collection: str,
    name: str | None,
    embedder: str | None,
    *,
    freeze: bool,
    detach: bool,
    as_json: bool,
) -> None:
    """Take a snapshot of a collection while it serves. Rows that the last one has are not stored again."""
    named = name or called(collection)
    asked = operations.start_snapshot(
        state.client,
        state.application().namespace,
        target=target,
        collection=collection,
        name=named,
        embedding=embedding_of(embedder),
        freeze=freeze,
    )
    if detach:
        output.answer_json(asked) if as_json else output.answer(asked.id)
        return
    outcome = finished(state, asked).outcome or {}
    if as_json:
        output.answer_json(outcome)
        return
    if outcome["unindexed"]:
        output.tell(
            f"  {outcome['unindexed']:,} of them are missing from {target}'s own index: searches there miss them"
        )
    if outcome.get("worn_segments"):
        worn = outcome["worn_segments"]
        output.tell(f"  {worn} of its segments {'is' if worn == 1 else 'are'} worn: reg snapshot compact {named}")
    answer_taken(outcome)


@snapshot.command(name="list")
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@pass_state
def list_(state: State, name: str | None, *, as_json: bool) -> None:
    """List snapshots, or the versions of one. The highest version is first; without NAME it stands for its snapshot."""
    namespace = state.application().namespace
    if name is None:
        names = [one.name for one in questions.list_names(state.client, namespace)]
        found = [one for name in names if (one := questions.newest(state.client, namespace, name)) is not None]
    else:
        found = list(operations.list_snapshots(state.client, namespace, name))
    if as_json:
        output.answer_json(found)
        return
    rows = [(one.name, one.version, one.digest[:19], one.pushed_at) for one in found]
    empty = f'no snapshot "{name}"' if name else "no snapshots: reg snapshot create"
    output.answer_table(("NAME", "VERSION", "DIGEST", "TAKEN"), rows, empty=empty)


@snapshot.command()
@click.argument("reference", metavar="NAME[@VERSION]")
@click.option("--target", required=True, help="Where to: local, or one of reg target list.")
@click.option("--as", "logical", help="How the new collection's name begins; default: the snapshot's name.")
@click.option(
    "--min-recall",
    type=click.FloatRange(0, 1),
    help="Refuse an index that finds less of the nearest rows, as 0.95; else a low recall is a warning.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@pass_state
def load(
    state: State, reference: str, target: str, logical: str | None, min_recall: float | None, *, as_json: bool
) -> None:  # an option each
    """Load a snapshot into a new collection. It is indexed, and proved to be what was taken.

    Where no version is named, it is the newest.
    """
    found = found_of(state, reference)
    namespace, name = found.artifact.namespace, found.artifact.name
    asked = operations.start_load(
        state.client,
        namespace,
        name,
        found.selector,
        target=target,
        logical=logical or name.replace("-", "_"),
        min_recall=min_recall,
    )
    outcome: dict[str, Any] = dict(finished(state, asked).outcome or {})
    if as_json:
        output.answer_json(outcome)
        return
    for line in recalls_told(outcome["recall"]):
        output.tell(f"  {line}")
    for warning in outcome["warnings"]:
        output.tell(f"  warning: {warning}")
    output.answer(f"{outcome['target']}  {outcome['collection']}  {outcome['count']:,} rows, verified")


@snapshot.command()
@click.argument("reference", metavar="NAME[@VERSION]")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@pass_state
def verify(state: State, reference: str, *, as_json: bool) -> None:
    """Read a stored snapshot through. Every row is compared with its content root.

    Where no version is named, it is the newest.
    """
    found = found_of(state, reference)
    asked = operations.start_verify(state.client, found.artifact.namespace, found.artifact.name, found.selector)
    outcome = finished(state, asked).outcome or {}
    if as_json:
        output.answer_json(outcome)
        return
    output.answer(f"{outcome['reference']}  verified  {outcome['count']:,} rows")


@snapshot.command()
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@pass_state
def compact(state: State, name: str, *, as_json: bool) -> None:
    """Write a snapshot into fewer files. That is its next version, with the content root of the newest."""
    asked = operations.start_compact(state.client, state.application().namespace, name)
    outcome = finished(state, asked).outcome or {}
    if as_json:
        output.answer_json(outcome)
        return
    told = f"{outcome['segments_before']} → {outcome['segments']} segments" if outcome["created"] else "nothing to do"
    output.answer(f"{outcome['reference']}  {told}  {str(outcome['content_root'])[:19]}")
