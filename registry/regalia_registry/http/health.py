"""Whether the process lives, and whether it can do its work."""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from fastapi import APIRouter, Response


class State(StrEnum):
    """How a dependency is."""

    OK = "ok"
    DEGRADED = "degraded"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Dependency:
    """One thing that the registry needs, and what is wrong with it."""

    name: str
    state: State
    told: str = ""


@dataclass(frozen=True, slots=True)
class Readiness:
    """The state of all that is needed; degraded is still ready."""

    state: State
    dependencies: list[Dependency] = field(default_factory=list)

    @classmethod
    def of(cls, dependencies: list[Dependency]) -> "Readiness":
        """Take the worst."""
        states = {dependency.state for dependency in dependencies}
        worst = next((state for state in (State.FAILED, State.DEGRADED) if state in states), State.OK)
        return cls(worst, dependencies)


def make_router(readiness: Callable[[], Readiness]) -> APIRouter:
    """Make the two health routes; neither needs a token, neither tells a secret."""
    router = APIRouter(tags=["health"])

    @router.get("/healthz")
    async def healthz() -> dict[str, str]:
        """Say that the process lives."""
        return {"status": "ok"}

    @router.get("/readyz", responses={503: {"model": Readiness}})
    def readyz(response: Response) -> Readiness:
        """Say whether the registry can work, and name what it lacks; 503 where it can't."""
        found = readiness()
        response.status_code = 503 if found.state is State.FAILED else 200
        return found

    return router
