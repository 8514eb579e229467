"""Collections of channels, collected by a worker over the memory twins: what goes, what stays and why."""

from dataclasses import replace
from pathlib import Path

import pytest

from regalia.core.errors import ConflictError
from regalia_registry.adapters.memory.vectors import Held, MemoryVectors
from regalia_registry.domain.agents import Agent
from regalia_registry.domain.operations import Holder, OperationState, Target
from regalia_registry.domain.placing import ChannelPlacings, CollectionState
from regalia_registry.domain.records import StoredPointer
from regalia_registry.domain.retention import GarbageWish
from regalia_registry.services import garbage
from regalia_registry.services.context import Bench
from regalia_registry.services.steps.dropping import drop
from tests.support.garbage import (
    ADMIN,
    CONTENT,
    DAY,
    DROPPED,
    READY,
    RETIRING,
    Dying,
    Killed,
    Registry,
    open_move,
    whys,
)
from tests.support.records import APPLICATION, placing
from tests.support.segments import SCHEMA


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path)


def told_nobody(_: object) -> None:
    """Take whatever a worker's service tells."""


def test_what_nothing_names_for_a_week_is_retired_and_dropped_a_lease_later(registry: Registry) -> None:
    one = registry.made(1)
    asked = garbage.collect(registry.ports, ADMIN, wish=GarbageWish())

    assert registry.worker.run_one()
    assert registry.state(one) is RETIRING
    assert one.name in registry.held
    assert not registry.worker.run_one()
    outcome = registry.finish_after_a_lease(asked.id)

    assert registry.state(one) is DROPPED
    assert registry.held == {}
    assert whys(outcome["going"]) == {one.name: "nothing names it"}
    assert outcome["going"][0]["bytes"] == sum(len(body) for body in CONTENT.blobs.values())


def test_what_happens_to_a_collection_is_in_the_record(registry: Registry) -> None:
    registry.made(1)

    registry.collect()

    assert [one for one in registry.audited() if one.startswith("collection.")] == [
        "collection.retired",
        "collection.retiring",
    ]


def test_the_collections_of_the_last_three_bundles_stay(registry: Registry) -> None:
    made = [registry.made(number) for number in range(1, 6)]
    current: StoredPointer | None = None
    for number, one in enumerate(made):
        current = registry.serve(one, named=f"2.{number}.0", after=current)

    outcome = registry.collect()

    assert [registry.state(one) for one in made] == [DROPPED, DROPPED, READY, READY, READY]
    assert whys(outcome["kept"]) == {
        made[2].name: f"it is of the last bundles of {APPLICATION}:prod",
        made[3].name: f"it is of the last bundles of {APPLICATION}:prod",
        made[4].name: f"{APPLICATION}:prod serves from it",
    }


def test_what_an_agent_says_that_it_serves_stays_however_old_its_bundle_is(registry: Registry) -> None:
    made = [registry.made(number) for number in range(1, 6)]
    served: list[StoredPointer] = []
    for number, one in enumerate(made):
        served.append(registry.serve(one, named=f"2.{number}.0", after=served[-1] if served else None))
    behind = served[0].pointer
    with registry.ports.store.note() as tx:
        now = registry.clock.now()
        tx.agents.note([Agent(APPLICATION, "prod", "a1", behind.epoch, behind.sequence, behind.bundle, now)])

    outcome = registry.collect()

    assert [registry.state(one) for one in made[:2]] == [READY, DROPPED]
    assert whys(outcome["kept"])[made[0].name] == "an instance said within a day that it uses it"


def test_of_a_bundle_that_was_bound_anew_the_newest_collection_stays(registry: Registry) -> None:
    before, behind = registry.made(1), registry.made(2)
    current = registry.serve(before, named="2.3.0")
    registry.serve(behind, named="2.3.0", after=current)

    registry.collect()

    assert [registry.state(one) for one in (before, behind)] == [DROPPED, READY]


