"""A worker and its lease: who comes late commits nothing, and what came to no good end leaves nothing."""

import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

import pytest

from regalia.core.errors import UnavailableError, UnsupportedError
from regalia.core.kinds.snapshot import VectorSpace
from regalia.core.names import ArtifactName, Kind
from regalia_registry.adapters.memory.blobs import MemoryBlobs
from regalia_registry.adapters.memory.keys import MemoryKeys, MemoryRoot
from regalia_registry.adapters.memory.store import MemoryStore
from regalia_registry.adapters.memory.system import MemoryClock, MemoryIds
from regalia_registry.adapters.memory.vectors import Held, MemoryReading, MemoryVectors
from regalia_registry.domain.leases import Lease, Patience
from regalia_registry.domain.operations import (
    Holder,
    LoadWish,
    Look,
    LookWish,
    Operation,
    OperationKind,
    OperationState,
    SnapshotWish,
    Target,
    VerifyWish,
    Wish,
)
from regalia_registry.domain.snapshots.rows import Row, encode_key, encode_properties
from regalia_registry.domain.snapshots.schema import Family, KeyKind, Property, Schema
from regalia_registry.ports.store import Told
from regalia_registry.ports.vectors import Checked, Ledger
from regalia_registry.services.context import Ports
from regalia_registry.worker.hold import Ended, Hold
from regalia_registry.worker.loop import Worker

LEASE = Lease()
PATIENCE = Patience(first_s=0.001, longest_s=0.001, total_s=0.003)
SCHEMA = Schema(
    Family.FILES, Property("id", "int"), KeyKind.INTEGER, (VectorSpace("v", 1, "l2"),), (Property("text", "text"),), {}
)
MEGABYTE = encode_properties({"text": "x" * 1024 * 1024})
SNAPSHOT = SnapshotWish("engine", "kb", "kb")
LOAD = LoadWish("kb", "1.0.0", "engine", "copy")
KINDS: dict[type[Wish], OperationKind] = {
    SnapshotWish: OperationKind.SNAPSHOT,
    LoadWish: OperationKind.LOAD,
    VerifyWish: OperationKind.VERIFY,
    LookWish: OperationKind.LOOK,
}


class Killed(BaseException):
    """SIGKILL, as far as one process can say it."""


class Stepping(MemoryVectors):
    """The twin, which lets a test in at every step; it is a `Targets` too."""

    def __init__(self) -> None:
        super().__init__({"kb": Held(SCHEMA)})
        self.at: Callable[[str, int], None] = lambda _step, _number: None
        self.connections = 0
        self.moves: list[int] = []

    def connect(self, target: Target, *, holder: Holder) -> "Stepping":  # noqa: ARG002 # the port's names
        self.connections += 1
        self.at("connecting", self.connections)
        return self

    def check(self) -> Checked:
        self.at("checking", 0)
        raise UnavailableError("nothing answers")

    @contextmanager
    def open(self, name: str, *, freeze: Collection[str] | None = None) -> Iterator[MemoryReading]:
        with super().open(name, freeze=freeze) as reading:
            yield SteppingReading(reading.rows, at=self.at, moves=self.moves)

    def load(self, name: str, schema: Schema, groups: Iterable[Sequence[Row]], *, ledger: Ledger) -> Iterator[int]:
        for number, total in enumerate(super().load(name, schema, groups, ledger=ledger)):
            self.at("loading", number)
            yield total

    def build_index(self, name: str, schema: Schema) -> None:
        self.at("indexing", 0)
        super().build_index(name, schema)

    def drop(self, name: str, *, mark: str) -> bool:
        self.at("dropping", 0)
        return super().drop(name, mark=mark)


@dataclass
class SteppingReading(MemoryReading):
    """Ten rows a batch."""

    at: Callable[[str, int], None] = field(kw_only=True)
    moves: list[int] = field(kw_only=True)

    def moved(self) -> int:
        return self.moves.pop(0) if self.moves else 0

    def batches(self) -> Iterator[Sequence[Row]]:
        for start in range(0, len(self.rows), 10):
            self.at("reading", start)
            yield self.rows[start : start + 10]


