"""Where a channel places its snapshots: what engines would fold or cut is no name."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regalia.core.errors import InvalidError, InvalidNameError
from regalia.core.fields import Fields
from regalia.core.names import Kind, Slot
from regalia.core.statements import Place
from regalia_registry.domain.placing import (
    MAX_PLACINGS,
    ChannelPlacings,
    CollectionState,
    Mode,
    Placing,
    check_logical,
    read_placing,
    written,
)
from tests.support.records import APPLICATION, collection, digest, placing

KB = Slot(Kind.SNAPSHOT, "kb")


@given(st.from_regex(r"[a-z][a-z0-9_]{0,39}", fullmatch=True))
def test_a_plain_name_begins_a_collections_name_as_it_is(logical: str) -> None:
    assert check_logical(logical) == logical


@pytest.mark.parametrize("logical", ["", "Kb", "1kb", "_kb", "k-b", "k.b", "k b", "kb\n", "ü", "k" * 41])
def test_what_an_engine_would_fold_or_cut_is_no_logical_name(logical: str) -> None:
    with pytest.raises(InvalidError, match="can't begin a collection's name"):
        check_logical(logical)
    with pytest.raises(InvalidError, match="can't begin a collection's name"):
        Placing(KB, "local", logical)


def test_only_a_snapshot_is_placed() -> None:
    with pytest.raises(InvalidError, match='"prompts/kb" is no snapshot'):
        Placing(Slot(Kind.PROMPT, "kb"), "local", "kb")


def test_a_target_is_a_name() -> None:
    with pytest.raises(InvalidNameError):
        placing("kb", target="Not A Target")


@pytest.mark.parametrize("alias", ["", "k" * 129, "k\x00b", "k\nb"], ids=["none", "long", "zero", "line"])
def test_what_no_engine_takes_is_no_alias(alias: str) -> None:
    with pytest.raises(InvalidError):
        placing("kb", alias=alias)


@given(st.lists(st.from_regex(r"[a-z]{1,8}", fullmatch=True), min_size=1, max_size=8))
def test_placings_are_sorted_by_slot_each_once(names: list[str]) -> None:
    placed = tuple(placing(name) for name in names)

    if names == sorted(set(names)):
        assert [ChannelPlacings(APPLICATION, "prod", placed).of(one.slot) for one in placed] == list(placed)
    else:
        with pytest.raises(InvalidError, match="sorted by slot, each once"):
            ChannelPlacings(APPLICATION, "prod", placed)


def test_a_slot_that_is_not_placed_is_nowhere() -> None:
    assert ChannelPlacings(APPLICATION, "prod", (placing("faq"),)).of(KB) is None


def test_a_channel_places_a_bounded_number_of_snapshots() -> None:
    many = tuple(placing(f"kb{number:03}") for number in range(MAX_PLACINGS + 1))

    assert len(ChannelPlacings(APPLICATION, "prod", many[1:]).placings) == MAX_PLACINGS
    with pytest.raises(InvalidError, match="at most 64"):
        ChannelPlacings(APPLICATION, "prod", many)


@pytest.mark.parametrize("state", list(CollectionState))
@pytest.mark.parametrize("sealed", [True, False], ids=["sealed", "open"])
def test_only_what_is_ready_and_sealed_is_warm(state: CollectionState, *, sealed: bool) -> None:
    found = replace(collection(1), state=state, sealed=sealed)

    assert found.is_warm is (state is CollectionState.READY and sealed)


def test_agents_of_the_embedded_engine_speak_pgvector() -> None:
    made = replace(collection(1), table="kb")

    assert made.place(KB, digest("other files")) == Place(
        KB, digest("other files"), "pgvector", "local", made.name, "kb"
    )
    assert replace(made, provider="weaviate", table=None).place(KB, digest("files")).provider == "weaviate"


def test_what_nobody_writes_into_needs_no_copy_to_go_back_to() -> None:
    with pytest.raises(InvalidError, match='"snapshots/kb" is frozen, and needs no standby copy'):
        placing("kb", standby=True)


@given(mode=st.sampled_from(Mode), alias=st.none() | st.just("Kb"), standby=st.booleans())
def test_a_placing_is_read_as_it_was_written(mode: Mode, alias: str | None, *, standby: bool) -> None:
    one = placing("kb", mode=mode, alias=alias, standby=standby and mode is Mode.LIVE)

    assert read_placing(Fields(written(one), "a placing")) == one


def test_a_placing_is_told_with_its_alias_where_it_has_one() -> None:
    told = {"slot": "snapshots/kb", "target": "local", "logical": "kb", "mode": "live"}

    assert written(placing("kb", mode=Mode.LIVE)) == told
    assert written(placing("kb", mode=Mode.LIVE, alias="Kb")) == {**told, "alias": "Kb"}
    assert written(placing("kb", mode=Mode.LIVE, standby=True)) == {**told, "standby": True}
