"""A registry in memory, and a clock that tests turn."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from regalia.testing import MemoryRegistry

PROMPTS = {"customer_support": "You are a bank support agent.\n{context}\nUser: {user_query}\n"}


@dataclass
class TurnedClock:
    moment: datetime = datetime(2026, 3, 15, 12, 10, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.moment

    def turn(self, **by: float) -> None:
        self.moment += timedelta(**by)


@pytest.fixture
def clock() -> TurnedClock:
    return TurnedClock()


@pytest.fixture
def registry(tmp_path: Path, clock: TurnedClock) -> MemoryRegistry:
    made = MemoryRegistry(tmp_path, clock=clock)
    made.release(
        "2.3.0",
        prompts=PROMPTS,
        models={"complex_queries": ("gpt-4-turbo", "gpt-4-0125-preview")},
        configs={"retrieval": {"top_k": 8}},
        channel="prod",
    )
    return made
