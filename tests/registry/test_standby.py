"""Standby: a channel with a live collection keeps a sealed copy beside it, and goes back to it without a load."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from regalia_registry.domain.access import SYSTEM
from regalia_registry.domain.operations import Operation, OperationKind, OperationState
from regalia_registry.domain.placing import Mode
from regalia_registry.domain.retention import Fate, Retention, decide
from regalia_registry.services.standby import Standby
from regalia_registry.services.steps.uses import Seen, uses_of
from regalia_registry.services.steps.warmth import way_back
from tests.support.moves import CHANNEL, VERSIONS, World

OLD, NEW = VERSIONS


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path, mode=Mode.LIVE)
    set_standby(made, to=True)
    return made


def set_standby(world: World, *, to: bool) -> None:
    with world.ports.store.note() as tx:
        placings = tx.placings.find(world.application, CHANNEL)
        [placing] = placings.placings
        tx.placings.put(placings.having(replace(placing, standby=to)))


def copies(world: World) -> list[Operation]:
    return [one for one in world.operations() if one.kind is OperationKind.PREPARE]


def kept(world: World) -> Standby:
    """Give a keeper that has done all it could."""
    keeper = Standby(world.ports)
    keeper.run()
    assert world.workers[0].run_one()
    keeper.run()
    return keeper


def test_a_sealed_copy_is_made_beside_what_an_application_writes_into(world: World) -> None:
    kept(world)

    [asked] = copies(world)
    [copy] = [one for name, one in world.collections().items() if name != world.place().collection]
    assert (asked.created_by, asked.state) == (SYSTEM.id, OperationState.DONE)
    assert copy.is_warm
    assert copy.content_root == world.collections()[world.place().collection].content_root


def test_what_is_there_is_not_asked_for_again(world: World) -> None:
    keeper = kept(world)

    keeper.run()
    Standby(world.ports).run()

    assert len(copies(world)) == 1


def test_two_workers_ask_for_one_copy(world: World) -> None:
    for keeper in (Standby(world.ports), Standby(world.ports)):
        keeper.run()

    assert len(copies(world)) == 1


def test_nothing_is_kept_beside_a_channel_that_wants_none(world: World) -> None:
    set_standby(world, to=False)

    Standby(world.ports).run()

    assert copies(world) == []


def test_a_channel_goes_back_to_its_copy_and_gets_another(world: World) -> None:
    keeper = kept(world)
    world.write()
    world.settle(world.asked(NEW))
    with world.ports.store.read() as tx:
        before = tx.channels.find_newest(world.application, CHANNEL, bundle=world.bundles[OLD])
        assert before is not None
        assert way_back(tx, before).is_warm
    held = set(world.collections())

    world.settle(world.asked(OLD))

    assert world.place().collection in held
    keeper.run()
    assert world.workers[0].run_one()
    assert len(copies(world)) == 2


def test_what_somebody_gave_up_is_asked_for_again_after_a_while(world: World) -> None:
    keeper = Standby(world.ports)
    keeper.run()
    [asked] = copies(world)
    world.cancel(asked.id)

    keeper.run()
    at_once = len(copies(world))
    world.clock.turn(timedelta(minutes=10))
    keeper.run()

    assert (at_once, len(copies(world))) == (1, 2)


@pytest.mark.parametrize(("standby", "fate"), [(True, Fate.KEEP), (False, Fate.RETIRE)])
def test_the_copies_of_a_channels_last_bundles_are_kept_for_as_long_as_it_wants_them(
    world: World, fate: Fate, *, standby: bool
) -> None:
    kept(world)
    world.settle(world.asked(NEW))
    [copy] = [one for one in world.collections().values() if one.operation == copies(world)[-1].id]
    set_standby(world, to=standby)
    with world.ports.store.read() as tx:
        uses = uses_of(tx, Seen(), bundles=3)

    decided = decide(copy, uses, Retention(), now=world.clock.now() + timedelta(days=99))

    assert decided.fate is fate
    assert ("support-agent:prod keeps it to go back to" in decided.reason) is standby
