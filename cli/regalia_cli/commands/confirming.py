"""One question before what can't be taken back."""

import sys

import click


def confirm(question: str, *, yes: bool) -> None:
    """Ask on the terminal, unless it was answered before; without a terminal `--yes` is needed, and exit 2 says so."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise click.UsageError("without a terminal to ask on, say --yes")
    click.confirm(question, abort=True, err=True)
