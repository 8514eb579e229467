"""Whether a pointer may be a channel's next: it names the collections that were prepared for it, and no others."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regalia.core.digest import Digest
from regalia.core.errors import DocumentError, PointerMovedError, VerificationError
from regalia.core.names import Kind, Slot
from regalia.core.statements import ChannelPointer, Move, Place
from regalia.core.values import replace as changed
from regalia_registry.domain.moves import check_move
from tests.support.records import NOW, bundle, digest, pointer

OLD = pointer(1, named="2.3.0")
NAMES = ["docs", "faq", "kb"]


def place(name: str, suffix: str = "1") -> Place:
    return Place(Slot(Kind.SNAPSHOT, name), digest(name), "pgvector", "local", f"{name}_{suffix}", name)


KB, OTHER_KB = place("kb"), place("kb", "2")
some_places = st.lists(st.sampled_from(NAMES), unique=True).flatmap(
    lambda names: st.tuples(*(st.sampled_from([place(name), place(name, "2")]) for name in sorted(names)))
)


def candidate(move: Move, *places: Place, current: ChannelPointer = OLD.pointer) -> ChannelPointer:
    keeps = move in {Move.RENEW, Move.REBIND}
    return changed(
        current,
        sequence=current.sequence + 1,
        bundle=current.bundle if keeps else bundle("2.3.1").digest,
        move=move,
        reason="INC-42",
        previous=OLD.identity,
        collections=places,
    )


def check(
    checked: ChannelPointer,
    *,
    prepared: tuple[Place, ...] | None,
    current: ChannelPointer | None = OLD.pointer,
    identity: Digest | None = OLD.identity,
    named_before: bool = True,
) -> None:
    check_move(checked, current=current, identity=identity, named_before=named_before, prepared=prepared, now=NOW)


@given(some_places, some_places, st.sampled_from([Move.PROMOTE, Move.RESTORE, Move.REBIND]))
def test_a_pointer_names_just_what_was_prepared_for_it(
    named: tuple[Place, ...], prepared: tuple[Place, ...], move: Move
) -> None:
    if named == prepared:
        check(candidate(move, *named), prepared=prepared)
    else:
        with pytest.raises(DocumentError, match="other collections than were prepared"):
            check(candidate(move, *named), prepared=prepared)


@given(some_places, some_places)
def test_a_renewed_pointer_names_what_the_channel_names(named: tuple[Place, ...], there: tuple[Place, ...]) -> None:
    current = changed(OLD.pointer, collections=there)

    if named == there:
        check(candidate(Move.RENEW, *named, current=current), prepared=None, current=current)
    else:
        with pytest.raises(DocumentError, match="other collections"):
            check(candidate(Move.RENEW, *named, current=current), prepared=None, current=current)


def test_a_renewed_pointer_takes_no_operations_collections() -> None:
    current = changed(OLD.pointer, collections=(KB,))

    with pytest.raises(DocumentError, match="other collections"):
        check(candidate(Move.RENEW, OTHER_KB, current=current), prepared=(OTHER_KB,), current=current)


@pytest.mark.parametrize("move", [Move.PROMOTE, Move.RESTORE])
def test_without_an_operation_a_pointer_names_no_collection(move: Move) -> None:
    check(candidate(move), prepared=None)
    with pytest.raises(DocumentError, match="other collections"):
        check(candidate(move, KB), prepared=None)


def test_a_channel_is_bound_anew_by_an_operation_only() -> None:
    check(candidate(Move.REBIND), prepared=())
    with pytest.raises(DocumentError, match="by an operation"):
        check(candidate(Move.REBIND), prepared=None)


def test_the_snapshot_of_a_place_counts_too() -> None:
    other_files = changed(KB, snapshot=digest("other"))

    with pytest.raises(DocumentError, match="other collections"):
        check(candidate(Move.PROMOTE, other_files), prepared=(KB,))


@pytest.mark.parametrize("move", [Move.RENEW, Move.REBIND])
def test_what_keeps_the_bundle_names_the_bundle_that_is_there(move: Move) -> None:
    with pytest.raises(DocumentError, match=f"a {move} pointer names the bundle that the channel names"):
        check(changed(candidate(move), bundle=bundle("2.3.1").digest), prepared=())
    with pytest.raises(DocumentError, match=f"a {move} pointer names the bundle that the channel names"):
        check(changed(candidate(move), previous=None), prepared=(), current=None, identity=None)


@pytest.mark.parametrize("move", [Move.PROMOTE, Move.RESTORE])
def test_what_moves_the_bundle_names_another_one(move: Move) -> None:
    with pytest.raises(DocumentError, match=r"names sha256:\S+ already"):
        check(changed(candidate(move), bundle=OLD.pointer.bundle), prepared=None)


def test_a_restore_has_a_reason_and_goes_back_to_what_was_there() -> None:
    check(candidate(Move.RESTORE), prepared=None)
    with pytest.raises(DocumentError, match="needs a reason"):
        check(changed(candidate(Move.RESTORE), reason=""), prepared=None)
    with pytest.raises(DocumentError, match='was never in "prod"'):
        check(candidate(Move.RESTORE), prepared=None, named_before=False)


def test_a_pointer_that_was_built_on_another_one_is_refused_before_all_else() -> None:
    with pytest.raises(PointerMovedError):
        check(candidate(Move.PROMOTE, KB), prepared=None, identity=digest("another"))


@pytest.mark.parametrize("sequence", [0, 1], ids=["lower", "same"])
def test_a_sequence_only_grows(sequence: int) -> None:
    current = changed(OLD.pointer, sequence=1)

    with pytest.raises(VerificationError, match=f"sequence {sequence}, expected 2 to"):
        check(changed(candidate(Move.PROMOTE), sequence=sequence), prepared=None, current=current)


def test_a_sequence_is_no_time_to_come() -> None:
    latest = int((NOW + timedelta(minutes=5)).timestamp())

    check(changed(candidate(Move.PROMOTE), sequence=latest), prepared=None)
    with pytest.raises(VerificationError, match=f"expected 2 to {latest}"):
        check(changed(candidate(Move.PROMOTE), sequence=latest + 1), prepared=None)


def test_a_pointer_of_the_future_or_the_past_is_refused() -> None:
    ahead, ends = timedelta(minutes=5), timedelta(days=1)
    check(changed(candidate(Move.PROMOTE), issued_at=NOW + ahead), prepared=None)

    with pytest.raises(VerificationError, match="was issued at"):
        check(changed(candidate(Move.PROMOTE), issued_at=NOW + ahead + timedelta(seconds=1)), prepared=None)
    with pytest.raises(VerificationError, match="expired already"):
        check(changed(candidate(Move.PROMOTE), issued_at=NOW - ends, expires=NOW), prepared=None)
