"""What is said of a fleet after a move: who has arrived, who serves an older bundle, and who was not seen."""

import pytest

from regalia.fleet import Arrival
from regalia.wire.answers import AgentEntry
from regalia_cli.commands.arriving import is_whole, told


def agents(count: int, *, seen_at: str = "2026-03-15T14:01:00Z") -> tuple[AgentEntry, ...]:
    return tuple(
        AgentEntry(f"a{number}", "2.3.1", "sha256:…", 1, 7, pinned=False, seen_at=seen_at, age_s=1)
        for number in range(count)
    )


@pytest.mark.parametrize(
    ("arrival", "words"),
    [
        (Arrival(), "fleet: nobody follows"),
        (Arrival(agents(50)), "fleet: 50 of 50 on sequence 7"),
        (
            Arrival(agents(48), unseen=agents(1) + agents(1, seen_at="2026-03-15T14:02:59Z")),
            "fleet: 48 of 50 on sequence 7; 2 not seen since 14:02 UTC",
        ),
        (Arrival(agents(1), behind=agents(3)), "fleet: 1 of 4 on sequence 7; 3 poll and serve an older one"),
    ],
    ids=["nobody", "all", "gone", "behind"],
)
def test_a_fleet_is_put_into_words(arrival: Arrival, words: str) -> None:
    assert told(arrival, 7) == words
    assert arrival.is_whole == (not arrival.behind and not arrival.unseen)


WAITED = {
    "all there": ({"arrived": 2, "behind": [], "unseen": []}, True),
    "nobody follows": ({"arrived": 0, "behind": [], "unseen": []}, True),
    "one is behind": ({"arrived": 1, "behind": ["a"], "unseen": []}, False),
    "one was not seen": ({"arrived": 1, "behind": [], "unseen": ["a"]}, False),
    "nothing is known": (None, False),
}


@pytest.mark.parametrize(("arrived", "expected"), WAITED.values(), ids=WAITED)
def test_a_fleet_is_whole_where_that_is_known(arrived: object, expected: bool) -> None:  # noqa: FBT001 # a table
    assert is_whole(arrived) is expected