def follows(registry: Registry, served: StoredPointer, *, sequence: int | None = None) -> None:
    """Let an agent say which pointer it serves."""
    one = served.pointer
    said = one.sequence if sequence is None else sequence
    with registry.ports.store.note() as tx:
        tx.agents.note([Agent(APPLICATION, "prod", "a1", one.epoch, said, one.bundle, registry.clock.now())])


def test_what_an_agent_serves_stays_when_its_bundle_is_bound_anew_until_the_agent_has_followed(
    registry: Registry,
) -> None:
    before, behind = registry.made(1), registry.made(2)
    old = registry.serve(before, named="2.3.0")
    new = registry.serve(behind, named="2.3.0", after=old)
    follows(registry, old)

    outcome = registry.collect()
    while_it_serves = registry.state(before)
    follows(registry, new)
    registry.collect()

    assert whys(outcome["kept"])[before.name] == "an instance said within a day that it uses it"
    assert (while_it_serves, registry.state(before), registry.state(behind)) == (READY, DROPPED, READY)


def test_a_sequence_that_the_channel_never_had_keeps_nothing(registry: Registry) -> None:
    before, behind = registry.made(1), registry.made(2)
    old = registry.serve(before, named="2.3.0")
    new = registry.serve(behind, named="2.3.0", after=old, skipping=7)
    follows(registry, new, sequence=new.pointer.sequence - 1)

    registry.collect()

    assert [registry.state(one) for one in (before, behind)] == [DROPPED, READY]


def test_what_an_agent_serves_is_not_retired_for_who_asks_either(registry: Registry) -> None:
    before, behind = registry.made(1), registry.made(2)
    old = registry.serve(before, named="2.3.0")
    registry.serve(behind, named="2.3.0", after=old)
    follows(registry, old)

    told = registry.retire(before.name)

    assert told["message"] == f'"{before.name}" is not retired: an instance said within a day that it uses it'


def test_what_an_alias_leads_to_stays(registry: Registry) -> None:
    one = registry.made(1)
    registry.engines.vectors["local"].led["Kb"] = one.name
    with registry.ports.store.note() as tx:
        tx.placings.put(ChannelPlacings(APPLICATION, "prod", (placing("kb", alias="Kb"),)))

    outcome = registry.collect()

    assert whys(outcome["kept"]) == {one.name: 'the alias "Kb" leads to it'}
    assert one.name in registry.held


def test_an_alias_that_was_given_up_goes_with_the_last_collection_that_it_led_to(registry: Registry) -> None:
    one, other = registry.made(1), registry.made(2)
    registry.serve(other, named="2.3.0")
    registry.engines.vectors["local"].led |= {"Kb": one.name, "Faq": other.name}

    registry.collect()

    assert [registry.state(there) for there in (one, other)] == [DROPPED, READY]
    assert registry.engines.vectors["local"].led == {"Faq": other.name}


def test_what_something_of_somebodys_depends_on_is_told_and_tried_again(registry: Registry) -> None:
    one = registry.made(1)
    registry.engines.vectors["local"].depending[one.name] = "view report"

    first = registry.collect()
    del registry.engines.vectors["local"].depending[one.name]
    registry.clock.turn(DAY)
    registry.collect()

    assert "view report" in whys(first["odd"])[one.name]
    assert registry.state(one) is DROPPED


def test_an_alias_that_comes_to_lead_to_what_is_retiring_keeps_it_from_being_dropped(registry: Registry) -> None:
    one = registry.made(1)
    with registry.ports.store.note() as tx:
        tx.placings.put(ChannelPlacings(APPLICATION, "prod", (placing("kb", alias="Kb"),)))
    asked = garbage.collect(registry.ports, ADMIN, wish=GarbageWish())
    assert registry.worker.run_one()
    registry.engines.vectors["local"].led["Kb"] = one.name

    outcome = registry.finish_after_a_lease(asked.id)

    assert whys(outcome["odd"]) == {one.name: 'the alias "Kb" leads to it'}
    assert (registry.state(one), one.name in registry.held) == (RETIRING, True)
    registry.engines.vectors["local"].led.clear()
    registry.collect()
    assert (registry.state(one), one.name in registry.held) == (DROPPED, False)


