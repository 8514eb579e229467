"""Removing what nothing needs any more: asked for here, done by a worker."""

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict

from regalia.wire.answers import OperationEntry
from regalia_registry.domain.retention import GarbageWish
from regalia_registry.http.dependencies import CurrentCaller, CurrentPorts
from regalia_registry.services import garbage

router = APIRouter(prefix="/v1", tags=["operations"])


class GarbageIn(BaseModel):
    """Whether to remove it, or to say what would be removed."""

    model_config = ConfigDict(extra="forbid")

    plan: bool


@router.post("/gc", status_code=202)
def collect_garbage(sent: GarbageIn, caller: CurrentCaller, ports: CurrentPorts) -> OperationEntry:
    """Ask for what nothing needs any more to be removed, in all namespaces; the operation is of `*`."""
    return garbage.collect(ports, caller, wish=GarbageWish(sent.plan))
