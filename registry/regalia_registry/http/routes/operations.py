"""Targets, and operations: asked for here, done by a worker."""

import asyncio
import time
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from regalia.core.kinds.snapshot import Embedding
from regalia.core.names import check_segment, check_version
from regalia.wire.answers import OperationEntry, OperationProgress, TargetEntry
from regalia_registry.domain.operations import (
    CompactWish,
    LoadWish,
    Look,
    LookWish,
    OperationState,
    SnapshotWish,
    Target,
    VerifyWish,
)
from regalia_registry.http.dependencies import (
    After,
    AnyNamespacePath,
    CurrentCaller,
    CurrentPorts,
    Limit,
    NamespacePath,
)
from regalia_registry.http.pages import Page, page_of
from regalia_registry.services import operations, targets

router = APIRouter(prefix="/v1", tags=["operations"])

_MAX_WAIT_S = 20
_GLANCE_S = 0.01


NamespacesIn = Annotated[list[Annotated[str, Field(max_length=64)]], Field(min_length=1, max_length=256)]


class TargetIn(BaseModel):
    """A target to add; `credential` says where its password is, and is never one."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(max_length=64)
    provider: str = Field(max_length=64)
    url: str = Field(max_length=2048)
    credential: str | None = Field(default=None, max_length=2048)
    namespaces: NamespacesIn


class AssignmentIn(BaseModel):
    """Which namespaces may use a target."""

    model_config = ConfigDict(extra="forbid")

    namespaces: NamespacesIn


class EmbeddingIn(BaseModel):
    """Which embedder made the vectors."""

    model_config = ConfigDict(extra="forbid")

    provider: str = Field(max_length=128)
    model: str = Field(max_length=256)
    revision: str = Field(max_length=256)

    def embedding(self) -> Embedding:
        """Give it as the core's."""
        return Embedding(self.provider, self.model, self.revision)


class SnapshotIn(BaseModel):
    """A snapshot to take of a target's collection."""

    model_config = ConfigDict(extra="forbid")

    target: str = Field(max_length=64)
    collection: str = Field(min_length=1, max_length=256)
    name: str = Field(max_length=64)
    embedding: EmbeddingIn | None = None
    freeze: bool = False


class LoadIn(BaseModel):
    """Where a snapshot is to be loaded, how the new collection's name begins, and what its index must find."""

    model_config = ConfigDict(extra="forbid")

    target: str = Field(max_length=64)
    logical: str = Field(max_length=64)
    min_recall: float | None = Field(default=None, ge=0, le=1, allow_inf_nan=False)


class LookIn(BaseModel):
    """What to look at; `collection` is for `show`."""

    model_config = ConfigDict(extra="forbid")

    what: Look
    collection: str = Field(default="", max_length=256)


@router.get("/targets")
def list_targets(caller: CurrentCaller, ports: CurrentPorts) -> Page[TargetEntry]:
    """List the targets that the caller's namespaces may use, the embedded one first."""
    return Page(targets.list_targets(ports, caller))


@router.post("/targets", status_code=201)
def add_target(sent: TargetIn, caller: CurrentCaller, ports: CurrentPorts) -> TargetEntry:
    """Add a target."""
    added = Target(sent.name, sent.provider, sent.url, sent.credential, tuple(sorted(set(sent.namespaces))))
    return targets.add_target(ports, caller, added)


@router.get("/targets/{name}")
def get_target(name: str, caller: CurrentCaller, ports: CurrentPorts) -> TargetEntry:
    """Get a target."""
    return targets.get_target(ports, caller, name=check_segment(name, what="target"))


@router.put("/targets/{name}/namespaces")
def assign_target(name: str, sent: AssignmentIn, caller: CurrentCaller, ports: CurrentPorts) -> TargetEntry:
    """Say which namespaces may use a target, in place of those that might."""
    given = tuple(sorted(set(sent.namespaces)))
    return targets.assign_target(ports, caller, name=check_segment(name, what="target"), namespaces=given)


@router.delete("/targets/{name}", status_code=204)
def remove_target(name: str, caller: CurrentCaller, ports: CurrentPorts) -> None:
    """Remove a target; what it points at stays as it is."""
    targets.remove_target(ports, caller, name=check_segment(name, what="target"))


