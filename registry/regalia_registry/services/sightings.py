"""What polls tell of agents: kept in memory on the way, and written together every few seconds."""

from datetime import datetime
from threading import Lock

from regalia.core.references import BundleReference
from regalia_registry.domain.agents import MAX_TOLD, REMEMBERED, read_agent
from regalia_registry.ports.store import Told
from regalia_registry.services.context import Ports

_MAX_WAITING = 20_000  # some 10 MB: more agents than that between two flushes are noted at their next poll
_FORGET_EVERY_S = 600.0


class Sightings:
    """Who polled this process since it last told the store: a poll costs a look at a dict, and never a write."""

    def __init__(self, ports: Ports, *, most: int = _MAX_WAITING) -> None:
        """Start empty; no more than `most` agents are kept between two flushes."""
        self._ports = ports
        self._most = most
        self._lock = Lock()
        self._waiting: dict[tuple[BundleReference, str], tuple[str, datetime]] = {}
        self._forget_at = 0.0

    def saw(self, reference: BundleReference, *, instance: str, serves: str) -> None:
        """Take note of a poll that was answered; what it tells is read when it is written."""
        if len(instance) + len(serves) > MAX_TOLD:
            return
        key, told = (reference, instance), (serves, self._ports.clock.now())
        with self._lock:
            if len(self._waiting) < self._most or key in self._waiting:
                self._waiting[key] = told

    def flush(self) -> int:
        """Tell the store; gives how many agents that were. What it does not take, the agents' next polls tell again.

        Raises:
            UnavailableError: The store takes nothing for the moment.
        """
        with self._lock:
            waiting, self._waiting = self._waiting, {}
        read = [
            read_agent(reference, instance=instance, serves=serves, seen_at=seen_at)
            for (reference, instance), (serves, seen_at) in waiting.items()
        ]
        seen = [one for one in read if one is not None]
        is_time = self._ports.clock.monotonic() >= self._forget_at
        if not seen and not is_time:
            return 0
        with self._ports.store.note(to=Told.NOBODY) as tx:
            tx.agents.note(seen)
            if is_time:
                tx.agents.forget(before=self._ports.clock.now() - REMEMBERED)
        if is_time:
            self._forget_at = self._ports.clock.monotonic() + _FORGET_EVERY_S
        return len(seen)