class Room:
    """A registry in memory, its engine, and workers that come one after another."""

    def __init__(self, folder: Path) -> None:
        self.engine = Stepping()
        self.clock = MemoryClock()
        self.store, self.blobs = MemoryStore(), MemoryBlobs()
        self.stopping = threading.Event()
        ports = Ports(self.store, self.blobs, self.clock, MemoryIds(), MemoryKeys(), MemoryRoot())
        folder.mkdir(exist_ok=True)
        self.worker = Worker(ports, self.engine, folder, self.stopping, LEASE, PATIENCE)
        with self.store.note() as tx:
            tx.targets.add(Target("engine", "memory", "memory:", namespaces=("acme",)))

    def fill(self, numbers: Iterable[int], properties: bytes = b"{}") -> None:
        rows = [Row(encode_key(number), (("v", bytes(4)),), properties) for number in numbers]
        self.engine.held["kb"].rows = {row.key: row for row in rows}

    def ask(self, wish: SnapshotWish | LoadWish | LookWish | VerifyWish) -> str:
        asked = self.worker.ports.ids.new()
        subject = f"snapshot/{wish.name}"
        with self.store.note() as tx:
            now = self.clock.now()
            tx.operations.add(Operation(asked, KINDS[type(wish)], "acme", subject, wish.written(), now, "ann"))
        return asked

    def operation(self, asked: str) -> Operation:
        with self.store.read() as tx:
            return tx.operations.get(asked)

    def done(self, wish: SnapshotWish | LoadWish | LookWish | VerifyWish) -> Operation:
        asked = self.ask(wish)
        assert self.worker.run_one()
        return self.operation(asked)

    def steps(self, asked: str) -> list[str]:
        with self.store.read() as tx:
            return [str(event.body["step"]) for event in tx.operations.events(asked, after=0, limit=99)]

    def versions(self) -> list[str]:
        with self.store.read() as tx:
            listed = tx.artifacts.versions(ArtifactName("acme", Kind.SNAPSHOT, "kb"), after=None, limit=9)
        return [one.version for one in listed]

    def cancel(self, asked: str) -> None:
        with self.store.note() as tx:
            there = tx.operations.get(asked)
            tx.operations.update(replace(there, cancel_requested=True), epoch=there.epoch)
        self.clock.turn(timedelta(seconds=1))  # it is looked for twice a second

    def take_over(self) -> None:
        """Let another worker claim what is at work, though its lease runs."""
        later = self.clock.now() + timedelta(hours=1)
        with self.store.note() as tx:
            assert tx.operations.claim(now=later, until=later + LEASE.takeover) is not None


@pytest.fixture
def room(tmp_path: Path) -> Room:
    return Room(tmp_path)


def test_how_an_operation_goes_is_told_to_workers_and_empties_nobodys_memory(room: Room) -> None:
    room.fill(range(30))
    room.done(SNAPSHOT)
    asked = room.ask(VerifyWish("kb", "1.0.0"))
    before, active = room.store.version(), room.store.activity()

    assert room.worker.run_one()

    assert room.operation(asked).state is OperationState.DONE
    assert (room.store.version(), room.store.activity() > active + 1) == (before, True)


def test_a_note_to_workers_changes_nothing_that_answers_depend_on(room: Room) -> None:
    def remove_a_target() -> None:
        with room.store.note(to=Told.WORKERS) as tx:
            tx.targets.remove("engine")

    with pytest.raises(RuntimeError, match="what answers depend on"):
        remove_a_target()


def once(step: str, number: int, do: Callable[[], None]) -> Callable[[str, int], None]:
    """Do something at a step, the first time that it comes."""
    left = [do]

    def at(found: str, place: int) -> None:
        if (found, place) == (step, number) and left:
            left.pop()()

    return at


def failing(error: BaseException) -> Callable[[], None]:
    def fail() -> None:
        raise error

    return fail


def test_how_far_a_step_came_is_told_even_where_that_came_too_soon_after_it_began(room: Room) -> None:
    room.fill(range(2000))

    taken = room.done(SNAPSHOT)

    with room.store.read() as tx:
        bodies = [event.body for event in tx.operations.events(taken.id, after=0, limit=99)]
    assert [body["rows"] for body in bodies if body["step"] == "reading"][-1] == 2000
    assert [body["step"] for body in bodies][-2:] == ["storing", "done"]


def test_a_worker_whose_operation_was_taken_over_is_fenced_out_of_its_commit(room: Room) -> None:
    asked = room.ask(SNAPSHOT)
    with room.store.note() as tx:
        late = tx.operations.claim(now=room.clock.now(), until=LEASE.until(room.clock.now()))
    assert late is not None
    hold = Hold(room.worker.ports, late, LEASE, room.stopping, room.clock.monotonic())
    with room.store.note() as tx:
        hold.fence(tx)
    room.take_over()

    with pytest.raises(Ended, match="another worker"), room.store.note() as tx:
        hold.fence(tx)
    assert room.operation(asked).epoch == 2


