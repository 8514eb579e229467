"""How `reg` speaks: the answer on stdout, alone; everything else on stderr; errors with the next step.

Names, reasons and messages come from whoever wrote them, an engine or a file: control characters in them would rule the
terminal, so that nothing goes out but through `plain`, or as JSON whose strings escape them.
"""

import dataclasses
import json
import os
import sys
import unicodedata
from collections.abc import Iterable, Mapping, Sequence

import click
from rich.console import Console
from rich.table import Table

from regalia.core.diff import SlotChange
from regalia.core.errors import RegaliaError, VerificationError
from regalia.core.values import fields


def answer(text: str, *, bold: bool = False) -> None:
    """Print a line of the answer."""
    click.echo(click.style(plain(text), bold=True) if bold else plain(text))


def tell(text: str) -> None:
    """Say something to the person, beside the answer."""
    click.echo(plain(text), err=True)


def answer_json(value: object) -> None:
    """Print the answer as JSON."""
    click.echo(_escaped(json.dumps(_plain(value), indent=2, ensure_ascii=False)))


def answer_json_line(value: object) -> None:
    """Print one of many answers as a line of JSON."""
    click.echo(_escaped(json.dumps(_plain(value), ensure_ascii=False)))


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
            click.echo(f"      {_colored(line)}", err=True)


def fail(error: RegaliaError) -> None:
    """Print an error and what to do next."""
    step = f" [{error.step}]" if isinstance(error, VerificationError) and error.step else ""
    first, *more = f"{error.message}{step}".split("\n")  # many faults are told at once, a line each
    click.echo(f"{click.style('error:', fg='red')} {plain(first)}", err=True)
    notes = [f"  {note}" for note in getattr(error, "__notes__", [])]
    hint = f"hint: {error.hint}".split("\n") if error.hint else []
    for line in (*more, *notes, *hint):
        tell(line)


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
    text = "" if value is None else str(value)
    return "".join(character if _is_harmless(character) else "�" for character in text)


def _is_harmless(character: str) -> bool:
    return character.isprintable() or unicodedata.category(character) == "Zs"  # names of files hold such spaces


def _escaped(document: str) -> str:
    # JSON escapes the controls below U+0020 by itself; of those above, a terminal may take U+009B as ESC [.
    return "".join(one if _is_harmless(one) or one == "\n" else json.dumps(one)[1:-1] for one in document)


def _colored(line: str) -> str:
    shown = plain(line)
    if line.startswith("+"):
        return click.style(shown, fg="green")
    return click.style(shown, fg="red") if line.startswith("-") else shown
