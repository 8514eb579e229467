"""A registry in memory whose garbage a worker collects, and ways for that worker to die."""

import json
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

from regalia.core.digest import Digest
from regalia.core.dsse import Envelope, Signature
from regalia.core.errors import UnavailableError
from regalia.core.kinds.code import CodeConfig, GitPin
from regalia.core.manifest import Artifact
from regalia.core.names import ArtifactName, Kind, Slot
from regalia.core.statements import STATEMENT_PAYLOAD, Place
from regalia.core.strict_json import JsonValue
from regalia.core.values import replace as changed
from regalia_registry.adapters.memory.blobs import MemoryBlobs
from regalia_registry.adapters.memory.keys import MemoryKeys, MemoryRoot
from regalia_registry.adapters.memory.store import MemoryStore
from regalia_registry.adapters.memory.system import MemoryClock, MemoryIds
from regalia_registry.adapters.memory.vectors import Held, MemoryVectors
from regalia_registry.domain.access import SYSTEM, Actor, Grant, Right
from regalia_registry.domain.operations import Holder, Operation, OperationKind, OperationState, Target
from regalia_registry.domain.placing import Collection, CollectionState
from regalia_registry.domain.questions import RetireWish
from regalia_registry.domain.records import ArtifactVersion, StoredPointer
from regalia_registry.domain.retention import GarbageWish
from regalia_registry.ports.vectors import CollectionEntry
from regalia_registry.services import garbage, operations
from regalia_registry.services.context import Caller, Ports
from regalia_registry.worker.loop import Worker
from tests.support.records import APPLICATION, NOW, collection, move, pointer
from tests.support.segments import SCHEMA

DAY, WEEK = timedelta(days=1), timedelta(days=7)
ADMIN = Caller(SYSTEM, "request-1")
PUBLISHER = Caller(Actor("jane", "jane", (Grant("acme", frozenset({Right.READ, Right.PUBLISH})),)), "request-1")
CONTENT = Artifact.build(CodeConfig("kb", "1.0.0", GitPin("https://example.com/kb", "a" * 40)), {})
KB = Slot(Kind.SNAPSHOT, "kb")
READY, RETIRING, DROPPED = CollectionState.READY, CollectionState.RETIRING, CollectionState.DROPPED


class Killed(BaseException):
    """SIGKILL, as far as one process can say it."""


@dataclass
class Engines:
    """A `Targets` of engines in memory by target; one that is `silent` does not answer."""

    vectors: dict[str, MemoryVectors] = field(default_factory=lambda: {"local": MemoryVectors()})
    silent: set[str] = field(default_factory=set)
    connected: list[str] = field(default_factory=list)

    def connect(self, target: Target, *, holder: Holder) -> MemoryVectors:  # noqa: ARG002 # the port's names
        self.connected.append(target.name)
        if target.name in self.silent:
            raise UnavailableError("nothing answers")
        return self.vectors[target.name]

    def close(self) -> None:
        """Keep everything."""


class MortalBlobs(MemoryBlobs):
    """The twin, in which the worker dies at a file, once: before or after it is deleted."""

    def __init__(self) -> None:
        super().__init__()
        self.dies_at: tuple[Digest, bool] | None = None

    def delete(self, *, digest: Digest) -> bool:
        dies, is_after = self.dies_at or (None, False)
        if dies != digest:
            return super().delete(digest=digest)
        self.dies_at = None
        if is_after:
            super().delete(digest=digest)
        raise Killed


class Dying(MemoryVectors):
    """The twin, in which the worker dies at a call, once: before or after it is done."""

    def __init__(self, at: str, *, is_after: bool, held: dict[str, Held]) -> None:
        super().__init__(held)
        self._at, self._is_after = at, is_after

    def list(self) -> Sequence[CollectionEntry]:
        self._die("list", is_after=False)
        listed = super().list()
        self._die("list", is_after=True)
        return listed

    def drop(self, name: str, *, mark: str) -> bool:
        self._die("drop", is_after=False)
        dropped = super().drop(name, mark=mark)
        self._die("drop", is_after=True)
        return dropped

    def _die(self, at: str, *, is_after: bool) -> None:
        if (at, is_after) == (self._at, self._is_after):
            self._at = ""
            raise Killed