@pytest.mark.parametrize("number", [0, 90])
def test_a_worker_that_was_taken_over_while_it_read_adds_no_version(room: Room, number: int) -> None:
    room.fill(range(100))
    room.engine.at = once("reading", number, room.take_over)

    asked = room.done(SNAPSHOT)

    assert (asked.state, asked.epoch, asked.outcome) == (OperationState.RUNNING, 2, None)
    assert room.versions() == []


def test_an_error_of_a_worker_that_was_taken_over_is_not_the_operations(room: Room) -> None:
    def taken_over() -> None:
        room.take_over()
        raise OSError("the work folder is gone")

    room.fill(range(20))
    room.engine.at = once("reading", 10, taken_over)

    assert room.done(SNAPSHOT).state is OperationState.RUNNING


def test_a_worker_that_has_worked_says_so_once_it_rests(room: Room) -> None:
    rested: list[OperationState] = []
    asked = [room.ask(SNAPSHOT), room.ask(SNAPSHOT)]

    def rest() -> None:
        rested.extend(room.operation(one).state for one in asked)
        room.stopping.set()

    replace(room.worker, on_rest=rest).run()

    assert rested == [OperationState.DONE] * 2


@pytest.mark.parametrize("ahead", [timedelta(minutes=5), timedelta(minutes=-5)], ids=["ahead", "behind"])
def test_workers_whose_clocks_differ_go_by_the_catalogs(room: Room, tmp_path: Path, ahead: timedelta) -> None:
    room.fill(range(30))
    shared = replace(room.worker.ports, shared_clock=room.clock)
    room.worker = replace(room.worker, ports=shared)
    elsewhere = MemoryClock(room.clock.now() + ahead)
    (tmp_path / "other").mkdir()
    other = replace(room.worker, ports=replace(shared, clock=elsewhere), folder=tmp_path / "other")
    taken: list[bool] = []

    def look() -> None:
        taken.append(other.run_one())
        room.clock.turn(LEASE.length - LEASE.needed + timedelta(seconds=1))

    room.engine.at = once("reading", 10, look)
    asked = room.done(SNAPSHOT)
    early = other.run_one()
    room.clock.turn(LEASE.takeover)

    assert (taken, early, asked.state) == ([False], False, OperationState.RUNNING)
    assert other.run_one()
    assert room.operation(asked.id).state is OperationState.DONE


def test_a_worker_begins_no_step_once_its_lease_runs_out(room: Room) -> None:
    room.fill(range(30))
    read: list[int] = []

    def at(step: str, number: int) -> None:
        if step == "reading":
            read.append(number)
            room.clock.turn(LEASE.length - LEASE.needed + timedelta(seconds=1))

    room.engine.at = at
    room.done(SNAPSHOT)

    assert read == [0]


def test_a_worker_that_is_stopped_leaves_its_operation_to_the_next_at_once(room: Room) -> None:
    room.fill(range(30))
    room.engine.at = once("reading", 10, room.stopping.set)
    left = room.done(SNAPSHOT)
    room.stopping.clear()

    assert left.state is OperationState.RUNNING
    assert room.worker.run_one()
    assert (room.operation(left.id).state, room.operation(left.id).epoch) == (OperationState.DONE, 2)


def test_an_engine_that_goes_away_is_waited_for_in_the_same_operation(room: Room) -> None:
    room.fill(range(30))
    room.engine.at = once("reading", 20, failing(UnavailableError("the engine is gone")))

    done = room.done(SNAPSHOT)

    assert (done.state, done.epoch) == (OperationState.DONE, 1)
    assert room.steps(done.id)[:5] == ["connecting", "reading", "reading", "waiting", "connecting"]
    assert done.outcome is not None
    assert done.outcome["count"] == 30


def test_an_engine_that_stays_away_fails_the_operation_in_its_words(room: Room) -> None:
    def away(step: str, _number: int) -> None:
        if step == "connecting":
            raise UnavailableError("the engine is gone", hint="start it")

    room.engine.at = away

    failed = room.done(SNAPSHOT)

    assert failed.state is OperationState.FAILED
    assert failed.outcome == {"error": "unavailable", "message": "the engine is gone", "hint": "start it"}
    assert room.engine.connections == 4


