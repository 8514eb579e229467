"""Claiming, leasing, doing: an operation belongs to whoever holds its lease, and to nobody else."""

import errno
import importlib
import shutil
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import structlog

from regalia.core.errors import RegaliaError, StorageFullError, UnavailableError
from regalia.core.strict_json import JsonObject
from regalia_registry.domain.access import Actor, Grant, Right
from regalia_registry.domain.leases import Lease, Patience
from regalia_registry.domain.operations import EVERY_KIND, Holder, Operation, OperationKind, OperationState, Target
from regalia_registry.domain.series import (
    FIXED,
    MOVE_SECONDS,
    OPERATION_WAITS,
    OPERATIONS_ENDED,
    PREPARE,
    VECTOR_ERRORS,
    WORKER_BEAT,
)
from regalia_registry.domain.texts import readable
from regalia_registry.ports.counting import Counts, observe
from regalia_registry.ports.store import Told
from regalia_registry.ports.vectors import Interruptible, Provider, Targets
from regalia_registry.services.context import Bench, Paused, Ports
from regalia_registry.services.garbage import collect_daily
from regalia_registry.worker.background import Background, Chore
from regalia_registry.worker.hold import Cancelled, Ended, Hold

_IDLE_S = 0.5
_GLANCE_S = 0.01  # a glance costs some microseconds, and whoever waits for a channel waits for this
_BEAT_S = 5.0
_GARBAGE_S = 600.0  # whether a day has passed is looked for this often
_AGAIN = timedelta(seconds=15)
_MOST_DOUBLINGS = 5  # eight minutes
_GIVEN_UP = {OperationState.FAILED, OperationState.CANCELLED}
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}

log = structlog.get_logger("regalia.worker")

Doing = Callable[[Ports, Actor, Operation, Bench], JsonObject | Paused]
Undoing = Callable[[Ports, Operation, Bench], None]

# Kind → (module in services/, its function), loaded when there is something to do: an idle worker stays small.
_DOINGS: Mapping[OperationKind, tuple[str, str]] = {
    OperationKind.SNAPSHOT: ("snapshots", "take_snapshot"),
    OperationKind.LOAD: ("loading", "load_snapshot"),
    OperationKind.VERIFY: ("loading", "verify_snapshot"),
    OperationKind.LOOK: ("looking", "look"),
    OperationKind.COMPACT: ("compacting", "compact_snapshot"),
    OperationKind.DIFF: ("asking", "diff_snapshots"),
    OperationKind.QUERY: ("asking", "query_snapshot"),
    OperationKind.SEARCH: ("asking", "search_collection"),
    OperationKind.RETIRE: ("retiring", "retire_collection"),
    OperationKind.EXPORT: ("exporting", "export_snapshot"),
    OperationKind.IMPORT: ("snapshots", "import_snapshot"),
    OperationKind.PROMOTE: ("preparing", "prepare_move"),
    OperationKind.RESTORE: ("preparing", "prepare_move"),
    OperationKind.REBIND: ("preparing", "prepare_move"),
    OperationKind.PREPARE: ("preparing", "prepare_move"),
    OperationKind.ADOPT: ("adopting", "adopt_collection"),
    OperationKind.GC: ("collecting", "collect_garbage"),
}

# What removes from a target what an operation made there, where it was cancelled or failed.
_UNDOINGS: Mapping[OperationKind, tuple[str, str]] = {
    OperationKind.LOAD: ("loading", "unload_snapshot"),
    OperationKind.SNAPSHOT: ("snapshots", "release_collection"),
    OperationKind.PROMOTE: ("preparing", "unmake_collections"),
    OperationKind.RESTORE: ("preparing", "unmake_collections"),
    OperationKind.REBIND: ("preparing", "unmake_collections"),
    OperationKind.PREPARE: ("preparing", "unmake_collections"),
}

