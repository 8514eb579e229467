"""What people ask of snapshots: `reg snapshot show`, `diff` and `query`."""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from regalia import questions
from regalia.core.errors import SourceError
from regalia.core.references import ArtifactReference
from regalia.core.strict_json import parse
from regalia.questions import Near
from regalia.wire.answers import ProvenanceEntry
from regalia_cli import output
from regalia_cli.commands.operation import finished
from regalia_cli.commands.wording import found_of, recalls_told
from regalia_cli.state import State, pass_state

_MAX_VECTOR_FILE = 4 * 1024 * 1024
_UNITS = ("bytes", "kB", "MB", "GB", "TB")
_SHOWN_CHARACTERS = 100


def near_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that say what is looked for."""
    for option in reversed(
        (
            click.option(
                "--vector", "vector_file", metavar="FILE", help="What to look for: a JSON array of numbers; - is stdin."
            ),
            click.option("--like", metavar="KEY", help="Or what is near to the row with this key, without it."),
            click.option("--space", default="", help="Which vector, where there is more than one."),
            click.option("--limit", default=10, show_default=True, type=click.IntRange(1, 200), help="How many."),
            click.option("--json", "as_json", is_flag=True, help="Print JSON."),
        )
    ):
        command = option(command)
    return command


def near(vector_file: str | None, like: str | None, space: str, limit: int) -> Near:
    """Read the options that say what is looked for."""
    if (vector_file is None) == (like is None):
        raise click.UsageError("say what to look for: --vector FILE, or --like KEY")
    return Near(None if vector_file is None else _vector(vector_file), like, space, limit)


def answer_hits(outcome: Mapping[str, Any], *, as_json: bool) -> None:
    """Print what was found, nearest first."""
    if as_json:
        output.answer_json(outcome)
        return
    rows = [(one["key"], _spelled(one["distance"]), _line(one["properties"])) for one in outcome["hits"]]
    output.tell(f"  by {outcome['space']}, {outcome['metric']}; less is nearer")
    output.answer_table(("KEY", "DISTANCE", ""), rows, empty="no row has this vector")


@click.command()
@click.argument("reference", metavar="NAME[@VERSION]")
@click.option("--definition", is_flag=True, help="Show the collection in its engine's own words, to read.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@pass_state
def show(state: State, reference: str, *, definition: bool, as_json: bool) -> None:
    """Show what a stored snapshot is made of. Where no version is named, it is the newest."""
    if definition:
        _answer_definition(state, found_of(state, reference), as_json=as_json)
        return
    named = found_of(state, reference)
    found: dict[str, Any] = questions.describe(state.client, named)
    made = questions.provenance(state.client, named)
    if as_json:
        output.answer_json({**found, "provenance": made})
        return
    schema, segments = found["schema"], found["segments"]
    output.answer(f"{found['reference']}  {found['digest'][:19]}")
    output.answer(f"  {found['count']:,} rows, content root {found['content_root']}")
    output.answer(f"  {schema['family']}, key {schema['key']['name']} {schema['key']['type']}")
    for space in found["vectors"]:
        output.answer(f"  vector {space['name']}: {space['dims']} dimensions, {space['metric']}")
    for one in schema["properties"]:
        output.answer(f"  {one['name']} {one['type']}")
    embedding = found.get("embedding")
    told = "not said" if embedding is None else f"{embedding['provider']}/{embedding['model']}@{embedding['revision']}"
    output.answer(f"  embedder: {told}")
    _answer_origin(found, made)
    dead = sum(one["count"] - one["live"] for one in segments)
    many = "segment" if len(segments) == 1 else "segments"
    output.answer(f"  {len(segments)} {many}, {_size(found['bytes'])}, {dead:,} rows in them are of older versions")


def _answer_origin(found: Mapping[str, Any], made: ProvenanceEntry | None) -> None:
    """Say what the rows are of, how they were read, and what is known of their nearest ones."""
    for name in ("consistency", "fidelity"):
        if name in found:
            output.answer(f"  {name}: {found[name]}")
    if "derived_from" in found:
        output.answer(f"  derived from: {found['derived_from']['reference']}")
    canary = found["canary"]
    if canary is not None:
        output.answer(f"  canary: {sum(one['questions'] for one in canary.values())} questions with their nearest rows")
        for line in recalls_told(canary):
            output.answer(f"  where it was taken, {line}")
    if made is not None:
        source = made.source if made.target is None else f"{made.target}/{made.source}"
        output.answer(f"  made of {source}{f' by {made.engine}' if made.engine else ''}")
        output.answer(f"  {made.kind} {made.operation}, {made.started} to {made.finished}, {made.writer}; not signed")


def _answer_definition(state: State, reference: ArtifactReference, *, as_json: bool) -> None:
    text = questions.definition(state.client, reference)
    if as_json:
        output.answer_json({"reference": str(reference), "definition": text})
        return
    if text is None:
        output.tell(f"{reference} has no definition: its engine has no words of its own, or it was taken before")
        return
    for line in text.splitlines():
        output.answer(line)


@click.command()
@click.argument("old", metavar="NAME[@VERSION]")
@click.argument("new", metavar="NAME[@VERSION]")
@click.option("--rows", is_flag=True, help="Name the keys that differ; with --json all of them, a line each.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@pass_state
def diff(state: State, old: str, new: str, *, rows: bool, as_json: bool) -> None:
    """Count the rows that differ in two snapshots. From OLD to NEW they were added (+), removed (-) or changed (~)."""
    before, after = found_of(state, old), found_of(state, new)
    asked = questions.start_diff(state.client, before, after, rows=rows)
    outcome: dict[str, Any] = dict(finished(state, asked).outcome or {})
    if as_json and rows:
        for row in questions.all_rows(state.client, before.artifact.namespace, outcome):
            output.answer_json_line(row)
        return
    if as_json:
        output.answer_json(outcome)
        return
    output.answer(f"{outcome['old']} → {outcome['new']}")
    output.answer(f"  +{outcome['added']:,} -{outcome['removed']:,} ~{outcome['changed']:,} rows")
    output.tell(f"  {outcome['unchanged']:,} rows are the same")
    for told in _differences(outcome):
        output.answer(f"  {told}")
    for row in outcome.get("rows", ()):
        output.answer(f"  {row['change']} {row['key']}")
    if outcome.get("more"):
        output.tell(f"  and {outcome['more']:,} more: --rows --json gives all, a line each")


@click.command()
@click.argument("reference", metavar="NAME[@VERSION]")
@near_options
@pass_state
def query(
    state: State, reference: str, vector_file: str | None, like: str | None, space: str, limit: int, *, as_json: bool
) -> None:  # an option each
    """Find the nearest rows of a stored snapshot. Each row is compared: it is what a bundle with it would answer.

    Where no version is named, it is the newest.
    """
    asked = questions.start_query(state.client, found_of(state, reference), near(vector_file, like, space, limit))
    answer_hits(finished(state, asked).outcome or {}, as_json=as_json)


def _differences(outcome: Mapping[str, Any]) -> list[str]:
    before, after = outcome["embedding"]
    told = [] if before == after else [f"embedder {before or 'not said'} → {after or 'not said'}"]
    return told if outcome["same_schema"] else [*told, "the schemas differ: reg snapshot show says how each is"]


def _vector(file: str) -> tuple[float, ...]:
    what = "the vector" if file == "-" else f'the vector in "{file}"'
    try:
        body = sys.stdin.buffer.read(_MAX_VECTOR_FILE + 1) if file == "-" else Path(file).read_bytes()
    except OSError as error:
        raise SourceError(f"{what} can't be read: {error.strerror}", hint="--vector FILE, or - for stdin") from error
    found = parse(body, what=what, max_bytes=_MAX_VECTOR_FILE)
    entries = found if isinstance(found, list) else []
    numbers = tuple(float(one) for one in entries if isinstance(one, int | float) and not isinstance(one, bool))
    if not numbers or len(numbers) != len(entries):
        raise SourceError(f"{what} is no array of numbers", hint="one JSON array, as [0.1, -0.2]")
    return numbers


def _line(properties: Mapping[str, object]) -> str:
    """Put a row's properties on one line."""
    told = ", ".join(f"{name} {' '.join(str(value).split())}" for name, value in properties.items())
    return told if len(told) <= _SHOWN_CHARACTERS else f"{told[: _SHOWN_CHARACTERS - 1]}…"


def _spelled(distance: float | None) -> str:
    return "" if distance is None else f"{distance:.6f}"


def _size(size_bytes: int) -> str:
    power = min((len(str(size_bytes)) - 1) // 3, len(_UNITS) - 1)
    return f"{size_bytes / 1000**power:.{min(power, 1)}f} {_UNITS[power]}"