def test_a_look_at_an_engine_that_does_not_answer_says_so_at_once(room: Room) -> None:
    failed = room.done(LookWish("engine", Look.CHECK))

    assert failed.state is OperationState.FAILED
    assert room.engine.connections == 1


def test_a_look_that_is_cancelled_has_not_failed(room: Room) -> None:
    asked = room.ask(LookWish("engine", Look.CHECK))
    room.engine.at = once("checking", 0, lambda: room.cancel(asked))

    room.worker.run_one()

    assert room.operation(asked).state is OperationState.CANCELLED


def test_what_is_waited_for_can_be_cancelled(room: Room) -> None:
    def away() -> None:
        room.cancel(asked)
        raise UnavailableError("the engine is gone")

    room.engine.at = once("connecting", 1, away)
    asked = room.ask(SNAPSHOT)

    room.worker.run_one()

    assert room.operation(asked).state is OperationState.CANCELLED


@pytest.mark.parametrize("step", ["connecting", "loading", "indexing", "reading"])
def test_a_load_that_is_cancelled_leaves_no_collection(room: Room, step: str) -> None:
    room.fill(range(30))
    room.done(SNAPSHOT)
    asked = room.ask(LOAD)
    room.engine.at = once(step, 2 if step == "connecting" else 0, lambda: room.cancel(asked))

    room.worker.run_one()

    assert room.operation(asked).state is OperationState.CANCELLED
    assert room.operation(asked).outcome is None
    assert list(room.engine.held) == ["kb"]


def test_a_load_that_fails_leaves_no_collection(room: Room) -> None:
    room.fill(range(30))
    room.done(SNAPSHOT)
    room.engine.at = once("indexing", 0, failing(UnsupportedError("too many dimensions")))

    failed = room.done(LOAD)

    assert failed.state is OperationState.FAILED
    assert list(room.engine.held) == ["kb"]


def test_an_engine_that_says_all_is_well_and_lost_a_row_fails_the_load(room: Room) -> None:
    def lose() -> None:
        [copy] = [held for name, held in room.engine.held.items() if name != "kb"]
        copy.rows.popitem()

    room.fill(range(30))
    room.done(SNAPSHOT)
    room.engine.at = once("indexing", 0, lose)

    failed = room.done(LOAD)

    assert failed.state is OperationState.FAILED
    assert failed.outcome is not None
    assert "the rows hash to" in str(failed.outcome["message"])
    assert list(room.engine.held) == ["kb"]


@pytest.mark.parametrize(
    ("moves", "said"),
    [([0], "point-in-time"), ([7, 0], "point-in-time"), ([7, 7], "fuzzy")],
    ids=["still", "still again", "two agree"],
)
def test_a_collection_that_is_written_meanwhile_is_read_again(room: Room, moves: list[int], said: str) -> None:
    room.fill(range(30))
    room.engine.moves = moves

    done = room.done(SNAPSHOT)

    assert done.outcome is not None
    assert (done.outcome["count"], done.outcome["consistency"]) == (30, said)
    assert room.engine.moves == []


def test_a_collection_that_never_rests_is_refused_with_how_many_rows_moved(room: Room) -> None:
    def write(step: str, number: int) -> None:
        if (step, number) == ("reading", 0):
            room.fill(range(30 + len(room.engine.moves)))

    room.fill(range(30))
    room.engine.moves, room.engine.at = [5, 6, 7, 8], write

    failed = room.done(SNAPSHOT)

    assert failed.state is OperationState.FAILED
    assert failed.outcome is not None
    assert "8 rows moved" in str(failed.outcome["message"])
    assert room.versions() == []


def test_a_half_made_collection_that_can_not_be_removed_is_named(room: Room) -> None:
    room.fill(range(30))
    room.done(SNAPSHOT)

    def at(step: str, _number: int) -> None:
        if step in {"indexing", "dropping"}:
            raise UnavailableError("the engine is gone")

    room.engine.at = at
    failed = room.done(LOAD)

    [left] = [name for name in room.engine.held if name != "kb"]
    assert failed.state is OperationState.FAILED
    assert failed.outcome is not None
    assert f'"{left}" is left in the target "engine"' in str(failed.outcome["message"])
    assert left in str(failed.outcome["hint"])