# Somebody waits to hear whether the target answers; so does who asks for a plan.
_IMPATIENT = frozenset({OperationKind.LOOK, OperationKind.SEARCH})

# What nothing of an hour may stand in front of: a channel that must go back, and questions; then one that moves on.
_URGENT = frozenset({OperationKind.RESTORE, OperationKind.REBIND, OperationKind.LOOK, OperationKind.SEARCH})
_ONWARD = frozenset({OperationKind.PROMOTE, OperationKind.ADOPT})


@dataclass(frozen=True, slots=True)
class Ending:
    """How a worker leaves an operation; until `until` nobody takes it, where it is not over."""

    state: OperationState
    outcome: JsonObject | None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Worker:
    """Does operations until it is told to stop."""

    ports: Ports
    targets: Targets
    folder: Path
    stopping: threading.Event
    lease: Lease = field(default_factory=Lease)
    patience: Patience = field(default_factory=Patience)
    chores: tuple[Chore, ...] = ()
    on_rest: Callable[[], object] = lambda: None

    def run(self) -> None:
        """Take operations, three at once; what is at work when it must stop is left for the next worker at once."""
        self.folder.mkdir(mode=0o700, exist_ok=True)
        lanes = [
            threading.Thread(target=self._take_only, args=(kinds,), name=name)
            for name, kinds in (("urgent", _URGENT), ("onward", _ONWARD))
        ]
        for lane in lanes:
            lane.start()
        daily = Chore("collecting garbage daily", _GARBAGE_S, partial(collect_daily, self.ports))
        beat = Chore("giving a sign", _BEAT_S, self._beat)
        self._beat()
        with Background([beat, daily, *self.chores], self.stopping):
            self._take(EVERY_KIND)
        for lane in lanes:
            lane.join()
        self.targets.close()

    def _beat(self) -> None:
        self.ports.counts.put(FIXED.cell(WORKER_BEAT), int(self.ports.clock.now().timestamp()))

    def run_one(self, kinds: Collection[OperationKind] = EVERY_KIND) -> bool:
        """Do the oldest operation of these kinds that nobody does; False where there is none."""
        asked, now = self.ports.clock.monotonic(), self.ports.shared_now()
        with self.ports.store.read() as tx:
            if not tx.operations.is_waiting(now=now, kinds=kinds):  # most looks find nothing, and take no lock
                return False
        with self.ports.store.note(to=Told.WORKERS) as tx:
            claimed = tx.operations.claim(now=now, until=self.lease.until(now), kinds=kinds)
        if claimed is None:
            return False
        log.info("operation claimed", operation=claimed.id, kind=str(claimed.kind), epoch=claimed.epoch)
        hold = Hold(self.ports, claimed, self.lease, self.stopping, asked)
        try:
            with hold, _Task(self, claimed, hold) as task:
                ending = task.ending()
                hold.stop()
                self._end(claimed, hold, ending)
        except Ended as ended:
            log.info("operation left", operation=claimed.id, epoch=claimed.epoch, why=str(ended))
        return True

    def _take_only(self, kinds: Collection[OperationKind]) -> None:
        """Take operations of these kinds; where that ends by a fault, so does the worker, and is started anew."""
        try:
            self._take(kinds)
        finally:
            self.stopping.set()

    def _take(self, kinds: Collection[OperationKind]) -> None:
        """Take one operation of these kinds after another."""
        has_worked = False
        while not self.stopping.is_set():
            seen = self._look()
            try:
                is_done = self.run_one(kinds)
            except UnavailableError as error:
                log.warning("the catalog does not answer", error=error.message)
                is_done = False
            if is_done:
                has_worked = True
                continue
            if has_worked:
                self.on_rest()
            has_worked = False
            self._rest(seen)

    def _rest(self, seen: int | None) -> None:
        """Wait until something was committed, which may be what is to be done, or for a while."""
        until = self.ports.clock.monotonic() + _IDLE_S
        while self.ports.clock.monotonic() < until and not self.stopping.wait(_GLANCE_S):
            if self._look() != seen:
                return

    def _look(self) -> int | None:
        """Look at the store's activity; None where it does not tell, which ends a rest too, as does its coming back."""
        try:
            return self.ports.store.activity()
        except UnavailableError:
            return None

    def _end(self, claimed: Operation, hold: Hold, ending: Ending) -> None:
        now = self.ports.shared_now()
        with self.ports.store.note(to=Told.WORKERS) as tx:
            there = tx.operations.get(claimed.id)
            told = None if ending.outcome is None else readable(ending.outcome)
            # Who cancelled it while its last step ran waits for nobody's signature: the next worker ends it now.
            until = now if ending.until and there.cancel_requested else ending.until
            over = replace(
                there,
                state=ending.state,
                lease_until=until,
                outcome=told,
                channel=None if ending.state.is_over else there.channel,
            )
            # Its pointer came while this worker ended it for want of one: it has moved its channel, and goes on.
            has_moved = there.state is OperationState.COMMITTED and ending.state in _GIVEN_UP
            is_ours = not (there.state.is_over or has_moved) and tx.operations.update(over, epoch=claimed.epoch)
            if is_ours:
                hold.append(tx, {"step": str(ending.state)})
        if is_ours:
            self._count(claimed, ending)
        log.info("operation left" if ending.until else "operation over", operation=claimed.id, state=str(ending.state))

    def _count(self, claimed: Operation, ending: Ending) -> None:
        counts, kind = self.ports.counts, str(claimed.kind)
        if ending.state.is_over:
            counts.add(FIXED.cell(OPERATIONS_ENDED, kind, str(ending.state)))
        if ending.state is OperationState.PREPARED:
            waited = self.ports.shared_now() - claimed.created_at
            observe(counts, MOVE_SECONDS, kind, PREPARE, spent_s=waited.total_seconds())


