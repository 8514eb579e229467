"""What the commands of snapshots have in common: how snapshots are found and embedders are spelled, what was taken."""

from collections.abc import Mapping
from typing import Any

import click

from regalia import filing, questions
from regalia.core.kinds.snapshot import Embedding
from regalia.core.references import ArtifactReference
from regalia_cli import output
from regalia_cli.state import State

_ANSWERS = 10


def found_of(state: State, text: str) -> ArtifactReference:
    """Find the stored snapshot that NAME, or NAME@ a version, range or digest, names; a bare name is the newest."""
    return questions.find(state.client, state.application().namespace, text)


def embedding_of(text: str | None) -> Embedding | None:
    """Read PROVIDER/MODEL@REVISION."""
    if text is None:
        return None
    model, _, revision = text.partition("@")
    provider, _, name = model.partition("/")
    if not (provider and name and revision):
        raise click.UsageError(f"--embedder {text!r} is not PROVIDER/MODEL@REVISION")
    return Embedding(provider, name, revision)


def called(collection: str) -> str:
    """Name a snapshot after its collection: a table's last name, a file's without its ending."""
    ending = next((one for one in filing.FORMS if collection.endswith(one)), None)
    return (collection.rpartition(".")[2] if ending is None else collection.removesuffix(ending)).lower()


def answer_taken(outcome: Mapping[str, Any]) -> None:
    """Print the version that was taken, and say how much of it was stored."""
    told = "taken" if outcome["created"] else "unchanged"
    output.tell(
        f"  {outcome['count']:,} rows, {outcome['rows_stored']:,} stored, {outcome['rows_kept']:,} kept; "
        f"{outcome['consistency']}"
    )
    output.answer(f"{outcome['reference']}  {told}  {str(outcome['digest'])[:19]}")


def recalls_told(recall: Mapping[str, Any]) -> list[str]:
    """Say of each vector how many of the nearest rows an index found."""
    return [
        f"recall of {name}: {one['recall']:.1%} of the {_ANSWERS} nearest, by {one['asked']} questions"
        for name, one in recall.items()
        if one["recall"] is not None
    ]
