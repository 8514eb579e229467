"""What goes wrong around a worker: a full disk, two of one name, lost files, texts that nobody reads."""

import errno
import os
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from hashlib import shake_256
from pathlib import Path
from typing import BinaryIO

import pytest

from regalia.core import strict_json
from regalia.core.digest import Digest
from regalia.core.errors import UnavailableError, UnsupportedError
from regalia.core.names import ArtifactName, Kind
from regalia_registry.adapters.memory.blobs import MemoryBlobs
from regalia_registry.domain.operations import CompactWish, Holder, OperationState, SnapshotWish, Target
from regalia_registry.domain.snapshots.rows import Row, encode_key, encode_properties
from regalia_registry.services.steps.snapshots import find_newest
from tests.registry.test_asking import Registry, row
from tests.registry.test_worker import LOAD, SNAPSHOT, Room, Stepping, failing, once
from tests.support.disks import small_disk

DOCS = SnapshotWish("local", "docs", "kb")
UNREADABLE = "lost \0 and \ud800"
READABLE = "lost \ufffd and \ufffd"


class StepBlobs(MemoryBlobs):
    """The twin, which lets a test in before a blob is read."""

    def __init__(self) -> None:
        super().__init__()
        self.at: Callable[[str, int], None] = lambda _step, _number: None

    def open(self, *, digest: Digest, start: int = 0, stop: int | None = None) -> BinaryIO:
        self.at("open", 0)
        return super().open(digest=digest, start=start, stop=stop)


