"""`reg push`: files to immutable versions."""

from pathlib import Path

import click

from regalia import project, publishing, snapshotting, sources
from regalia.core.errors import SourceError
from regalia.core.names import Kind
from regalia.core.versions import Part
from regalia_cli import output, progress
from regalia_cli.commands.lint import show_findings
from regalia_cli.state import State, pass_state


@click.command()
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@click.option("--dry-run", is_flag=True, help="Say what would be pushed; send nothing.")
@click.option("--bump", type=click.Choice([part.value for part in Part]), help="Raise the version of what changed.")
@click.option("--allow-floating", is_flag=True, help="Take models whose revision may change.")
@click.option("--allow-dirty", is_flag=True, help="Take a code pin whose tree differs from its commit.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@pass_state
def push(
    state: State,
    paths: tuple[Path, ...],
    bump: str | None,
    *,
    dry_run: bool,
    allow_floating: bool,
    allow_dirty: bool,
    as_json: bool,
) -> None:  # an option each
    """Push all of push: in regalia.yaml, or the entries of PATHS, and print their references.

    What the registry has already is "unchanged". A version never changes: raise it in the file, or say --bump patch.
    """
    options = sources.Options(allow_floating, allow_dirty)
    pushed = push_project(state, paths, options, bump=None if bump is None else Part(bump), dry_run=dry_run)
    if as_json:
        output.answer_json([shown(one) for one in pushed])
        return
    done = "would be pushed" if dry_run else "pushed"
    for one in pushed:
        output.answer(f"{one.reference}  {done if one.created else 'unchanged'}  {one.digest[:19]}")


def push_project(
    state: State, paths: tuple[Path, ...], options: sources.Options, *, bump: Part | None, dry_run: bool
) -> list[publishing.PushedArtifact]:
    """Read, check and push files of the project; findings go to the person."""
    found = project.find(state.folder)
    entries = found.entries_for(paths)
    if not entries:
        raise SourceError("there is nothing to push", hint="add files to push: in regalia.yaml")
    files = project.files_of(entries)
    inspection = sources.inspect(files, folder=found.folder, options=options)
    show_findings(inspection)
    if inspection.errors:
        raise SourceError(f"{len(inspection.errors)} errors; nothing was pushed", hint="correct them; reg lint checks")
    namespace = found.application.namespace
    pushed = publishing.push(state.client, namespace, inspection.drafts, bump=bump, dry_run=dry_run)
    if dry_run:
        for entry in entries:
            if entry.kind is Kind.SNAPSHOT:
                output.tell(f"  {entry.slot}: whether its collection changed is known once push has read it")
        return pushed
    with progress.shown() as tell:
        return [*pushed, *snapshotting.push_snapshots(state.client, found.application, entries, pushed, tell)]


def shown(one: publishing.PushedArtifact) -> dict[str, object]:
    """Give a pushed artifact as JSON shows it."""
    return {
        "slot": one.slot,
        "reference": one.reference,
        "version": one.version,
        "digest": one.digest,
        "created": one.created,
        "file": one.origin,
    }
