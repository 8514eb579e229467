"""Agents: which instances follow a channel, and what each says that it serves."""

from regalia.core import times
from regalia.core.digest import Digest
from regalia.core.errors import NotFoundError
from regalia.core.names import ApplicationName
from regalia.wire.answers import AgentEntry
from regalia_registry.domain.access import Right
from regalia_registry.ports.store import Transaction
from regalia_registry.services.context import Caller, Ports
from regalia_registry.services.steps.lookups import find_pointer


def list_agents(
    ports: Ports, caller: Caller, *, application: ApplicationName, channel: str, after: str | None, limit: int
) -> list[AgentEntry]:
    """List the instances that followed a channel within the last day, as they say what they serve.

    Raises:
        NotFoundError: There is no such channel.
    """
    caller.actor.require(Right.READ, on=application.namespace)
    now = ports.clock.now()
    with ports.store.read() as tx:
        find_pointer(tx, application, channel)
        found = tx.agents.list(application, channel, after=after, limit=limit)
        versions = {bundle: _version(tx, application, bundle) for bundle in {one.bundle for one in found}}
    return [
        AgentEntry(
            instance=one.instance,
            version=versions[one.bundle],
            bundle=str(one.bundle),
            epoch=one.epoch,
            sequence=one.sequence,
            pinned=one.pinned,
            seen_at=times.write(one.seen_at),
            age_s=max(0, int((now - one.seen_at).total_seconds())),
        )
        for one in found
    ]


def _version(tx: Transaction, application: ApplicationName, bundle: Digest) -> str:
    """Find the version of what an agent says that it serves; who says something else is listed all the same."""
    try:
        return tx.bundles.get_by_digest(application, digest=bundle).version
    except NotFoundError:
        return ""
