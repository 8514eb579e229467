"""Claiming, leasing, doing: an operation belongs to whoever holds its lease, and to nobody else."""

import importlib
import shutil
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import structlog

from regalia.core.errors import RegaliaError
from regalia.core.strict_json import JsonObject
from regalia_registry.domain.access import Actor, Grant, Right
from regalia_registry.domain.operations import GRACE, LEASE, Holder, Operation, OperationKind, OperationState
from regalia_registry.ports.store import Transaction
from regalia_registry.ports.vectors import Targets
from regalia_registry.services.context import Bench, Ports

_RENEW_S = 10.0
_NEEDED = timedelta(seconds=35)  # what a step may take before the lease is looked at again
_TELL_S = 0.5
_IDLE_S = 0.5

log = structlog.get_logger("regalia.worker")

Doing = Callable[[Ports, Actor, Operation, Bench], JsonObject]

# Kind → (module in services/, its function), loaded when there is something to do: an idle worker stays small.
_DOINGS: Mapping[OperationKind, tuple[str, str]] = {
    OperationKind.SNAPSHOT: ("snapshots", "take_snapshot"),
    OperationKind.LOAD: ("loading", "load_snapshot"),
    OperationKind.VERIFY: ("loading", "verify_snapshot"),
    OperationKind.LOOK: ("looking", "look"),
    OperationKind.EXPORT: ("exporting", "export_snapshot"),
    OperationKind.IMPORT: ("snapshots", "import_snapshot"),
}


class _Ended(BaseException):
    """The operation is not this worker's any more; nothing of ours catches it on its way out."""


@dataclass(frozen=True, slots=True)
class Worker:
    """Does operations until it is told to stop."""

    ports: Ports
    targets: Targets
    folder: Path
    stopping: threading.Event

    def run(self) -> None:
        """Take one operation after another; what is at work when it must stop is left for the next worker at once."""
        self.folder.mkdir(mode=0o700, exist_ok=True)
        while not self.stopping.is_set():
            if not self.run_one():
                self.stopping.wait(_IDLE_S)
        self.targets.close()

    def run_one(self) -> bool:
        """Do the oldest operation that nobody does; False where there is none."""
        now = self.ports.clock.now()
        with self.ports.store.read() as tx:
            if not tx.operations.is_waiting(now=now):  # most looks find nothing, and take no lock
                return False
        with self.ports.store.note() as tx:
            claimed = tx.operations.claim(now=now, until=now + LEASE)
        if claimed is None:
            return False
        log.info("operation claimed", operation=claimed.id, kind=str(claimed.kind), epoch=claimed.epoch)
        self._do(claimed)
        return True

    def _do(self, claimed: Operation) -> None:
        folder = self.folder / claimed.id
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700)
        hold = _Hold(self.ports, claimed, self.stopping)
        holder = Holder(claimed.id, claimed.epoch)
        bench = Bench(self.targets, holder, folder, hold.tell, hold.fence, hold.keep)
        actor = Actor(
            claimed.created_by, "reg worker", (Grant(claimed.namespace, frozenset({Right.READ, Right.PUBLISH})),)
        )
        try:
            with hold:
                outcome = _doing(claimed.kind)(self.ports, actor, claimed, bench)
        except _Ended:
            log.info("operation left", operation=claimed.id)
        except RegaliaError as error:
            refused: JsonObject = {"error": error.code, "message": error.message, "hint": error.hint}
            self._end(claimed, OperationState.FAILED, refused)
        except Exception:  # a fault of ours ends this operation, told, and never the worker
            log.exception("operation failed", operation=claimed.id)
            told: JsonObject = {"error": "internal", "message": "the worker failed", "hint": "its log says where"}
            self._end(claimed, OperationState.FAILED, told)
        else:
            self._end(claimed, OperationState.DONE, outcome)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _end(self, claimed: Operation, state: OperationState, outcome: JsonObject) -> None:
        with self.ports.store.note() as tx:
            there = tx.operations.get(claimed.id)
            over = replace(there, state=state, lease_until=None, outcome=outcome)
            is_ours = tx.operations.update(over, epoch=claimed.epoch)
            if is_ours:
                tx.operations.append(claimed.id, time=self.ports.clock.now(), body={"step": str(state)})
        log.info("operation over", operation=claimed.id, state=str(state), ours=is_ours)


def _doing(kind: OperationKind) -> Doing:
    module, name = _DOINGS[kind]
    found: Doing = getattr(importlib.import_module(f"regalia_registry.services.{module}"), name)
    return found


class _Hold:
    """A lease that is renewed in the background for as long as the block runs."""

    def __init__(self, ports: Ports, claimed: Operation, stopping: threading.Event) -> None:
        self._ports = ports
        self._claimed = claimed
        self._stopping = stopping
        self._until = time.monotonic() + LEASE.total_seconds()
        self._told = 0.0
        self._step: object = None
        self._over = threading.Event()
        self._renewing = threading.Thread(target=self._renew, daemon=True)

    def __enter__(self) -> None:
        self._renewing.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._renewing.join()

    def tell(self, body: JsonObject) -> None:
        """Say how far the operation is, twice a second at most, and end it where it is no longer ours."""
        now = time.monotonic()
        if self._until - now < _NEEDED.total_seconds():
            raise _Ended
        if self._stopping.is_set():
            self._release()
            raise _Ended
        is_next = body.get("step") != self._step  # a new step always looks whether the operation is still ours
        if now - self._told < _TELL_S and not is_next:
            return
        self._told, self._step = now, body.get("step")
        with self._ports.store.note() as tx:
            there = tx.operations.get(self._claimed.id)
            if there.epoch != self._claimed.epoch or there.state.is_over:
                raise _Ended
            if there.cancel_requested:
                over = replace(there, state=OperationState.CANCELLED, lease_until=None)
                tx.operations.update(over, epoch=there.epoch)
                body = {"step": str(OperationState.CANCELLED)}
            tx.operations.append(self._claimed.id, time=self._ports.clock.now(), body=body)
        if there.cancel_requested:
            raise _Ended

    def keep(self, journal: JsonObject) -> None:
        """Replace the operation's journal, and end it where it is no longer ours."""
        with self._ports.store.note() as tx:
            self.fence(tx)
            there = tx.operations.get(self._claimed.id)
            tx.operations.update(replace(there, journal=journal), epoch=there.epoch)

    def fence(self, tx: Transaction) -> None:
        """Leave a transaction that would write for an operation that another worker has: nothing of it is committed."""
        there = tx.operations.get(self._claimed.id)
        if there.epoch != self._claimed.epoch or there.state.is_over:
            raise _Ended

    def _release(self) -> None:
        """End the lease and its grace: nothing of this worker is on its way any more."""
        with self._ports.store.note() as tx:
            there = tx.operations.get(self._claimed.id)
            free = replace(there, lease_until=self._ports.clock.now() - GRACE)
            tx.operations.update(free, epoch=self._claimed.epoch)

    def _renew(self) -> None:
        while not self._over.wait(_RENEW_S):
            asked = time.monotonic()
            try:
                with self._ports.store.note() as tx:
                    there = tx.operations.get(self._claimed.id)
                    until = self._ports.clock.now() + LEASE
                    is_ours = there.epoch == self._claimed.epoch and tx.operations.update(
                        replace(there, lease_until=until), epoch=there.epoch
                    )
            except RegaliaError as error:
                log.warning("lease not renewed", operation=self._claimed.id, error=error.message)
                continue
            if not is_ours:
                self._until = 0.0
                return
            self._until = asked + LEASE.total_seconds()
