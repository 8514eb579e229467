"""`reg snapshot export` and `reg snapshot import`: snapshots as files."""

from pathlib import Path
from typing import Any

import click

from regalia import filing
from regalia.core.digest import Digest
from regalia_cli import output
from regalia_cli.commands.operation import finished
from regalia_cli.commands.wording import answer_taken, called, embedding_of, found_of
from regalia_cli.state import State, pass_state


@click.command()
@click.argument("reference", metavar="NAME[@VERSION]")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--format", "form", type=click.Choice(list(filing.FORMS.values())), help="Default: what FILE ends in.")
@click.option("--changed-since", metavar="NAME[@VERSION]", help="Only the rows that are new or otherwise since then.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@pass_state
def export(
    state: State, reference: str, file: Path, form: str | None, changed_since: str | None, *, as_json: bool
) -> None:
    """Write a snapshot into a file. It is Parquet or JSONL, and holds keys, vectors and properties.

    Where no version is named, it is the newest. What an application wrote to a live collection before its channel left
    it is its leftover: --changed-since hands it back.
    """
    filing.require_free(file)
    form = form or filing.form_of(file)
    found = found_of(state, reference)
    namespace, name = found.artifact.namespace, found.artifact.name
    before = None if changed_since is None else found_of(state, changed_since)
    since = None if before is None else (before.artifact.name, before.selector)
    asked = filing.start_export(state.client, namespace, name, found.selector, form=form, since=since)
    outcome: dict[str, Any] = dict(finished(state, asked).outcome or {})
    blob, size_bytes = Digest.parse(outcome["file"]), int(outcome["size_bytes"])
    filing.fetch(state.client, namespace, blob, file, size_bytes=size_bytes)
    if as_json:
        output.answer_json(outcome)
        return
    for line in outcome["fidelity"]:
        output.tell(f"  not the same: {line}")
    if outcome["removed"]:
        output.tell(f"  {outcome['removed']:,} rows are gone since then: reg snapshot diff --rows names them")
    output.answer(f"{file}  {outcome['count']:,} rows, {size_bytes:,} bytes")


@click.command(name="import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--name", help="What the snapshot is called; default: the file's name.")
@click.option("--embedder", metavar="PROVIDER/MODEL@REVISION", help="Which embedder made the vectors.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@pass_state
def import_(state: State, file: Path, name: str | None, embedder: str | None, *, as_json: bool) -> None:
    """Take a snapshot of a file. It is Parquet or JSONL, by what its name ends in."""
    namespace, form, embedding = state.application().namespace, filing.form_of(file), embedding_of(embedder)
    blob = filing.send(state.client, namespace, file)
    named = name or called(file.name)
    asked = filing.start_import(state.client, namespace, blob, form=form, name=named, embedding=embedding)
    outcome = finished(state, asked).outcome or {}
    if as_json:
        output.answer_json(outcome)
        return
    answer_taken(outcome)
