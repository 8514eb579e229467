"""What `/readyz` says of each dependency, and that it says so though one hangs."""

import asyncio
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from regalia_registry.adapters.disk import DiskBlobs
from regalia_registry.adapters.memory.blobs import MemoryBlobs
from regalia_registry.adapters.memory.keys import MemoryKeys, MemoryRoot
from regalia_registry.adapters.memory.store import MemoryStore
from regalia_registry.adapters.memory.system import MemoryClock, MemoryIds
from regalia_registry.adapters.sql.migrate import upgrade
from regalia_registry.adapters.sql.store import SqlStore
from regalia_registry.domain.operations import EVERY_KIND, LoadWish, Operation, OperationKind
from regalia_registry.http.health import Health, Ready
from regalia_registry.services.context import Ports
from regalia_registry.services.health import (
    Found,
    State,
    check_blobs,
    check_database,
    check_trust,
    check_worker,
    check_writing,
)

MINUTE = timedelta(seconds=61)


@pytest.fixture
def ports() -> Ports:
    return Ports(MemoryStore(), MemoryBlobs(), MemoryClock(), MemoryIds(), MemoryKeys(), MemoryRoot())


def ask(ports: Ports, name: str) -> None:
    wish = LoadWish("kb", "1.0.0", "engine", "copy")
    made = Operation(name, OperationKind.LOAD, "acme", "snapshot/kb", wish.written(), ports.clock.now(), "ann")
    with ports.store.note() as tx:
        tx.operations.add(made)


def turn(ports: Ports, by: timedelta) -> None:
    assert isinstance(ports.clock, MemoryClock)
    ports.clock.turn(by)


def seconds(ports: Ports) -> int:
    return int(ports.clock.now().timestamp())


def test_a_database_that_can_only_be_read_is_degraded_and_can_be_read(ports: Ports, tmp_path: Path) -> None:
    upgrade(f"sqlite:///{tmp_path / 'registry.db'}")
    store = SqlStore.open(f"sqlite:///file:{tmp_path / 'registry.db'}?mode=ro&uri=true")
    found = replace(ports, store=store)

    assert check_database(found) == Found(State.OK)
    assert check_writing(found) == Found(State.DEGRADED, "the registry's database is read-only")
    store.close()


def test_looking_whether_a_database_can_be_written_changes_nothing(ports: Ports, tmp_path: Path) -> None:
    upgrade(f"sqlite:///{tmp_path / 'registry.db'}")
    store = SqlStore.open(f"sqlite:///{tmp_path / 'registry.db'}")
    before = store.version()

    assert check_writing(replace(ports, store=store)) == Found(State.OK)
    assert store.version() == before
    store.close()


def test_a_database_that_is_gone_has_failed(ports: Ports, tmp_path: Path) -> None:
    store = SqlStore.open(f"sqlite:///{tmp_path / 'nowhere' / 'registry.db'}")

    assert check_database(replace(ports, store=store)).state is State.FAILED
    assert check_trust(replace(ports, store=store)).state is State.FAILED
    store.close()


def test_a_blob_store_that_is_gone_is_degraded_for_what_was_rendered_is_served(ports: Ports, tmp_path: Path) -> None:
    blobs = DiskBlobs(tmp_path / "blobs")
    assert check_blobs(replace(ports, blobs=blobs)) == Found(State.OK)

    (tmp_path / "blobs").rename(tmp_path / "elsewhere")
    (tmp_path / "blobs").write_bytes(b"")

    assert check_blobs(replace(ports, blobs=blobs)).state is State.DEGRADED


def test_a_registry_without_a_root_has_failed(ports: Ports) -> None:
    assert check_trust(ports) == Found(State.FAILED, "no trust root: reg init")


def test_operations_that_nobody_takes_are_told(ports: Ports) -> None:
    ask(ports, "one")
    soon = check_worker(ports, beat=None)

    turn(ports, MINUTE)

    assert soon.state is State.OK
    assert check_worker(ports, beat=None) == Found(
        State.DEGRADED, "1 operations wait, one for 61 s: is a reg worker running?"
    )


def test_operations_that_wait_behind_another_are_no_fault(ports: Ports) -> None:
    ask(ports, "one")
    ask(ports, "two")
    turn(ports, MINUTE)
    with ports.store.note() as tx:
        tx.operations.claim(now=ports.clock.now(), until=ports.clock.now() + MINUTE, kinds=EVERY_KIND)

    assert check_worker(ports, beat=None).state is State.OK


def test_the_last_sign_of_the_worker_beside_a_process_is_told(ports: Ports) -> None:
    beat = seconds(ports)
    turn(ports, timedelta(seconds=4))
    fresh = check_worker(ports, beat=beat)
    turn(ports, MINUTE)

    assert fresh == Found(State.OK, "seen 4 s ago")
    assert check_worker(ports, beat=beat) == Found(
        State.DEGRADED, "the worker gave no sign for 65 s: see the registry's log"
    )


@pytest.mark.parametrize(("silent", "ready"), [("database", Ready.FAILED), ("blobs", Ready.DEGRADED)])
def test_a_dependency_that_hangs_is_named_and_the_others_are_told(silent: str, ready: Ready) -> None:
    answers = threading.Event()

    def hang() -> Found:
        answers.wait()
        return Found(State.OK)

    checks: dict[str, Callable[[], Found]] = {
        name: hang if name == silent else lambda: Found(State.OK) for name in ("database", "blobs", "trust")
    }

    found = asyncio.run(Health(checks).readiness())

    answers.set()
    told = {one.name: (one.state, one.told) for one in found.dependencies}
    assert found.state is ready
    assert told.pop(silent)[1] == "no answer within 2 s"
    assert set(told.values()) == {(State.OK, "")}
