"""`reg lint`: push's checks, offline."""

from pathlib import Path

import click

from regalia import project, sources
from regalia_cli import output
from regalia_cli.state import State, pass_state


@click.command()
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@click.option("--allow-floating", is_flag=True, help="Take models whose revision may change.")
@click.option("--allow-dirty", is_flag=True, help="Take a code pin whose tree differs from its commit.")
@click.option("--strict", is_flag=True, help="Exit 1 on warnings too.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@pass_state
def lint(
    state: State, paths: tuple[Path, ...], *, allow_floating: bool, allow_dirty: bool, strict: bool, as_json: bool
) -> int:
    """Check the project's files, or those at PATHS, without a registry."""
    found = project.find(state.folder)
    options = sources.Options(allow_floating, allow_dirty)
    entries = project.files_of(found.entries_for(paths))
    inspection = sources.inspect(entries, folder=found.folder, options=options)
    if as_json:
        output.answer_json(inspection.findings)
    else:
        show_findings(inspection)
        if not inspection.findings:
            output.answer(f"{len(inspection.drafts)} artifacts, nothing to say")
    return 1 if inspection.errors or (strict and inspection.findings) else 0


def show_findings(inspection: sources.Inspection) -> None:
    """Print findings for people."""
    for finding in inspection.findings:
        level = "error" if finding.is_error else "warning"
        output.tell(f"{level}: {finding.place}: {finding.message} [{finding.rule}]")
        if finding.hint:
            output.tell(f"hint: {finding.hint}")
