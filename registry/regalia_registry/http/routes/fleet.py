"""Who follows a channel, and how fast it could go back."""

from fastapi import APIRouter

from regalia.wire.answers import AgentEntry, ReadinessEntry
from regalia_registry.http.dependencies import After, ApplicationPath, ChannelPath, CurrentCaller, CurrentPorts, Limit
from regalia_registry.http.pages import Page, page_of
from regalia_registry.services import agents, readiness

router = APIRouter(prefix="/v1/apps/{namespace}/{name}/channels/{channel}", tags=["channels"])


@router.get("/agents")
def list_agents(
    application: ApplicationPath,
    channel: ChannelPath,
    caller: CurrentCaller,
    ports: CurrentPorts,
    after: After = None,
    limit: Limit = 50,
) -> Page[AgentEntry]:
    """List the instances that followed the channel within the last day, and what each says that it serves."""
    found = agents.list_agents(ports, caller, application=application, channel=channel, after=after, limit=limit)
    return page_of(found, limit=limit, key=lambda entry: entry.instance)


@router.get("/readiness")
def get_readiness(
    application: ApplicationPath, channel: ChannelPath, caller: CurrentCaller, ports: CurrentPorts
) -> ReadinessEntry:
    """Say which bundle the channel would go back to, and whether its collections are there or are to be made."""
    return readiness.get_readiness(ports, caller, application=application, channel=channel)
