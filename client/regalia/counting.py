"""How many rows of a snapshot changed between two bundles: counted by the registry's worker, if it is there."""

import time
from collections.abc import Sequence

from regalia import operations, questions
from regalia.client import Client
from regalia.comparing import Members
from regalia.core.diff import SlotChange
from regalia.core.errors import ConflictError, RegaliaError
from regalia.core.manifest import Artifact
from regalia.core.names import ArtifactName, Kind
from regalia.core.references import ArtifactReference
from regalia.core.values import replace
from regalia.wire.answers import OperationEntry

_PATIENCE_S = 10.0
_WAIT_S = 2


def with_rows(
    client: Client, namespace: str, changes: Sequence[SlotChange], old: Members, new: Members
) -> tuple[SlotChange, ...]:
    """Add to each changed snapshot how many of its rows were added (+), removed (-) and changed (~).

    Where the worker has something else to do for more than ten seconds, the line says how to count them later.
    """
    return tuple(
        replace(change, lines=(*change.lines, _counted(client, namespace, old[change.slot], new[change.slot])))
        if change.slot.kind is Kind.SNAPSHOT and change.slot in old and change.slot in new
        else change
        for change in changes
    )


def _counted(client: Client, namespace: str, old: Artifact, new: Artifact) -> str:
    before, after = (_reference(namespace, one) for one in (old, new))
    try:
        found = _finished(client, questions.start_diff(client, before, after))
    except RegaliaError as error:
        return f"rows not counted: {error.message}"
    if found.state != "done" or found.outcome is None:
        told = "the worker is busy" if found.outcome is None else str(found.outcome.get("message"))
        return f"rows not counted: {told}; reg snapshot diff {before} {after}"
    counts = (f"{sign}{found.outcome[name]:,}" for sign, name in (("+", "added"), ("-", "removed"), ("~", "changed")))
    return f"rows: {' '.join(counts)}"


def _finished(client: Client, asked: OperationEntry) -> OperationEntry:
    """Wait for an operation as long as a person does, and end it then."""
    deadline = time.monotonic() + _PATIENCE_S
    for progress in operations.watch(client, asked.namespace, asked.id, wait_s=_WAIT_S):
        if progress.operation.state not in {"queued", "running"}:
            return progress.operation
        if time.monotonic() >= deadline:
            break
    try:
        return operations.cancel(client, asked.namespace, asked.id)
    except ConflictError:  # it was over in this moment
        return operations.get_operation(client, asked.namespace, asked.id).operation


def _reference(namespace: str, artifact: Artifact) -> ArtifactReference:
    return ArtifactReference(ArtifactName(namespace, Kind.SNAPSHOT, artifact.config.name), artifact.config.version)
