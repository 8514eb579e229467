"""Whether the process lives, and whether it can do its work."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from fastapi import APIRouter, Response

from regalia.core.errors import RegaliaError
from regalia_registry.http.probes import Probe
from regalia_registry.services.health import Found, State

_LIMIT_S = 2.0
_VITAL = frozenset({"database", "trust"})  # what is silent here leaves nothing to serve


class Ready(StrEnum):
    """Whether the registry can do its work; degraded is ready."""

    OK = "ok"
    DEGRADED = "degraded"
    FAILED = "failed"
    STOPPING = "stopping"


@dataclass(frozen=True, slots=True)
class Dependency:
    """One thing that the registry needs, and what is to be told of it."""

    name: str
    state: State
    told: str = ""


@dataclass(frozen=True, slots=True)
class Readiness:
    """The state of all that is needed."""

    state: Ready
    dependencies: list[Dependency] = field(default_factory=list)

    @classmethod
    def of(cls, dependencies: list[Dependency]) -> "Readiness":
        """Take the worst."""
        states = {dependency.state for dependency in dependencies}
        worst = next((state for state in (State.FAILED, State.DEGRADED) if state in states), State.OK)
        return cls(Ready(worst), dependencies)


class Health:
    """Looks at the dependencies side by side, each within two seconds; tells that the process stops once it does."""

    def __init__(self, checks: Mapping[str, Callable[[], Found]]) -> None:
        """Look at nothing yet."""
        self._probes = {name: Probe(check, limit_s=_LIMIT_S) for name, check in checks.items()}
        self.is_stopping = False

    async def readiness(self) -> Readiness:
        """Look."""
        if self.is_stopping:
            return Readiness(Ready.STOPPING)
        return Readiness.of(list(await asyncio.gather(*(self._look(name) for name in self._probes))))

    async def _look(self, name: str) -> Dependency:
        try:
            found = await self._probes[name].answer()
        except RegaliaError as error:
            found = Found(State.FAILED if name in _VITAL else State.DEGRADED, error.message)
        return Dependency(name, found.state, found.told)


def make_router(health: Health) -> APIRouter:
    """Make the two health routes; neither needs a token, neither tells a secret."""
    router = APIRouter(tags=["health"])

    @router.get("/healthz")
    async def healthz() -> dict[str, str]:
        """Say that the process lives; nothing is looked at."""
        return {"status": "ok"}

    @router.get("/readyz", responses={503: {"model": Readiness}})
    async def readyz(response: Response) -> Readiness:
        """Say whether the registry can work, and name what it lacks; 503 where it can't, or stops."""
        found = await health.readiness()
        response.status_code = 503 if found.state in {Ready.FAILED, Ready.STOPPING} else 200
        return found

    return router