@router.post("/namespaces/{namespace}/snapshots", status_code=202)
def start_snapshot(
    namespace: NamespacePath, sent: SnapshotIn, caller: CurrentCaller, ports: CurrentPorts
) -> OperationEntry:
    """Ask for a snapshot; a worker takes it."""
    embedding = None if sent.embedding is None else sent.embedding.embedding()
    wish = SnapshotWish(sent.target, sent.collection, check_segment(sent.name, what="snapshot"), embedding, sent.freeze)
    return operations.start(ports, caller, namespace=namespace, wish=wish)


@router.post("/namespaces/{namespace}/snapshots/{name}/{version}/load", status_code=202)
def start_load(
    namespace: NamespacePath, name: str, version: str, sent: LoadIn, caller: CurrentCaller, ports: CurrentPorts
) -> OperationEntry:
    """Ask for a version to be loaded into a new collection; a worker loads and proves it."""
    which = check_segment(name, what="snapshot"), check_version(version)
    wish = LoadWish(*which, sent.target, sent.logical, sent.min_recall)
    return operations.start(ports, caller, namespace=namespace, wish=wish)


@router.post("/namespaces/{namespace}/snapshots/{name}/{version}/verify", status_code=202)
def start_verify(
    namespace: NamespacePath, name: str, version: str, caller: CurrentCaller, ports: CurrentPorts
) -> OperationEntry:
    """Ask for a stored version to be read through and compared with its root."""
    wish = VerifyWish(check_segment(name, what="snapshot"), check_version(version))
    return operations.start(ports, caller, namespace=namespace, wish=wish)


@router.post("/namespaces/{namespace}/snapshots/{name}/compact", status_code=202)
def start_compact(namespace: NamespacePath, name: str, caller: CurrentCaller, ports: CurrentPorts) -> OperationEntry:
    """Ask for a snapshot's newest version to be written into fewer files; a worker makes the next version."""
    wish = CompactWish(check_segment(name, what="snapshot"))
    return operations.start(ports, caller, namespace=namespace, wish=wish)


@router.post("/namespaces/{namespace}/targets/{target}/look", status_code=202)
def start_look(
    namespace: NamespacePath, target: str, sent: LookIn, caller: CurrentCaller, ports: CurrentPorts
) -> OperationEntry:
    """Ask a worker to look at a target; nothing there is changed."""
    wish = LookWish(check_segment(target, what="target"), sent.what, sent.collection)
    return operations.start(ports, caller, namespace=namespace, wish=wish)


@router.get("/namespaces/{namespace}/operations")
def list_operations(
    namespace: AnyNamespacePath, caller: CurrentCaller, ports: CurrentPorts, after: After = None, limit: Limit = 50
) -> Page[OperationEntry]:
    """List operations, newest first."""
    found = operations.list_operations(ports, caller, namespace=namespace, after=after, limit=limit)
    return page_of(found, limit=limit, key=lambda entry: entry.id)


@router.get("/namespaces/{namespace}/operations/{operation_id}")
async def follow_operation(
    namespace: AnyNamespacePath,
    operation_id: str,
    caller: CurrentCaller,
    ports: CurrentPorts,
    after: Annotated[int, Query(ge=0, le=2**31 - 1, description="the number of the last event that was seen")] = 0,
    wait: Annotated[int, Query(ge=0, le=_MAX_WAIT_S, description="seconds to wait for something new")] = 0,
) -> OperationProgress:
    """Get an operation and what happened since; waits for something to happen where it is asked to."""
    deadline = time.monotonic() + wait
    while True:
        seen = ports.store.activity()
        look = partial(
            operations.follow_operation, ports, caller, namespace=namespace, operation_id=operation_id[:64], after=after
        )
        found = await run_in_threadpool(look)  # a thread a look: who waits holds none
        if found.events or OperationState(found.operation.state).is_over or time.monotonic() >= deadline:
            return found
        while ports.store.activity() == seen and time.monotonic() < deadline:  # a look at it costs microseconds
            await asyncio.sleep(_GLANCE_S)


@router.post("/namespaces/{namespace}/operations/{operation_id}/cancel")
def cancel_operation(
    namespace: AnyNamespacePath, operation_id: str, caller: CurrentCaller, ports: CurrentPorts
) -> OperationEntry:
    """Ask an operation to end."""
    return operations.cancel_operation(ports, caller, namespace=namespace, operation_id=operation_id[:64])
