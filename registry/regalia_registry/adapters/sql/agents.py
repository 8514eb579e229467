"""Agents in SQL: a row an instance, replaced as it is seen."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, RowMapping, and_, delete, func, select

from regalia.core import times
from regalia.core.digest import Digest
from regalia.core.names import ApplicationName
from regalia_registry.adapters.sql.engine import replace_older
from regalia_registry.adapters.sql.statements import AGENT
from regalia_registry.domain.agents import MAX_AGENTS, Agent


class SqlAgents:
    """An `AgentRepository` over one transaction."""

    def __init__(self, connection: Connection) -> None:
        """Keep the transaction."""
        self._connection = connection

    def note(self, agents: Sequence[Agent]) -> None:
        """Remember that these were seen."""
        if not agents:
            return
        replace_older(self._connection, AGENT, [_row(one) for one in agents], by="seen_at")
        for application, channel in {(str(one.application), one.channel) for one in agents}:
            self._cut(application, channel)

    def list(self, application: ApplicationName, channel: str, *, after: str | None, limit: int) -> Sequence[Agent]:
        """List a channel's agents by instance."""
        query = select(AGENT).where(AGENT.c.application == str(application), AGENT.c.channel == channel)
        if after is not None:
            query = query.where(AGENT.c.instance > after)
        rows = self._connection.execute(query.order_by(AGENT.c.instance).limit(limit)).mappings()
        return [_read(row) for row in rows]

    def served(self, application: ApplicationName, channel: str) -> Sequence[int]:
        """Give the sequences that they said, each once."""
        is_there = and_(AGENT.c.application == str(application), AGENT.c.channel == channel)
        query = select(AGENT.c.sequence).distinct().where(is_there).order_by(AGENT.c.sequence)
        return list(self._connection.execute(query).scalars())

    def forget(self, *, before: datetime) -> int:
        """Forget those that were last seen before a moment."""
        return self._connection.execute(delete(AGENT).where(AGENT.c.seen_at < times.write(before))).rowcount

    def _cut(self, application: str, channel: str) -> None:
        is_there = and_(AGENT.c.application == application, AGENT.c.channel == channel)
        counted = self._connection.execute(select(func.count()).select_from(AGENT).where(is_there)).scalar_one()
        if counted > MAX_AGENTS:
            oldest = select(AGENT.c.instance).where(is_there).order_by(AGENT.c.seen_at, AGENT.c.instance)
            surplus = oldest.limit(counted - MAX_AGENTS)
            self._connection.execute(delete(AGENT).where(and_(is_there, AGENT.c.instance.in_(surplus))))


def _row(agent: Agent) -> dict[str, object]:
    return {
        "application": str(agent.application),
        "channel": agent.channel,
        "instance": agent.instance,
        "epoch": agent.epoch,
        "sequence": agent.sequence,
        "bundle": agent.bundle.hex,
        "pinned": agent.pinned,
        "seen_at": times.write(agent.seen_at),
    }


def _read(row: RowMapping) -> Agent:
    return Agent(
        application=ApplicationName.parse(row["application"]),
        channel=row["channel"],
        instance=row["instance"],
        epoch=row["epoch"],
        sequence=row["sequence"],
        bundle=Digest(row["bundle"]),
        seen_at=times.parse(row["seen_at"], what="seen_at"),
        pinned=bool(row["pinned"]),
    )