def test_a_load_whose_worker_is_killed_goes_on_in_the_same_collection(room: Room) -> None:
    room.fill(range(12_000))
    taken = room.done(SNAPSHOT)
    asked = room.ask(LOAD)
    room.engine.at = once("loading", 1, failing(Killed()))
    with pytest.raises(Killed):
        room.worker.run_one()
    assert not room.worker.run_one()

    room.clock.turn(LEASE.takeover)
    assert room.worker.run_one()

    loaded = room.operation(asked)
    assert loaded.state is OperationState.DONE
    assert loaded.outcome is not None
    assert taken.outcome is not None
    assert loaded.outcome["content_root"] == taken.outcome["content_root"]
    assert set(room.engine.held) == {"kb", loaded.outcome["collection"]}


def killed_while_reading(room: Room, number: int) -> str:
    asked = room.ask(SNAPSHOT)
    room.engine.at = once("reading", number, failing(Killed()))
    with pytest.raises(Killed):
        room.worker.run_one()
    room.clock.turn(LEASE.takeover)
    return asked


def test_what_a_killed_snapshot_stored_is_not_stored_again(room: Room) -> None:
    room.fill(range(160), MEGABYTE)
    asked = killed_while_reading(room, 150)
    stored = set(room.blobs.list())

    assert room.worker.run_one()

    done = room.operation(asked)
    assert done.outcome is not None
    segments = len(stored) // 2  # of 72 rows; the second is stored, or on its way when the worker dies
    assert segments in {1, 2}
    assert stored <= set(room.blobs.list())
    kept = 72 * segments
    assert (done.outcome["count"], done.outcome["rows_kept"], done.outcome["rows_stored"]) == (160, kept, 160 - kept)
    assert room.done(VerifyWish("kb", "1.0.0")).state is OperationState.DONE


def test_what_changed_since_a_snapshot_was_killed_is_what_the_next_worker_reads(room: Room, tmp_path: Path) -> None:
    room.fill(range(160), MEGABYTE)
    room.done(SNAPSHOT)
    room.fill(range(160), encode_properties({"text": "y" * 1024 * 1024}))
    killed_while_reading(room, 150)
    room.fill(range(40, 170), encode_properties({"text": "y" * 1024 * 1024}))
    room.engine.held["kb"].rows[encode_key(50)] = Row(encode_key(50), (), MEGABYTE)
    other = Room(tmp_path / "other")
    other.engine.held = room.engine.held

    assert room.worker.run_one()

    assert room.versions() == ["1.0.1", "1.0.0"]
    verified, whole = room.done(VerifyWish("kb", "1.0.1")), other.done(SNAPSHOT)
    assert verified.state is OperationState.DONE
    [done] = [one for one in listed(room) if one.outcome and one.outcome.get("version") == "1.0.1"]
    assert done.outcome is not None
    assert whole.outcome is not None
    assert done.outcome["content_root"] == whole.outcome["content_root"]
    assert (done.outcome["rows_kept"], done.outcome["rows_stored"]) in {(31, 99), (103, 27)}  # of one segment, or two


def test_a_worker_that_is_killed_between_its_version_and_its_word_is_followed_by_one_that_finds_it(room: Room) -> None:
    room.fill(range(80), MEGABYTE)
    done = room.done(SNAPSHOT)
    with room.store.note() as tx:
        at_work = replace(done, state=OperationState.RUNNING, lease_until=room.clock.now(), outcome=None)
        tx.operations.update(at_work, epoch=done.epoch)
    room.engine.held["kb"].rows.popitem()

    assert room.worker.run_one()

    again = room.operation(done.id)
    assert again.outcome is not None
    assert (again.outcome["version"], again.outcome["rows_kept"], again.outcome["rows_stored"]) == ("1.0.1", 79, 0)
    assert room.done(VerifyWish("kb", "1.0.1")).state is OperationState.DONE


def test_what_a_killed_snapshot_stored_of_another_schema_is_of_no_use(room: Room) -> None:
    room.fill(range(80), MEGABYTE)
    asked = killed_while_reading(room, 70)
    room.engine.held["kb"].schema = replace(SCHEMA, properties=(Property("text", "varchar"),))

    assert room.worker.run_one()

    done = room.operation(asked)
    assert done.outcome is not None
    assert (done.outcome["rows_kept"], done.outcome["rows_stored"]) == (0, 80)


def listed(room: Room) -> Sequence[Operation]:
    with room.store.read() as tx:
        return tx.operations.list("acme", after=None, limit=99)