@dataclass(frozen=True, slots=True)
class _Watched:
    """`Targets` in which nothing runs on once the operation is not to be gone on with."""

    targets: Targets
    hold: Hold
    counts: Counts

    def connect(self, target: Target, *, holder: Holder) -> Provider:
        try:
            provider = self.targets.connect(target, holder=holder)
        except RegaliaError:
            self.counts.add(FIXED.cell(VECTOR_ERRORS, target.provider))
            raise
        if isinstance(provider, Interruptible):
            self.hold.interrupts(provider.interrupt)
        return provider

    def close(self) -> None:
        self.targets.close()


class _Task:
    """One operation at work, in a folder of its own."""

    def __init__(self, worker: Worker, claimed: Operation, hold: Hold) -> None:
        self._worker = worker
        self._claimed = claimed
        self._hold = hold
        self._folder = worker.folder / f"{claimed.id}.{claimed.epoch}"

    def __enter__(self) -> "_Task":
        for left in self._worker.folder.glob(f"{self._claimed.id}.*"):  # of workers that had it before
            shutil.rmtree(left, ignore_errors=True)
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)

    def ending(self) -> Ending:
        """Do it; gives how it ended, with nothing left of what came to no good end.

        Raises:
            Ended: It is another worker's, or the next one's.
        """
        try:
            done = self._done()
        except Cancelled:
            return Ending(OperationState.CANCELLED, self._undone({}))
        except RegaliaError as error:
            return self._failed({"error": error.code, "message": error.message, "hint": error.hint})
        except Exception:  # a fault of ours ends this operation, told, and never the worker
            log.exception("operation failed", operation=self._claimed.id)
            return self._failed({"error": "internal", "message": "the worker failed", "hint": "its log says where"})
        if isinstance(done, Paused):
            return Ending(done.state, done.outcome, done.until)
        return Ending(OperationState.DONE, done)

    def _failed(self, told: JsonObject) -> Ending:
        """End what failed; what has moved its channel can't fail any more: it is tried again, for ever."""
        stands = self._hold.stands()
        if stands.state is not OperationState.COMMITTED:
            return Ending(OperationState.FAILED, self._undone(told))
        tries = self._claimed.epoch - 2  # the first worker prepared it, the second one was the first to settle it
        again = self._worker.ports.shared_now() + _AGAIN * 2 ** max(0, min(tries, _MOST_DOUBLINGS))
        self._hold.tell({"step": "waiting", "why": told["message"]})
        return Ending(OperationState.COMMITTED, stands.outcome, again)

    def _done(self) -> JsonObject | Paused:
        """Do it, again and again where an engine or a store does not answer."""
        patience, clock = self._worker.patience, self._worker.ports.clock
        pauses = patience.pauses()
        while True:
            began = clock.monotonic()
            try:
                return self._attempt()
            except StorageFullError:  # no room comes of waiting
                raise
            except UnavailableError as error:
                with suppress(UnavailableError):  # a catalog that does not answer says nothing, and is told nothing
                    self._hold.look()  # what was interrupted ends like this as well
                if clock.monotonic() - began > patience.total_s:  # an outage of its own, hours after the one before
                    pauses = patience.pauses()
                is_awaited = self._claimed.kind in _IMPATIENT or self._claimed.request.get("plan") is True
                pause_s = None if is_awaited else next(pauses, None)
                if pause_s is None:
                    raise
                self._worker.ports.counts.add(FIXED.cell(OPERATION_WAITS, str(self._claimed.kind)))
                log.warning("operation waits", operation=self._claimed.id, error=error.message, pause_s=pause_s)
                with suppress(UnavailableError):
                    self._hold.tell({"step": "waiting", "why": error.message})
            self._hold.rest(pause_s)

    def _attempt(self) -> JsonObject | Paused:
        claimed = self._claimed
        actor = Actor(
            claimed.created_by, "reg worker", (Grant(claimed.namespace, frozenset({Right.READ, Right.PUBLISH})),)
        )
        targets = _Watched(self._worker.targets, self._hold, self._worker.ports.counts)
        try:
            with _room_in(self._worker.folder):
                return _doing(claimed.kind)(self._worker.ports, actor, self._hold.stands(), self._bench(targets))
        finally:
            self._hold.forget_interrupts()

    def _undone(self, outcome: JsonObject) -> JsonObject | None:
        """Undo it, or add to its outcome what is left and how to remove it."""
        if self._claimed.kind in _UNDOINGS:
            try:
                with _room_in(self._worker.folder):
                    bench = self._bench(self._worker.targets)
                    _undoing(self._claimed.kind)(self._worker.ports, self._hold.stands(), bench)
            except RegaliaError as error:
                self._hold.stands()
                told = str(outcome.get("message", "it was cancelled"))
                return {**outcome, "message": f"{told}; {error.message}", "hint": error.hint}
        return outcome or None

    def _bench(self, targets: Targets) -> Bench:
        """Give an empty folder, and what is told about the operation."""
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(mode=0o700)
        holder = Holder(self._claimed.id, self._claimed.epoch)
        return Bench(
            targets, holder, self._folder, self._hold.tell, self._hold.fence, self._hold.keep, self._worker.lease
        )


@contextmanager
def _room_in(folder: Path) -> Iterator[None]:
    """Say in words that there is none left for the worker's own files.

    Raises:
        StorageFullError: There is none.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise StorageFullError("the worker's disk is full", hint=f"make room in {folder}, and ask again") from error


def _doing(kind: OperationKind) -> Doing:
    module, name = _DOINGS[kind]
    found: Doing = getattr(importlib.import_module(f"regalia_registry.services.{module}"), name)
    return found


def _undoing(kind: OperationKind) -> Undoing:
    module, name = _UNDOINGS[kind]
    found: Undoing = getattr(importlib.import_module(f"regalia_registry.services.{module}"), name)
    return found
