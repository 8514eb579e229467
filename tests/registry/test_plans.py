"""The plan of a move: every snapshot has its step or is told to have none, and nothing unproved is taken as warm."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regalia.core.digest import Digest
from regalia.core.errors import InvalidError
from regalia.core.names import Kind, Slot
from regalia.core.statements import Move
from regalia_registry.domain.operations import OperationKind
from regalia_registry.domain.placing import ChannelPlacings, Collection, CollectionState, Mode
from regalia_registry.domain.plans import Known, Member, MoveWish, make_plan
from tests.support.records import APPLICATION, collection, digest, placing

NAMES = ["docs", "faq", "kb"]
KB = Slot(Kind.SNAPSHOT, "kb")
WISH = MoveWish(APPLICATION, "prod", digest("bundle"), Move.RESTORE)

collections = st.builds(
    lambda number, state, sealed, name: replace(
        collection(number), state=state, sealed=sealed, content_root=digest(name)
    ),
    st.integers(1, 9),
    st.sampled_from(CollectionState),
    st.booleans(),
    st.sampled_from(NAMES),
)
some_names = st.lists(st.sampled_from(NAMES), unique=True)


def member(name: str, rows: int = 1000) -> Member:
    return Member(Slot(Kind.SNAPSHOT, name), digest(f"{name}'s files"), name, "1.0.0", digest(name), rows, 4096)


def placings(*names: str, mode: Mode = Mode.FROZEN) -> ChannelPlacings:
    return ChannelPlacings(APPLICATION, "prod", tuple(placing(name, mode=mode) for name in sorted(names)))


def ready(*found: Collection) -> Mapping[tuple[str, Digest], Sequence[Collection]]:
    return {
        ("local", one.content_root): [other for other in found if other.content_root == one.content_root]
        for one in found
    }


def warm(number: int, *, name: str = "kb") -> Collection:
    return replace(collection(number), state=CollectionState.READY, sealed=True, content_root=digest(name))


@given(some_names, some_names)
def test_every_snapshot_has_its_step_or_is_unplaced(pinned: list[str], placed: list[str]) -> None:
    plan = make_plan([member(name) for name in pinned], placings(*placed), Known({}))

    assert [step.member.slot.name for step in plan.steps] == sorted(set(pinned) & set(placed))
    assert [slot.name for slot in plan.unplaced] == sorted(set(pinned) - set(placed))


@given(st.permutations(NAMES), st.lists(collections, max_size=6), st.sampled_from(Mode))
def test_the_order_in_which_snapshots_are_given_changes_nothing(
    names: list[str], found: list[Collection], mode: Mode
) -> None:
    known = Known(ready(*found))

    assert make_plan([member(name) for name in names], placings(*NAMES, mode=mode), known) == make_plan(
        [member(name) for name in NAMES], placings(*NAMES, mode=mode), known
    )


@given(st.lists(collections, max_size=6), st.sets(st.integers(1, 9)), st.sampled_from(Mode))
def test_only_a_proved_collection_of_the_very_content_is_warm(
    found: list[Collection], bound: set[int], mode: Mode
) -> None:
    known = Known(ready(*found), frozenset(collection(number).id for number in bound))

    for step in make_plan([member(name) for name in NAMES], placings(*NAMES, mode=mode), known).steps:
        if step.warm is None:
            continue
        assert step.warm.is_warm
        assert step.warm.content_root == step.member.content_root
        assert mode is Mode.FROZEN or step.warm.id not in known.taken


def test_the_first_that_is_fit_is_taken() -> None:
    opened = replace(warm(3), sealed=False)

    [step] = make_plan([member("kb")], placings("kb"), Known(ready(opened, warm(2), warm(1)))).steps

    assert step.warm == warm(2)


def test_a_collection_on_another_target_is_not_warm() -> None:
    known = Known({("other", digest("kb")): [replace(warm(1), target="other")]})

    [step] = make_plan([member("kb")], placings("kb"), known).steps

    assert step.warm is None


def test_what_an_application_will_write_into_serves_no_other_channel() -> None:
    known = Known(ready(warm(2), warm(1)), taken=frozenset({warm(2).id}))

    [frozen] = make_plan([member("kb")], placings("kb"), known).steps
    [live] = make_plan([member("kb")], placings("kb", mode=Mode.LIVE), known).steps

    assert (frozen.warm, live.warm) == (warm(2), warm(1))


@pytest.mark.parametrize(
    ("rows", "rate", "seconds"),
    [(1000, 100.0, 10), (1, 100.0, 1), (1000, None, None), (1000, 0.0, None)],
    ids=["measured", "at least one", "nobody knows", "nothing was loaded"],
)
def test_the_time_of_a_build_comes_of_the_last_one_there(rows: int, rate: float | None, seconds: int | None) -> None:
    rates = {} if rate is None else {"local": rate}

    [step] = make_plan([member("kb", rows)], placings("kb"), Known({}, rows_per_second=rates)).steps

    assert step.seconds == seconds


def test_a_plan_is_warm_where_nothing_has_to_be_made() -> None:
    known = Known(ready(warm(1)))

    assert make_plan([member("kb")], placings("kb"), known).is_warm
    assert not make_plan([member("faq"), member("kb")], placings("faq", "kb"), known).is_warm
    assert make_plan([], placings("kb"), known).is_warm


def test_a_plan_tells_what_is_used_and_what_is_made() -> None:
    plan = make_plan(
        [member("docs"), member("faq"), member("kb")],
        placings("faq", "kb"),
        Known(ready(warm(1)), rows_per_second={"local": 100}),
    )

    common = {"target": "local", "mode": "frozen", "rows": 1000, "bytes": 4096}
    assert plan.written() == {
        "steps": [
            {
                **common,
                "slot": "snapshots/faq",
                "logical": "faq",
                "snapshot": "snapshot/faq@1.0.0",
                "action": "build",
                "seconds": 10,
            },
            {
                **common,
                "slot": "snapshots/kb",
                "logical": "kb",
                "snapshot": "snapshot/kb@1.0.0",
                "action": "reuse",
                "collection": warm(1).name,
                "seconds": 0,
            },
        ],
        "unplaced": ["snapshots/docs"],
    }


@given(st.sampled_from([None, Move.PROMOTE, Move.RESTORE, Move.REBIND]), st.booleans())
def test_a_wish_is_read_as_it_was_written(move: Move | None, is_plan: bool) -> None:  # noqa: FBT001 # hypothesis gives it by position
    wish = replace(WISH, move=move, is_plan=is_plan)

    assert MoveWish.parse(wish.written()) == wish


def test_what_is_not_to_be_signed_is_prepared() -> None:
    assert replace(WISH, move=None).kind is OperationKind.PREPARE
    assert WISH.kind is OperationKind.RESTORE


def test_a_renewed_pointer_needs_no_operation() -> None:
    with pytest.raises(InvalidError, match="needs no operation"):
        replace(WISH, move=Move.RENEW)
