"""Work that a worker does: asking for it, watching it, ending it."""

from collections.abc import Iterator, Sequence

from regalia.client import Client
from regalia.core.kinds.snapshot import Embedding
from regalia.core.strict_json import JsonObject
from regalia.wire.answers import ArtifactEntry, OperationEntry, OperationProgress, TargetEntry

_WAIT_S = 5  # half of what a connection waits for an answer

AT_WORK = frozenset({"queued", "running", "committed"})  # states that end by themselves


def add_target(client: Client, target: TargetEntry) -> TargetEntry:
    """Add a named connection to a vector engine."""
    body: JsonObject = {
        "name": target.name,
        "provider": target.provider,
        "url": target.url,
        "namespaces": list(target.namespaces),
    }
    if target.credential is not None:
        body["credential"] = target.credential
    return client.registry.send(TargetEntry, "POST", "/v1/targets", body)


def assign_target(client: Client, name: str, namespaces: Sequence[str]) -> TargetEntry:
    """Say which namespaces may use a target, in place of those that might; `*` is all."""
    body: JsonObject = {"namespaces": list(namespaces)}
    return client.registry.send(TargetEntry, "PUT", f"/v1/targets/{name}/namespaces", body)


def list_targets(client: Client) -> Iterator[TargetEntry]:
    """List targets, the embedded one first."""
    return client.registry.pages(TargetEntry, "/v1/targets")


def get_target(client: Client, name: str) -> TargetEntry:
    """Get a target."""
    return client.registry.get(TargetEntry, f"/v1/targets/{name}")


def remove_target(client: Client, name: str) -> None:
    """Remove a target; what it points at stays as it is."""
    client.registry.change("DELETE", f"/v1/targets/{name}")


def start_snapshot(
    client: Client,
    namespace: str,
    *,
    target: str,
    collection: str,
    name: str,
    embedding: Embedding | None = None,
    freeze: bool = False,
) -> OperationEntry:
    """Ask for a snapshot of a target's collection; `freeze` stops its writers for the time of the reading."""
    body: JsonObject = {"target": target, "collection": collection, "name": name}
    if embedding is not None:
        body["embedding"] = embedding.written()
    if freeze:
        body["freeze"] = True
    return client.registry.send(OperationEntry, "POST", f"/v1/namespaces/{namespace}/snapshots", body)


def start_load(
    client: Client,
    namespace: str,
    name: str,
    version: str,
    *,
    target: str,
    logical: str,
    min_recall: float | None = None,
) -> OperationEntry:
    """Ask for a version to be loaded into a new collection whose name begins with `logical`.

    `min_recall` is what its index must find of the nearest rows that the snapshot knows, from 0 to 1.
    """
    body: JsonObject = {"target": target, "logical": logical}
    if min_recall is not None:
        body["min_recall"] = min_recall
    return client.registry.send(OperationEntry, "POST", f"{_snapshot(namespace, name, version)}/load", body)


def start_verify(client: Client, namespace: str, name: str, version: str) -> OperationEntry:
    """Ask for a stored version to be read through and compared with its root."""
    return client.registry.send(OperationEntry, "POST", f"{_snapshot(namespace, name, version)}/verify", {})


def start_compact(client: Client, namespace: str, name: str) -> OperationEntry:
    """Ask for a snapshot's newest version to be written into fewer files, as the next version."""
    return client.registry.send(OperationEntry, "POST", f"/v1/namespaces/{namespace}/snapshots/{name}/compact", {})


def start_look(client: Client, namespace: str, target: str, *, what: str, collection: str = "") -> OperationEntry:
    """Ask a worker to look at a target: `check`, `list` its collections, or `show` one."""
    path = f"/v1/namespaces/{namespace}/targets/{target}/look"
    return client.registry.send(OperationEntry, "POST", path, {"what": what, "collection": collection})


def list_snapshots(client: Client, namespace: str, name: str) -> Iterator[ArtifactEntry]:
    """List a snapshot's versions, highest first."""
    return client.registry.pages(ArtifactEntry, f"/v1/namespaces/{namespace}/artifacts/snapshot/{name}")


def list_operations(client: Client, namespace: str) -> Iterator[OperationEntry]:
    """List operations, newest first."""
    return client.registry.pages(OperationEntry, f"/v1/namespaces/{namespace}/operations")


def get_operation(client: Client, namespace: str, operation_id: str) -> OperationProgress:
    """Get an operation with its first events."""
    return client.registry.get(OperationProgress, f"/v1/namespaces/{namespace}/operations/{operation_id}")


def watch(
    client: Client, namespace: str, operation_id: str, *, after: int = 0, wait_s: int = _WAIT_S
) -> Iterator[OperationProgress]:
    """Follow an operation until it is over or waits to be signed; each answer holds what happened since the last.

    An answer comes when something happened behind the event `after`, or after `wait_s` seconds, at most 20.
    """
    while True:
        query: dict[str, str | int | None] = {"after": after, "wait": wait_s}
        path = f"/v1/namespaces/{namespace}/operations/{operation_id}"
        found = client.registry.get(OperationProgress, path, query)
        yield found
        after = found.events[-1].number if found.events else after
        if found.operation.state not in AT_WORK and (not found.events or _ends(found)):
            return


def _ends(found: OperationProgress) -> bool:
    """Say whether the last event is the one that tells the state: nothing comes after it."""
    return found.events[-1].body.get("step") == found.operation.state


def cancel(client: Client, namespace: str, operation_id: str) -> OperationEntry:
    """Ask an operation to end at its worker's next step."""
    return client.registry.send(
        OperationEntry, "POST", f"/v1/namespaces/{namespace}/operations/{operation_id}/cancel", {}
    )


def _snapshot(namespace: str, name: str, version: str) -> str:
    return f"/v1/namespaces/{namespace}/snapshots/{name}/{version}"