def test_what_an_operation_waits_to_have_signed_stays(registry: Registry) -> None:
    one = registry.made(1)
    registry.await_signature(one)

    outcome = registry.collect()

    assert whys(outcome["kept"]) == {one.name: "operation op-waits waits for a pointer to it"}


def test_what_an_open_operation_makes_stays_and_what_one_gave_up_goes(registry: Registry) -> None:
    made = registry.made(1, state=CollectionState.BUILDING, verified_at=None)
    left = registry.made(2, state=CollectionState.BUILDING, verified_at=None)
    with registry.ports.store.note() as tx:
        tx.operations.add(open_move(made.operation, state=OperationState.CANCELLED))
    begun = registry.made(3, operation="op-waits", state=CollectionState.BUILDING, verified_at=None)
    registry.await_signature()

    registry.collect()

    assert [registry.state(one) for one in (made, left, begun)] == [DROPPED, DROPPED, CollectionState.BUILDING]


def test_what_was_given_up_goes_at_once_though_a_worker_dies_after_retiring_it(registry: Registry) -> None:
    begun = registry.made(1, state=CollectionState.BUILDING, verified_at=None)
    orphan = registry.store_blob(b"an orphan")
    asked = garbage.collect(registry.ports, ADMIN, wish=GarbageWish())
    registry.blobs.dies_at = (orphan, True)
    with pytest.raises(Killed):
        registry.worker.run_one()
    assert registry.state(begun) is RETIRING

    registry.finish_after_a_lease(asked.id)

    assert (registry.state(begun), registry.held) == (DROPPED, {})


def test_what_came_out_wrong_is_kept_for_a_day(registry: Registry) -> None:
    one = registry.made(1, state=RETIRING, sealed=False, verified_at=None, unbound_at=registry.clock.now())

    kept = registry.collect()
    registry.clock.turn(DAY)
    registry.collect()

    assert whys(kept["kept"])[one.name].startswith("it came out wrong")
    assert registry.state(one) is DROPPED


def test_what_could_not_be_made_again_stays(registry: Registry) -> None:
    one = registry.made(1)
    registry.ports.blobs.delete(digest=CONTENT.manifest.config.digest)

    outcome = registry.collect()

    assert whys(outcome["kept"]) == {one.name: "it could not be made again: files of its snapshot are gone: 1"}
    assert registry.retire(one.name)["message"] == (
        f'"{one.name}" is not retired: it could not be made again: files of its snapshot are gone: 1'
    )


def test_an_engine_that_does_not_answer_keeps_what_it_has_and_no_other(registry: Registry) -> None:
    registry.engines.vectors["far"] = MemoryVectors()
    with registry.ports.store.note() as tx:
        tx.targets.add(Target("far", "memory", "memory:", namespaces=("acme",)))
    here, far = registry.made(1), registry.made(2, target="far")
    registry.engines.silent.add("far")

    outcome = registry.collect()

    assert [registry.state(one) for one in (here, far)] == [DROPPED, READY]
    assert whys(outcome["kept"]) == {far.name: '"far" was not looked at: nothing answers'}
    assert whys(outcome["odd"]) == {"far": "nothing answers"}


def test_an_engine_that_falls_silent_keeps_what_is_retiring_for_the_next_time(registry: Registry) -> None:
    one = registry.made(1)
    asked = garbage.collect(registry.ports, ADMIN, wish=GarbageWish())
    assert registry.worker.run_one()
    registry.engines.silent.add("local")
    assert whys(registry.finish_after_a_lease(asked.id)["odd"]) == {"local": "nothing answers"}
    assert registry.state(one) is RETIRING
    registry.engines.silent.clear()

    registry.collect()

    assert registry.state(one) is DROPPED


def test_what_comes_back_with_our_mark_is_dropped_again_and_without_it_is_told(registry: Registry) -> None:
    registry.made(1, state=DROPPED)
    others, there = registry.made(2, state=DROPPED), registry.made(3)
    registry.held[others.name] = Held(SCHEMA)
    registry.serve(there, named="2.3.1")

    outcome = registry.collect()

    assert set(registry.held) == {others.name, there.name}
    assert set(whys(outcome["odd"])) == {others.name}
    assert "not our mark" in whys(outcome["odd"])[others.name]


