"""What every store keeps about operations and targets: nobody works twice on one thing."""

from dataclasses import replace
from datetime import timedelta

import pytest

from regalia.core.errors import ConflictError, NotFoundError
from regalia_registry.domain.operations import MOVES, Operation, OperationKind, OperationState, Target
from regalia_registry.ports.store import Store
from tests.support.records import NOW

LEASE = timedelta(seconds=75)
PROD = "acme/support-agent:prod"


def operation(number: int, *, namespace: str = "acme") -> Operation:
    return Operation(f"op-{number:04}", OperationKind.SNAPSHOT, namespace, "snapshot/kb", {"name": "kb"}, NOW, "ann")


def move_of(channel: str, number: int = 1) -> Operation:
    return replace(operation(number), kind=OperationKind.RESTORE, subject=channel, channel=channel)


def waiting(state: OperationState) -> Operation:
    """Make a move that is at no worker's, until its time is over."""
    return replace(move_of(PROD), state=state, epoch=3, lease_until=NOW + LEASE, outcome={"left": "sha256:…"})


def add(store: Store, *added: Operation) -> None:
    with store.note() as tx:
        for one in added:
            tx.operations.add(one)


def claim(store: Store, *, after: timedelta = timedelta()) -> Operation | None:
    with store.note() as tx:
        return tx.operations.claim(now=NOW + after, until=NOW + after + LEASE)


def test_an_operation_is_read_back_as_it_was_added(store: Store) -> None:
    add(store, operation(1))

    with store.read() as tx:
        assert tx.operations.get("op-0001") == operation(1)
        with pytest.raises(NotFoundError, match="op-9999"):
            tx.operations.get("op-9999")


def test_the_oldest_is_claimed_first_and_each_once(store: Store) -> None:
    add(store, operation(2), operation(1))

    with store.read() as tx:
        assert tx.operations.is_waiting(now=NOW)
    claimed = [claim(store), claim(store), claim(store)]

    assert [None if one is None else (one.id, one.epoch, one.state) for one in claimed] == [
        ("op-0001", 1, "running"),
        ("op-0002", 1, "running"),
        None,
    ]
    with store.read() as tx:
        assert not tx.operations.is_waiting(now=NOW + LEASE - timedelta(seconds=1))
        assert tx.operations.is_waiting(now=NOW + LEASE)


def test_what_a_dead_worker_left_is_claimed_once_its_time_is_over(store: Store) -> None:
    add(store, operation(1))
    claim(store)

    assert claim(store, after=LEASE - timedelta(seconds=1)) is None
    taken = claim(store, after=LEASE)
    assert taken is not None
    assert taken.epoch == 2


def test_a_late_worker_changes_nothing(store: Store) -> None:
    add(store, operation(1))
    late = claim(store)
    taken = claim(store, after=LEASE)
    assert late is not None
    assert taken is not None

    with store.note() as tx:
        assert not tx.operations.update(replace(late, state=OperationState.DONE), epoch=late.epoch)
        assert tx.operations.update(replace(taken, lease_until=NOW + 3 * LEASE), epoch=taken.epoch)
    with store.read() as tx:
        assert tx.operations.get("op-0001").state is OperationState.RUNNING


@pytest.mark.parametrize("state", [OperationState.DONE, OperationState.FAILED, OperationState.CANCELLED])
def test_what_is_over_is_never_claimed(store: Store, state: OperationState) -> None:
    add(store, operation(1))
    claimed = claim(store)
    assert claimed is not None
    with store.note() as tx:
        over = replace(claimed, state=state, lease_until=None, outcome={"digest": "sha256:…"})
        assert tx.operations.update(over, epoch=1)

    assert claim(store, after=timedelta(days=1)) is None
    with store.read() as tx:
        assert tx.operations.get("op-0001") == over


def test_one_operation_a_channel_is_open(store: Store) -> None:
    add(store, move_of(PROD, 1), move_of("acme/support-agent:staging", 2), operation(3), operation(4))

    with pytest.raises(ConflictError, match=f'an operation of "{PROD}" is open already'):
        add(store, move_of(PROD, 5))

    with store.read() as tx:
        assert tx.operations.find_open(PROD) == move_of(PROD, 1)
        assert [one.id for one in tx.operations.list("acme", after=None, limit=9)] == [
            f"op-{number:04}" for number in (4, 3, 2, 1)
        ]


def test_a_channel_that_nothing_keeps_has_no_open_operation(store: Store) -> None:
    add(store, operation(1))

    with store.read() as tx:
        assert tx.operations.find_open(PROD) is None


