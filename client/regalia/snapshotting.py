"""Snapshots as a part of a push: a project's `snapshots/*` slots, taken by the registry's worker."""

from collections.abc import Callable, Iterator, Sequence

from regalia import operations
from regalia.client import Client
from regalia.core.errors import PointerMovedError, RegaliaError, SourceError
from regalia.core.kinds.model import ModelConfig
from regalia.core.kinds.snapshot import Embedding
from regalia.core.names import ApplicationName, Kind
from regalia.core.references import ArtifactReference
from regalia.project import Entry
from regalia.publishing import PushedArtifact, fetch_artifact
from regalia.wire.answers import OperationEntry, OperationProgress

Tell = Callable[[OperationProgress], None]


def push_snapshots(
    client: Client, application: ApplicationName, entries: Sequence[Entry], pushed: Sequence[PushedArtifact], tell: Tell
) -> Iterator[PushedArtifact]:
    """Take the snapshots of these entries, one after another; what did not change is "unchanged".

    Args:
        client: The registry.
        application: Whose namespace they live in.
        entries: The project's lines; those of other kinds are passed over.
        pushed: What was pushed before; an entry's `embedder` names a model among it.
        tell: Told how far the worker is.

    Raises:
        SourceError: An entry's embedder is no model of the project, or one without provider and revision.
        RegaliaError: The snapshot could not be taken.
    """
    for entry in entries:
        if entry.kind is Kind.SNAPSHOT:
            yield _push(client, application, entry, pushed, tell)


def finish(
    client: Client, namespace: str, asked: OperationEntry, tell: Tell, *, until: str = "done", after: int = 0
) -> OperationEntry:
    """Wait until an operation is done, or `prepared`, telling what happens behind the event `after`.

    One that waits for its signature is given where `done` was waited for as well: nothing comes until it is signed.

    Raises:
        PointerMovedError: It was to be signed, and somebody else has done so.
        RegaliaError: It failed, or was cancelled.
    """
    found = asked
    for progress in operations.watch(client, namespace, asked.id, after=after):
        tell(progress)
        found = progress.operation
    if found.state == "done" and until == "prepared":
        raise PointerMovedError(
            "somebody else has signed it meanwhile", hint=f"look at it: reg operation show {asked.id}"
        )
    if found.state not in {until, "prepared"}:
        outcome = found.outcome or {}
        told = str(outcome.get("message") or "the operation was cancelled")
        raise RegaliaError(told, hint=str(outcome.get("hint") or "ask again when it may go on"))
    return found


def _push(
    client: Client, application: ApplicationName, entry: Entry, pushed: Sequence[PushedArtifact], tell: Tell
) -> PushedArtifact:
    namespace, collection = application.namespace, str(entry.options["collection"])
    target = str(entry.options.get("target", "local"))
    asked = operations.start_snapshot(
        client,
        namespace,
        target=target,
        collection=collection,
        name=entry.name,
        embedding=_embedding(entry, pushed),
    )
    outcome = finish(client, namespace, asked, tell).outcome or {}
    reference = ArtifactReference.parse(str(outcome["reference"]))
    return PushedArtifact(
        slot=entry.slot,
        reference=str(reference),
        version=str(outcome["version"]),
        digest=str(outcome["digest"]),
        created=bool(outcome["created"]),
        artifact=fetch_artifact(client, reference),
        origin=f"{target}:{collection}",
    )


def _embedding(entry: Entry, pushed: Sequence[PushedArtifact]) -> Embedding | None:
    """Read the embedder out of the model that the entry names."""
    named = entry.options.get("embedder")
    if named is None:
        return None
    config = next((one.artifact.config for one in pushed if one.slot == named), None)
    if not isinstance(config, ModelConfig) or config.provider is None or config.revision is None:
        raise SourceError(
            f'the embedder of "{entry.slot}" is {str(named)[:80]!r}, which is no model with provider and revision',
            hint="name a model of the project that has both: embedder: models/embedder",
        )
    return Embedding(config.provider, config.model, config.revision)
