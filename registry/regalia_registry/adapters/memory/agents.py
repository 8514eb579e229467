"""Agents in memory."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from regalia.core import times
from regalia.core.names import ApplicationName
from regalia_registry.adapters.memory.tables import Tables, page
from regalia_registry.domain.agents import MAX_AGENTS, Agent


class MemoryAgents:
    """An `AgentRepository` in memory."""

    def __init__(self, tables: Tables) -> None:
        """Keep the tables."""
        self._tables = tables

    def note(self, agents: Sequence[Agent]) -> None:
        """Remember that these were seen."""
        for one in agents:
            key = one.application, one.channel, one.instance
            there, seen = self._tables.agents.get(key), replace(one, seen_at=times.whole_second(one.seen_at))
            if there is None or there.seen_at <= seen.seen_at:
                self._tables.agents[key] = seen
        for application, channel in {(one.application, one.channel) for one in agents}:
            found = sorted(self._of(application, channel), key=lambda one: (one.seen_at, one.instance))
            for one in found[: max(0, len(found) - MAX_AGENTS)]:
                del self._tables.agents[one.application, one.channel, one.instance]

    def list(self, application: ApplicationName, channel: str, *, after: str | None, limit: int) -> Sequence[Agent]:
        """List a channel's agents by instance."""
        return page(self._of(application, channel), key=lambda one: one.instance, after=after, limit=limit)

    def served(self, application: ApplicationName, channel: str) -> Sequence[int]:
        """Give the sequences that they said, each once."""
        return sorted({one.sequence for one in self._of(application, channel)})

    def forget(self, *, before: datetime) -> int:
        """Forget those that were last seen before a moment."""
        old = [key for key, one in self._tables.agents.items() if one.seen_at < before]
        for key in old:
            del self._tables.agents[key]
        return len(old)

    def _of(self, application: ApplicationName, channel: str) -> Sequence[Agent]:
        return [one for one in self._tables.agents.values() if (one.application, one.channel) == (application, channel)]
