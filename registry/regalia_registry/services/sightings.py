"""What polls tell of agents: kept in memory on the way, and written together every few seconds."""

from threading import Lock

from regalia.core.names import ApplicationName
from regalia_registry.domain.agents import REMEMBERED, Agent
from regalia_registry.services.context import Ports

_MAX_WAITING = 20_000  # 4 MB: more polls than that between two flushes are noted at their next
_FORGET_EVERY_S = 600.0


class Sightings:
    """Who polled this process since it last told the store: a poll costs a look at a dict, and never a write."""

    def __init__(self, ports: Ports, *, most: int = _MAX_WAITING) -> None:
        """Start empty; no more than `most` agents are kept between two flushes."""
        self._ports = ports
        self._most = most
        self._lock = Lock()
        self._waiting: dict[tuple[ApplicationName, str, str], Agent] = {}
        self._forget_at = 0.0

    def saw(self, agent: Agent) -> None:
        """Take note of a poll."""
        key = agent.application, agent.channel, agent.instance
        with self._lock:
            if len(self._waiting) < self._most or key in self._waiting:
                self._waiting[key] = agent

    def flush(self) -> int:
        """Tell the store; gives how many agents that were. What it does not take, the agents' next polls tell again.

        Raises:
            UnavailableError: The store takes nothing for the moment.
        """
        with self._lock:
            seen, self._waiting = list(self._waiting.values()), {}
        is_time = self._ports.clock.monotonic() >= self._forget_at
        if not seen and not is_time:
            return 0
        with self._ports.store.note() as tx:
            tx.agents.note(seen)
            if is_time:
                tx.agents.forget(before=self._ports.clock.now() - REMEMBERED)
        if is_time:
            self._forget_at = self._ports.clock.monotonic() + _FORGET_EVERY_S
        return len(seen)
