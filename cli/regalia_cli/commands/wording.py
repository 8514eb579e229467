"""What the commands of snapshots have in common: how references and embedders are spelled, what was taken."""

from collections.abc import Mapping
from typing import Any

import click

from regalia import filing
from regalia.core.kinds.snapshot import Embedding
from regalia_cli import output


def reference_of(text: str) -> tuple[str, str]:
    """Read NAME@VERSION."""
    name, _, version = text.rpartition("/")[2].partition("@")
    if not (name and version):
        raise click.UsageError(f"{text!r} is not NAME@VERSION; reg snapshot list NAME")
    return name, version


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