def test_what_is_open_is_listed_of_all_namespaces_the_oldest_first(store: Store) -> None:
    states = list(OperationState)
    add(store, *(replace(operation(9 - number), state=state) for number, state in enumerate(states)))
    add(store, operation(10, namespace="other"))

    with store.read() as tx:
        found = [(one.namespace, one.state) for one in tx.operations.list_open()]

    assert found == [
        ("acme", OperationState.COMMITTED),
        ("acme", OperationState.PREPARED),
        ("acme", OperationState.RUNNING),
        ("acme", OperationState.QUEUED),
        ("other", OperationState.QUEUED),
    ]


def test_an_operation_that_lets_go_of_its_channel_makes_way_for_the_next(store: Store) -> None:
    add(store, move_of(PROD, 1))
    with store.note() as tx:
        assert tx.operations.update(tx.operations.get("op-0001").asked_to_end(NOW), epoch=0)

    add(store, move_of(PROD, 2))

    with store.read() as tx:
        found = tx.operations.find_open(PROD)
        assert found is not None
        assert found.id == "op-0002"
        assert tx.operations.get("op-0001").state is OperationState.CANCELLED


def test_an_operation_keeps_its_channel_while_it_is_at_work(store: Store) -> None:
    add(store, move_of(PROD))

    claimed = claim(store)

    with store.read() as tx:
        assert tx.operations.find_open(PROD) == claimed


@pytest.mark.parametrize("state", [OperationState.PREPARED, OperationState.COMMITTED])
def test_what_waits_keeps_its_state_when_it_is_claimed(store: Store, state: OperationState) -> None:
    add(store, waiting(state))

    assert claim(store, after=LEASE - timedelta(seconds=1)) is None
    taken = claim(store, after=LEASE)

    assert taken == replace(waiting(state), epoch=4, lease_until=NOW + 2 * LEASE)


def test_only_what_is_of_the_kinds_asked_for_is_claimed(store: Store) -> None:
    add(store, operation(1), move_of(PROD, 2))

    with store.note() as tx:
        assert not tx.operations.is_waiting(now=NOW, kinds={OperationKind.LOOK})
        assert tx.operations.is_waiting(now=NOW, kinds=MOVES)
        assert tx.operations.claim(now=NOW, until=NOW + LEASE, kinds={OperationKind.LOOK}) is None
        taken = tx.operations.claim(now=NOW, until=NOW + LEASE, kinds=MOVES)
        assert taken is not None
        assert taken.id == "op-0002"
        assert not tx.operations.is_waiting(now=NOW, kinds=MOVES)
        assert tx.operations.is_waiting(now=NOW)


def test_what_was_asked_for_never_changes(store: Store) -> None:
    add(store, operation(1))
    other = replace(operation(1), namespace="other", subject="snapshot/other", request={"name": "x"}, created_by="joe")

    with store.note() as tx:
        assert tx.operations.update(replace(other, journal={"rows": 1}), epoch=0)

    with store.read() as tx:
        assert tx.operations.get("op-0001") == replace(operation(1), journal={"rows": 1})


def test_operations_are_listed_by_namespace_newest_first(store: Store) -> None:
    add(store, *(operation(number) for number in range(1, 6)), operation(9, namespace="other"))

    with store.read() as tx:
        first = tx.operations.list("acme", after=None, limit=3)
        rest = tx.operations.list("acme", after=first[-1].id, limit=3)

    assert [one.id for one in (*first, *rest)] == [f"op-{number:04}" for number in (5, 4, 3, 2, 1)]


def test_events_are_numbered_and_read_from_where_one_was(store: Store) -> None:
    add(store, operation(1), operation(2))
    with store.note() as tx:
        for rows in (10, 20, 30):
            tx.operations.append("op-0001", time=NOW, body={"rows": rows})
        tx.operations.append("op-0002", time=NOW, body={})

    with store.read() as tx:
        found = tx.operations.events("op-0001", after=1, limit=10)

    assert [(one.number, one.body) for one in found] == [(2, {"rows": 20}), (3, {"rows": 30})]


def test_a_target_has_one_name(store: Store) -> None:
    one, other = Target("kb", "pgvector", "postgresql://a", "env:A"), Target("kb", "files", "file:///b")
    with store.note() as tx:
        assert [tx.targets.add(one), tx.targets.add(other), tx.targets.add(replace(other, name="a"))] == [
            True,
            False,
            True,
        ]

    with store.note() as tx:
        assert tx.targets.find("kb") == one
        assert [target.name for target in tx.targets.list()] == ["a", "kb"]
        assert [tx.targets.remove("a"), tx.targets.remove("a"), tx.targets.find("a")] == [True, False, None]


def test_a_target_is_put_in_place_of_the_one_of_its_name(store: Store) -> None:
    one = Target("kb", "pgvector", "postgresql://a", namespaces=("acme", "globex"))
    with store.note() as tx:
        tx.targets.put(one)
        assert tx.targets.find("kb") == one
        tx.targets.put(replace(one, namespaces=("*",)))

    with store.read() as tx:
        assert tx.targets.list() == [replace(one, namespaces=("*",))]