class Registry:
    """A store, an engine and a worker; a snapshot is stored that collections may be of."""

    def __init__(self, folder: Path) -> None:
        self.engines, self.clock, self.blobs = Engines(), MemoryClock(), MortalBlobs()
        self.ports = Ports(MemoryStore(), self.blobs, self.clock, MemoryIds(), MemoryKeys(), MemoryRoot())
        self.worker = Worker(self.ports, self.engines, folder / "work", threading.Event())
        self.worker.folder.mkdir()
        self.store_version(CONTENT)

    @property
    def held(self) -> dict[str, Held]:
        return self.engines.vectors["local"].held

    def store_blob(self, content: bytes) -> Digest:
        stored = Digest.of(content)
        self.ports.blobs.put(digest=stored, source=BytesIO(content), size_bytes=len(content))
        return stored

    def store_version(self, artifact: Artifact) -> None:
        for content in artifact.blobs.values():
            self.store_blob(content)
        name = ArtifactName("acme", artifact.manifest.kind, artifact.config.name)
        manifest = artifact.manifest
        version = ArtifactVersion(
            name, artifact.config.version, manifest.digest, manifest.digest, manifest.body, self.clock.now()
        )
        with self.ports.store.note() as tx:
            tx.artifacts.add(version)

    def made(self, number: int, **given: Any) -> Collection:
        """Make a sealed collection that is ready and there, a year old unless its times say otherwise."""
        long_ago = self.clock.now() - timedelta(days=365)
        values: dict[str, Any] = {"snapshot": CONTENT.manifest.digest, "operation": "op-made"}
        values |= {"state": READY, "sealed": True, "made_at": long_ago, "verified_at": long_ago, **given}
        one = replace(collection(number), **values)
        self.held[one.name] = Held(SCHEMA, one.mark)
        with self.ports.store.note() as tx:
            tx.collections.add(one)
        return one

    def serve(
        self, *served: Collection, named: str, after: StoredPointer | None = None, skipping: int = 0
    ) -> StoredPointer:
        """Move prod to a bundle with these collections; sequences grow, and may leave some out."""
        sequence = 1 if after is None else after.pointer.sequence + 1 + skipping
        places = tuple(one.place(KB, one.snapshot) for one in served)
        moved = _placed(pointer(sequence, named=named, previous=after), *places)
        return move(self.ports.store, moved, expected=after)

    def collect(self, *, plan: bool = False) -> dict[str, Any]:
        asked = garbage.collect(self.ports, ADMIN, wish=GarbageWish(plan))
        return self.finish(asked.id)

    def finish(self, asked: str) -> dict[str, Any]:
        """Let the worker do it, and what it left for a lease later."""
        while self.worker.run_one():
            self.clock.turn(self.worker.lease.takeover)
        with self.ports.store.read() as tx:
            found = tx.operations.get(asked)
        assert found.state is OperationState.DONE, found.outcome
        return dict(found.outcome or {})

    def finish_after_a_lease(self, asked: str) -> dict[str, Any]:
        self.clock.turn(self.worker.lease.takeover)
        return self.finish(asked)

    def await_signature(self, *offered: Collection) -> None:
        """Prepare a move of prod to these collections; it waits for its pointer."""
        places: list[JsonValue] = [{**one.place(KB, one.snapshot).written()} for one in offered]
        waits = open_move("op-waits", state=OperationState.PREPARED, channel=f"{APPLICATION}:prod")
        with self.ports.store.note() as tx:
            tx.operations.add(replace(waits, outcome={"collections": places}, lease_until=self.clock.now() + WEEK))

    def retire(self, name: str) -> dict[str, Any]:
        asked = operations.start(self.ports, PUBLISHER, namespace="acme", wish=RetireWish("local", name))
        while self.worker.run_one():
            self.clock.turn(self.worker.lease.takeover)
        with self.ports.store.read() as tx:
            found = tx.operations.get(asked.id)
        return {"state": str(found.state), **(found.outcome or {})}

    def state(self, one: Collection) -> CollectionState:
        with self.ports.store.read() as tx:
            return tx.collections.get(one.id).state

    def audited(self) -> list[str]:
        with self.ports.store.read() as tx:
            return [json.loads(entry.body)["event"] for entry in tx.audit.list(after=None, limit=100)]


def open_move(
    name: str,
    *,
    kind: OperationKind = OperationKind.RESTORE,
    state: OperationState,
    channel: str | None = None,
) -> Operation:
    return Operation(name, kind, "acme", "subject", {}, NOW, "jane", state, channel=channel)


def _placed(stored: StoredPointer, *places: Place) -> StoredPointer:
    statement = changed(stored.pointer, collections=places)
    envelope = Envelope(STATEMENT_PAYLOAD, statement.payload(), (Signature("aa", b"first"),))
    return replace(stored, pointer=statement, identity=envelope.identity, envelope=bytes(envelope))


def whys(entries: list[dict[str, Any]]) -> dict[str, str]:
    return {one.get("collection", one["target"]): one["why"] for one in entries}
