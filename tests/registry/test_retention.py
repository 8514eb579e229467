"""Which collections may go: what is used stays whoever asks, and what nothing uses stays for a time."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regalia.core.errors import InvalidError
from regalia_registry.domain.placing import Collection, CollectionState
from regalia_registry.domain.retention import Decision, Fate, GarbageWish, Retention, Uses, decide
from tests.support.records import NOW, collection

DAY, WEEK = timedelta(days=1), timedelta(days=7)
NAMED = collection(1).target, collection(1).name
LEFT = replace(collection(1), state=CollectionState.READY, sealed=True, verified_at=NOW, bound_at=NOW, unbound_at=NOW)
UNPROVED = replace(collection(1), state=CollectionState.RETIRING, unbound_at=NOW)
USES = {
    "current": (Uses(serving={NAMED: "acme/app:prod"}), "acme/app:prod serves from it"),
    "recent": (Uses(recent={NAMED: "acme/app:prod"}), "it is of the last bundles of acme/app:prod"),
    "awaited": (Uses(awaited={NAMED: "op-9"}), "operation op-9 waits for a pointer to it"),
    "made": (Uses(at_work=frozenset({"op-1"})), "operation op-1, which made it, is open"),
    "aliased": (Uses(aliased={NAMED: "kb"}), 'the alias "kb" leads to it'),
    "seen": (Uses(seen=frozenset({NAMED})), "an instance said within a day that it uses it"),
}
states = st.sampled_from([one for one in CollectionState if one is not CollectionState.DROPPED])
times = st.none() | st.integers(0, 30).map(lambda days: NOW + timedelta(days=days))


def decided(
    one: Collection, uses: Uses | None = None, *, after: timedelta = timedelta(), is_asked: bool = False
) -> Decision:
    return decide(one, uses or Uses(), Retention(), now=NOW + after, is_asked=is_asked)


@pytest.mark.parametrize(("uses", "reason"), USES.values(), ids=USES)
@given(state=states, is_asked=st.booleans(), sealed=st.booleans(), unbound_at=times)
def test_what_is_used_stays_whoever_asks_and_however_long_ago(
    uses: Uses,
    reason: str,
    state: CollectionState,
    unbound_at: datetime | None,
    *,
    is_asked: bool,
    sealed: bool,
) -> None:
    one = replace(LEFT, state=state, sealed=sealed, unbound_at=unbound_at)

    found = decided(one, uses, after=timedelta(days=999), is_asked=is_asked)

    assert found == Decision(Fate.KEEP, reason)


@pytest.mark.parametrize("other", [("other", NAMED[1]), (NAMED[0], "kb_other")], ids=["target", "name"])
def test_a_use_of_another_collection_keeps_nothing(other: tuple[str, str]) -> None:
    uses = Uses({other: "c"}, {other: "c"}, {other: "op-9"}, frozenset({"op-9"}), {other: "kb"}, frozenset({other}))

    assert decided(LEFT, uses, after=WEEK).fate is Fate.RETIRE


def test_what_was_let_go_of_is_kept_for_a_week() -> None:
    assert decided(LEFT, after=WEEK - timedelta(seconds=1)) == Decision(
        Fate.KEEP, "nothing names it, and it is kept until 2026-03-22 12:00 UTC"
    )
    assert decided(LEFT, after=WEEK) == Decision(Fate.RETIRE, "nothing names it")


def test_whoever_asks_waits_for_no_time() -> None:
    assert decided(LEFT, is_asked=True).fate is Fate.RETIRE
    assert decided(UNPROVED, is_asked=True).fate is Fate.DROP


@given(st.lists(times, min_size=3, max_size=3), st.integers(0, 60))
def test_the_last_time_that_something_had_to_do_with_it_counts(found: list[datetime | None], days: int) -> None:
    verified_at, bound_at, unbound_at = found
    one = replace(LEFT, verified_at=verified_at, bound_at=bound_at, unbound_at=unbound_at)
    last = max(time for time in (one.made_at, one.verified_at, one.bound_at, one.unbound_at) if time is not None)

    fate = decided(one, after=timedelta(days=days)).fate

    assert fate is (Fate.RETIRE if NOW + timedelta(days=days) >= last + WEEK else Fate.KEEP)


def test_what_was_prepared_and_never_signed_goes_like_what_was_let_go_of() -> None:
    never = replace(LEFT, bound_at=None, unbound_at=None)

    assert [decided(never, after=after).fate for after in (WEEK - DAY, WEEK)] == [Fate.KEEP, Fate.RETIRE]


@pytest.mark.parametrize("is_asked", [True, False], ids=["asked", "daily"])
def test_what_was_written_into_stays_until_that_is_stored(*, is_asked: bool) -> None:
    written = replace(LEFT, sealed=False, marker="open")

    kept = decided(written, after=timedelta(days=999), is_asked=is_asked)
    stored = decided(replace(written, leftover="snapshot/kb@2.0.0"), after=timedelta(days=999), is_asked=is_asked)

    assert kept == Decision(Fate.KEEP, "what was written into it is not stored yet")
    assert stored.fate is Fate.RETIRE


def test_what_nobody_ever_served_from_has_nothing_left_to_store() -> None:
    assert decided(replace(LEFT, sealed=False, bound_at=None), after=WEEK).fate is Fate.RETIRE


def test_what_came_out_wrong_is_there_for_a_look_for_a_day() -> None:
    assert decided(UNPROVED, after=DAY - timedelta(seconds=1)) == Decision(
        Fate.KEEP, "it came out wrong, and is there for a look until 2026-03-16 12:00 UTC"
    )
    assert decided(UNPROVED, after=DAY).fate is Fate.DROP


def test_what_was_proved_and_is_retiring_is_dropped() -> None:
    assert decided(replace(LEFT, state=CollectionState.RETIRING)).fate is Fate.DROP


def test_what_an_operation_began_and_gave_up_goes_at_once() -> None:
    assert decided(collection(1)) == Decision(Fate.RETIRE, "the operation that began it is over")


@pytest.mark.parametrize("state", list(CollectionState)[:3])
def test_only_what_is_retiring_is_dropped(state: CollectionState) -> None:
    fate = decided(replace(LEFT, state=state), after=timedelta(days=999)).fate

    assert (fate is Fate.DROP) is (state is CollectionState.RETIRING)


def test_a_collection_is_kept_for_a_day_at_least() -> None:
    assert Retention(unbound=DAY).unbound == DAY
    with pytest.raises(InvalidError, match="at least 24 hours"):
        Retention(unbound=DAY - timedelta(seconds=1))


@pytest.mark.parametrize("is_plan", [True, False], ids=["plan", "work"])
def test_a_wish_is_read_as_it_was_written(*, is_plan: bool) -> None:
    assert GarbageWish.parse(GarbageWish(is_plan).written()) == GarbageWish(is_plan)


def test_a_copy_that_a_hand_opened_after_it_was_let_go_of_goes_like_any_other() -> None:
    assert [decided(LEFT.drifted(), after=after).fate for after in (WEEK - DAY, WEEK)] == [Fate.KEEP, Fate.RETIRE]
