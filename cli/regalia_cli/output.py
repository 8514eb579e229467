"""How `reg` speaks: the answer on stdout, alone; everything else on stderr; errors with the next step."""

import dataclasses
import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence

import click
from rich.console import Console
from rich.table import Table

from regalia.core.diff import SlotChange
from regalia.core.errors import RegaliaError, VerificationError
from regalia.core.values import fields


def answer(text: str) -> None:
    """Print a line of the answer."""
    click.echo(text)


def tell(text: str) -> None:
    """Say something to the person, beside the answer."""
    click.echo(text, err=True)


def answer_json(value: object) -> None:
    """Print the answer as JSON."""
    click.echo(json.dumps(_plain(value), indent=2, ensure_ascii=False))


def answer_table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str) -> None:
    """Print rows under their columns; the widths are the terminal's, and unbounded in a pipe."""
    found = [[plain(value) for value in row] for row in rows]
    if not found:
        tell(empty)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in found:
        table.add_row(*row)
    width = None if sys.stdout.isatty() else 400
    Console(width=width, highlight=False, markup=False, no_color=bool(os.environ.get("NO_COLOR"))).print(table)


def tell_changes(changes: Sequence[SlotChange], *, nothing: str = "nothing changes") -> None:
    """Show what changes, with the lines of each."""
    if not changes:
        tell(nothing)
    for change in changes:
        tell(f"  {change.sentence}")
        for line in change.lines:
            tell(f"      {_colored(line)}")


def fail(error: RegaliaError) -> None:
    """Print an error and what to do next."""
    step = f" [{error.step}]" if isinstance(error, VerificationError) and error.step else ""
    tell(f"{click.style('error:', fg='red')} {error.message}{step}")
    for note in getattr(error, "__notes__", []):
        tell(f"  {note}")
    if error.hint:
        tell(f"hint: {error.hint}")


def changes_as_rows(changes: Sequence[SlotChange]) -> list[Mapping[str, object]]:
    """Give changes as JSON shows them."""
    return [{"slot": str(one.slot), "change": one.sentence, "lines": list(one.lines)} for one in changes]


def _plain(value: object) -> object:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if fields(value):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(child) for key, child in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(child) for child in value]
    return value if isinstance(value, bool | int | float | str) or value is None else str(value)


def plain(value: object) -> str:
    """Spell what somebody else wrote, without what would rule the terminal."""
    # A name or reason comes from whoever wrote it: control characters would rule the terminal.
    text = "" if value is None else str(value)
    return "".join(character if character.isprintable() else "�" for character in text)


def _colored(line: str) -> str:
    shown = plain(line)
    if line.startswith("+"):
        return click.style(shown, fg="green")
    return click.style(shown, fg="red") if line.startswith("-") else shown