def test_what_has_the_name_of_something_retiring_is_left_alone(registry: Registry) -> None:
    one = registry.made(1)
    registry.held[one.name] = Held(SCHEMA, "somebody's")

    outcome = registry.collect()

    assert set(whys(outcome["odd"])) == {one.name}
    assert (registry.state(one), set(registry.held)) == (DROPPED, {one.name})


def test_a_plan_removes_nothing_and_tells_what_would_go(registry: Registry) -> None:
    going, staying = registry.made(1), registry.made(2, unbound_at=registry.clock.now())
    orphan = registry.store_blob(b"an orphan")

    outcome = registry.collect(plan=True)

    assert outcome["plan"] is True
    assert whys(outcome["going"]) == {going.name: "nothing names it"}
    assert set(whys(outcome["kept"])) == {staying.name}
    assert outcome["blobs"] == {"count": 1, "bytes": 9}
    assert registry.state(going) is READY
    assert registry.ports.blobs.stat(digest=orphan) == 9


@pytest.mark.parametrize("at", ["list", "drop"])
@pytest.mark.parametrize("is_after", [True, False], ids=["after", "before"])
def test_a_worker_that_dies_while_it_drops_leaves_it_to_the_next(
    registry: Registry, at: str, *, is_after: bool
) -> None:
    one = registry.made(1)
    asked = garbage.collect(registry.ports, ADMIN, wish=GarbageWish())
    assert registry.worker.run_one()
    registry.clock.turn(registry.worker.lease.takeover)
    dying = Dying(at, is_after=is_after, held=registry.held)
    registry.engines.vectors["local"] = dying
    with pytest.raises(Killed):
        registry.worker.run_one()

    registry.finish_after_a_lease(asked.id)

    assert (registry.state(one), dying.held) == (DROPPED, {})


def test_what_somebody_retires_waits_for_no_week_but_for_a_lease(registry: Registry) -> None:
    one = registry.made(1, unbound_at=registry.clock.now())

    outcome = registry.retire(one.name)

    assert outcome == {"state": "done", "target": "local", "collection": one.name, "retired": True}
    assert (registry.state(one), registry.held) == (DROPPED, {})


def test_it_is_called_by_its_schema_or_by_the_table_in_it(registry: Registry) -> None:
    one = registry.made(1)

    assert registry.retire(f"{one.name}.kb")["state"] == "done"

    assert registry.state(one) is DROPPED


def test_what_is_served_from_is_retired_by_nobody(registry: Registry) -> None:
    one = registry.made(1)
    registry.serve(one, named="2.3.1")

    outcome = registry.retire(one.name)

    assert outcome["message"] == f'"{one.name}" is not retired: {APPLICATION}:prod serves from it'
    assert registry.state(one) is READY


def test_another_namespace_retires_none_of_ours(registry: Registry) -> None:
    one = registry.made(1, namespace="globex")

    assert registry.retire(one.name)["message"] == f'"{one.name}" was made by no operation of "acme"'
    assert one.name in registry.held


def test_retiring_twice_ends_alike(registry: Registry) -> None:
    one = registry.made(1)
    registry.retire(one.name)

    assert registry.retire(one.name)["state"] == "done"


@pytest.mark.parametrize("state", [CollectionState.BUILDING, READY])
def test_what_is_not_retiring_is_never_dropped(registry: Registry, tmp_path: Path, state: CollectionState) -> None:
    one = registry.made(1, state=state)
    bench = Bench(registry.engines, Holder("op-gc", 1), tmp_path, told_nobody, told_nobody, told_nobody)

    with pytest.raises(ConflictError, match=f"is {state}, and is not dropped"):
        drop(registry.ports, ADMIN, bench, registry.engines.vectors["local"], replace(one, state=RETIRING))

    assert (registry.state(one), set(registry.held)) == (state, {one.name})