class Storing(Registry):
    """A registry whose blobs let a test in."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.blobs = StepBlobs()
        self.ports = replace(self.ports, blobs=self.blobs)
        self.worker = replace(self.worker, ports=self.ports)
        self.outcome(DOCS)


class Interruptible(Stepping):
    """An engine whose every connection can be interrupted, and is told apart."""

    def __init__(self) -> None:
        super().__init__()
        self.interrupted: list[int] = []
        self.is_interrupted = threading.Event()

    def connect(self, target: Target, *, holder: Holder) -> Stepping:
        super().connect(target, holder=holder)
        return Connection(self, self.connections)

    def end(self, number: int) -> None:
        self.interrupted.append(number)
        if number == self.connections:
            self.is_interrupted.set()


class Connection(Stepping):
    """One of its connections."""

    def __init__(self, engine: Interruptible, number: int) -> None:
        super().__init__()
        self.held, self.at = engine.held, engine.at
        self.engine, self.number = engine, number

    def interrupt(self) -> None:
        self.engine.end(self.number)


@pytest.fixture
def room(tmp_path: Path) -> Room:
    return Room(tmp_path / "work")


@pytest.fixture
def registry(tmp_path: Path) -> Storing:
    return Storing(tmp_path)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG], ids=["space", "quota", "size"])
def test_a_worker_without_room_says_so_and_where_at_once(room: Room, code: int) -> None:
    room.fill(range(30))
    room.engine.at = once("reading", 10, failing(OSError(code, os.strerror(code))))

    failed = room.done(SNAPSHOT)

    assert failed.outcome == {
        "error": "storage_full",
        "message": "the worker's disk is full",
        "hint": f"make room in {room.worker.folder}, and ask again",
    }
    assert "waiting" not in room.steps(failed.id)


def test_a_segment_that_finds_no_room_on_the_workers_disk_is_told(tmp_path: Path) -> None:
    with small_disk(tmp_path / "small", megabytes=1) as disk:
        room = Room(disk)
        rows = {
            encode_key(number): Row(
                encode_key(number), (), encode_properties({"text": shake_256(bytes([number])).hexdigest(500_000)})
            )
            for number in range(3)
        }
        room.engine.held["kb"].rows = rows
        failed = room.done(SNAPSHOT)
        room.fill(range(3))

        again = room.done(SNAPSHOT)

        assert failed.outcome is not None
        assert failed.outcome["error"] == "storage_full"
        assert again.state is OperationState.DONE


def test_a_full_disk_while_a_load_is_undone_does_not_end_the_worker(room: Room) -> None:
    def at(step: str, _number: int) -> None:
        if step in {"indexing", "dropping"}:
            raise OSError(errno.ENOSPC, "full")

    room.fill(range(30))
    room.done(SNAPSHOT)
    room.engine.at = at

    failed = room.done(LOAD)

    assert failed.outcome is not None
    assert failed.outcome["error"] == "storage_full"


def test_outages_that_are_long_apart_are_each_waited_for(room: Room) -> None:
    def away(step: str, number: int) -> None:
        if (step, number) == ("reading", 10) and room.engine.connections <= 6:
            room.clock.turn(timedelta(seconds=1))  # longer than all of its patience
            raise UnavailableError("the engine is gone")

    room.fill(range(30))
    room.engine.at = away

    done = room.done(SNAPSHOT)

    assert (done.state, room.engine.connections) == (OperationState.DONE, 7)


def test_what_an_operation_tells_is_readable_whatever_an_engine_says(room: Room) -> None:
    def at(step: str, number: int) -> None:
        if step == "connecting":
            raise UnavailableError(UNREADABLE) if number == 1 else UnsupportedError(UNREADABLE, hint=UNREADABLE)

    room.engine.at = at

    failed = room.done(SNAPSHOT)

    assert failed.outcome == {"error": "unsupported", "message": READABLE, "hint": READABLE}
    with room.store.read() as tx:
        bodies = [event.body for event in tx.operations.events(failed.id, after=0, limit=9)]
    assert {"step": "waiting", "why": READABLE} in bodies
    assert all(map(strict_json.write, bodies))


def test_a_connection_of_an_attempt_that_is_over_is_not_interrupted(room: Room) -> None:
    def at(step: str, number: int) -> None:
        if (step, number) == ("reading", 0) and engine.connections == 1:
            raise UnavailableError("the engine is gone")
        if (step, number) == ("reading", 0):
            room.cancel(asked)
            assert engine.is_interrupted.wait(60)

    engine = Interruptible()
    engine.at = at
    room.engine, room.worker = engine, replace(room.worker, targets=engine)
    room.fill(range(30))
    asked = room.ask(SNAPSHOT)

    assert room.worker.run_one()

    assert set(engine.interrupted) == {2}
    assert room.operation(asked).state is OperationState.CANCELLED


def test_two_snapshots_of_one_name_both_become_versions_and_nothing_is_stored_twice(room: Room) -> None:
    def other() -> None:
        room.fill(range(10, 30))
        assert room.worker.run_one()
        room.fill(range(30))

    room.fill(range(30))
    first, second = room.ask(SNAPSHOT), room.ask(SNAPSHOT)
    room.engine.at = once("reading", 20, other)

    assert room.worker.run_one()

    outcomes = [room.operation(asked).outcome or {} for asked in (second, first)]
    assert [(one["version"], one["count"]) for one in outcomes] == [("1.0.0", 20), ("1.0.1", 30)]
    assert outcomes[1]["rows_stored"] == 0
    assert 'another "acme/snapshot/kb@1.0.0" was added meanwhile' in str(events(room, first))
    assert room.versions() == ["1.0.1", "1.0.0"]


def events(room: Room, asked: str) -> list[object]:
    with room.store.read() as tx:
        return [event.body for event in tx.operations.events(asked, after=0, limit=99)]


@pytest.mark.parametrize("once", [0, 5], ids=["empty", "rows"])
def test_what_is_again_as_it_once_was_is_that_version(room: Room, once: int) -> None:
    for numbers in (range(once), range(once + 5)):
        room.fill(numbers)
        room.done(SNAPSHOT)
    room.fill(range(once))

    again = room.done(SNAPSHOT)

    assert again.outcome is not None
    assert (again.outcome["version"], again.outcome["created"]) == ("1.0.0", False)
    assert room.versions() == ["1.0.1", "1.0.0"]


def test_a_compaction_that_a_snapshot_overtook_compacts_that_one(registry: Storing) -> None:
    def overtake() -> None:
        registry.hold("docs", row(1), row(8), row(9))
        registry.outcome(DOCS)

    registry.hold("docs", row(1), row(9))
    registry.outcome(DOCS)
    asked = registry.ask(CompactWish("kb"))
    registry.blobs.at = once("open", 0, overtake)

    assert registry.worker.run_one()

    outcome = registry.follow(asked).outcome or {}
    newest = find_newest(registry.ports, ArtifactName("acme", Kind.SNAPSHOT, "kb"))
    assert newest is not None
    assert (outcome["version"], outcome["created"], newest.config.count) == ("1.0.3", True, 3)
    assert outcome["content_root"] == str(newest.config.content_root)


def test_a_kept_segment_whose_rows_are_lost_is_named(registry: Storing) -> None:
    newest = find_newest(registry.ports, ArtifactName("acme", Kind.SNAPSHOT, "kb"))
    assert newest is not None
    [segment] = newest.listing.segments
    registry.blobs.delete(digest=segment.rows)
    registry.hold("docs", *(row(number) for number in range(1, 7)))

    assert registry.refusal(DOCS) == f'the segment file "{segment.rows_title}" is gone from the blob store'
