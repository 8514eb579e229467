"""Files that nothing links, collected by a worker over the memory twins; and who asks for a collection, and when."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from regalia.core.errors import ConflictError, ForbiddenError
from regalia_registry.domain.access import Actor, Grant, Right
from regalia_registry.domain.operations import OperationKind, OperationState
from regalia_registry.domain.retention import GarbageWish
from regalia_registry.services import garbage
from regalia_registry.services.context import Caller
from tests.support.garbage import ADMIN, CONTENT, DAY, WEEK, Killed, Registry, open_move


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path)


def test_blobs_that_nothing_links_are_removed_and_others_stay(registry: Registry) -> None:
    orphan, claimed = registry.store_blob(b"an orphan"), registry.store_blob(b"on its way")
    with registry.ports.store.note() as tx:
        tx.blobs.link("acme", sizes={orphan: 9})
        tx.blobs.claim(digests=[claimed], until=registry.clock.now() + DAY)

    outcome = registry.collect()

    assert outcome["blobs"] == {"count": 1, "bytes": 9}
    assert set(registry.ports.blobs.list()) == {claimed, *CONTENT.blobs}
    with registry.ports.store.read() as tx:
        assert tx.blobs.find_sizes("acme", digests=[orphan]) == {}
        assert tx.blobs.taken(after=None, limit=9) == []


def test_a_claim_that_is_over_keeps_nothing(registry: Registry) -> None:
    claimed = registry.store_blob(b"never came")
    with registry.ports.store.note() as tx:
        tx.blobs.claim(digests=[claimed], until=registry.clock.now() + DAY)
    registry.clock.turn(DAY)

    registry.collect()

    assert registry.ports.blobs.stat(digest=claimed) is None


@pytest.mark.parametrize("part", ["request", "journal", "outcome"])
def test_what_an_open_operation_names_stays(registry: Registry, part: str) -> None:
    segment = registry.store_blob(b"a segment")
    told: Any = {part: {"segments": [{"keys": str(segment), "count": 7}]}}
    open_ = open_move("op-open", kind=OperationKind.SNAPSHOT, state=OperationState.RUNNING, channel=None)
    with registry.ports.store.note() as tx:
        tx.operations.add(replace(open_, lease_until=registry.clock.now() + WEEK, **told))

    registry.collect()
    assert registry.ports.blobs.stat(digest=segment) == 9

    with registry.ports.store.note() as tx:
        tx.operations.update(replace(tx.operations.get("op-open"), state=OperationState.CANCELLED), epoch=0)
    registry.collect()
    assert registry.ports.blobs.stat(digest=segment) is None


def test_what_an_operation_took_and_left_is_removed_by_the_next(registry: Registry) -> None:
    left, at_work = registry.store_blob(b"left"), registry.store_blob(b"at work")
    with registry.ports.store.note() as tx:
        tx.operations.add(open_move("op-over", kind=OperationKind.GC, state=OperationState.FAILED, channel=None))
        running = open_move("op-ends", kind=OperationKind.GC, state=OperationState.RUNNING, channel=None)
        tx.operations.add(replace(running, lease_until=registry.clock.now() + WEEK))
        tx.blobs.take(digests=[left], at=registry.clock.now(), operation="op-over")
        tx.blobs.take(digests=[at_work], at=registry.clock.now(), operation="op-ends")

    registry.collect()

    assert registry.ports.blobs.stat(digest=left) is None
    with registry.ports.store.read() as tx:
        assert tx.blobs.taken(after=None, limit=9) == [(at_work, "op-ends")]


@pytest.mark.parametrize("number", range(3))
@pytest.mark.parametrize("is_after", [True, False], ids=["after", "before"])
def test_a_worker_that_dies_at_a_file_leaves_it_to_the_next(registry: Registry, number: int, *, is_after: bool) -> None:
    orphans = sorted(registry.store_blob(f"orphan {one}".encode()) for one in range(3))
    asked = garbage.collect(registry.ports, ADMIN, wish=GarbageWish())
    registry.blobs.dies_at = (orphans[number], is_after)
    with pytest.raises(Killed):
        registry.worker.run_one()
    registry.clock.turn(registry.worker.lease.takeover)

    registry.finish(asked.id)

    assert set(registry.ports.blobs.list()) == set(CONTENT.blobs)
    with registry.ports.store.read() as tx:
        assert tx.blobs.taken(after=None, limit=9) == []


def test_only_an_admin_of_all_namespaces_asks_for_it(registry: Registry) -> None:
    admin = Actor("ann", "ann", (Grant("acme", frozenset({Right.ADMIN})),))

    with pytest.raises(ForbiddenError):
        garbage.collect(registry.ports, Caller(admin, "request-1"), wish=GarbageWish(is_plan=True))


def test_one_is_at_work_at_a_time_and_a_plan_beside_it(registry: Registry) -> None:
    garbage.collect(registry.ports, ADMIN, wish=GarbageWish())

    with pytest.raises(ConflictError, match="removes garbage already"):
        garbage.collect(registry.ports, ADMIN, wish=GarbageWish())
    assert garbage.collect(registry.ports, ADMIN, wish=GarbageWish(is_plan=True)).state == "queued"


def test_once_a_day_it_is_asked_for_by_itself(registry: Registry) -> None:
    def asked() -> int:
        garbage.collect_daily(registry.ports)
        with registry.ports.store.read() as tx:
            return len(tx.operations.list("*", after=None, limit=99))

    assert [asked(), asked()] == [1, 1]
    while registry.worker.run_one():
        pass
    garbage.collect(registry.ports, ADMIN, wish=GarbageWish(is_plan=True))
    assert asked() == 2
    registry.clock.turn(DAY)
    assert [asked(), asked()] == [3, 3]
