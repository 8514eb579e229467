"""Which agents follow which channel; noted beside the catalog, and forgotten after a day."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from regalia.core.names import ApplicationName
from regalia_registry.domain.agents import Agent


class AgentRepository(Protocol):
    """Agents by application, channel and instance."""

    def note(self, agents: Sequence[Agent]) -> None:
        """Remember that these were seen; what is known from later stays.

        Of more than `MAX_AGENTS` of a channel, those that were seen longest ago are forgotten.
        """
        ...

    def list(self, application: ApplicationName, channel: str, *, after: str | None, limit: int) -> Sequence[Agent]:
        """List a channel's agents by instance."""
        ...

    def served(self, application: ApplicationName, channel: str) -> Sequence[int]:
        """Give the sequences of the pointers that a channel's agents said that they serve, each once, in order."""
        ...

    def forget(self, *, before: datetime) -> int:
        """Forget those that were last seen before a moment; gives how many."""
        ...
