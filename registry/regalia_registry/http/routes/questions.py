"""Questions about snapshots and collections, and retiring one: asked for here, done by a worker."""

from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from regalia.core.names import ArtifactName, Kind, check_segment, check_version
from regalia.wire.answers import OperationEntry, ProvenanceEntry
from regalia_registry.domain.questions import (
    MAX_HITS,
    DiffWish,
    Near,
    QueryWish,
    RetireWish,
    SearchWish,
    Which,
    encode_vector,
)
from regalia_registry.domain.snapshots.rows import MAX_KEY
from regalia_registry.domain.snapshots.schema import MAX_DIMS
from regalia_registry.http.dependencies import CurrentCaller, CurrentPorts, NamespacePath
from regalia_registry.services import artifacts, operations

router = APIRouter(prefix="/v1/namespaces/{namespace}", tags=["operations"])

CollectionName = Annotated[str, Field(min_length=1, max_length=256)]


class DiffIn(BaseModel):
    """The version to compare with; `rows` asks for the keys that differ."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(max_length=64)
    version: str = Field(max_length=256)
    rows: bool = False


class NearIn(BaseModel):
    """Near what rows are looked for: a vector, or the row of a key; `space` chooses among several vectors."""

    model_config = ConfigDict(extra="forbid")

    vector: list[float] | None = Field(default=None, min_length=1, max_length=MAX_DIMS)
    like: str | None = Field(default=None, max_length=MAX_KEY)
    space: str = Field(default="", max_length=256)
    limit: int = Field(default=10, ge=1, le=MAX_HITS)

    def near(self) -> Near:
        """Give it as the domain's."""
        vector = None if self.vector is None else encode_vector(self.vector)
        return Near(vector, self.like, self.space, self.limit)


class SearchIn(NearIn):
    """Which collection is searched, and near what."""

    collection: CollectionName


class RetireIn(BaseModel):
    """Which collection is to be dropped."""

    model_config = ConfigDict(extra="forbid")

    collection: CollectionName


@router.get("/snapshots/{name}/{version}/provenance")
def get_provenance(
    namespace: NamespacePath, name: str, version: str, caller: CurrentCaller, ports: CurrentPorts
) -> ProvenanceEntry:
    """Tell how this version came to be, as far as the registry made it."""
    artifact = ArtifactName(namespace, Kind.SNAPSHOT, check_segment(name, what="snapshot"))
    return artifacts.find_provenance(ports, caller, artifact, version=check_version(version))


@router.post("/snapshots/{name}/{version}/diff", status_code=202)
def start_diff(
    namespace: NamespacePath, name: str, version: str, sent: DiffIn, caller: CurrentCaller, ports: CurrentPorts
) -> OperationEntry:
    """Ask what differs from this version to another."""
    wish = DiffWish(Which(name, version), Which(sent.name, sent.version), sent.rows)
    return operations.start(ports, caller, namespace=namespace, wish=wish)


@router.post("/snapshots/{name}/{version}/query", status_code=202)
def start_query(
    namespace: NamespacePath, name: str, version: str, sent: NearIn, caller: CurrentCaller, ports: CurrentPorts
) -> OperationEntry:
    """Ask for the nearest rows of a stored version."""
    wish = QueryWish(Which(name, version), sent.near())
    return operations.start(ports, caller, namespace=namespace, wish=wish)


@router.post("/targets/{target}/search", status_code=202)
def start_search(
    namespace: NamespacePath, target: str, sent: SearchIn, caller: CurrentCaller, ports: CurrentPorts
) -> OperationEntry:
    """Ask for the nearest rows of a collection, by its engine's own index."""
    wish = SearchWish(check_segment(target, what="target"), sent.collection, sent.near())
    return operations.start(ports, caller, namespace=namespace, wish=wish)


@router.post("/targets/{target}/retire", status_code=202)
def start_retire(
    namespace: NamespacePath, target: str, sent: RetireIn, caller: CurrentCaller, ports: CurrentPorts
) -> OperationEntry:
    """Ask for a collection that a load made to be dropped."""
    wish = RetireWish(check_segment(target, what="target"), sent.collection)
    return operations.start(ports, caller, namespace=namespace, wish=wish)
