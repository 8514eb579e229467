"""A registry in memory whose channel is moved with its vectors: real signatures, real services, an engine that fences.

A test is let in before whatever a worker does to the engine: there it kills the worker, or lets others work meanwhile.
"""

import struct
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from regalia.core import times
from regalia.core.bundle import BundleIndex, Member
from regalia.core.digest import Digest
from regalia.core.dsse import Envelope
from regalia.core.errors import ConflictError
from regalia.core.kinds.snapshot import VectorSpace
from regalia.core.manifest import Artifact, Manifest
from regalia.core.names import Kind, Slot
from regalia.core.statements import STATEMENT_PAYLOAD, ChannelPointer, Move, Place, ReleaseStatement
from regalia.core.strict_json import JsonObject
from regalia.testing import MemoryRegistry
from regalia.wire.answers import Moved, OperationEntry
from regalia_registry.adapters.board import Board
from regalia_registry.adapters.memory.blobs import MemoryBlobs
from regalia_registry.adapters.memory.keys import MemoryKeys, MemoryRoot
from regalia_registry.adapters.memory.store import MemoryStore
from regalia_registry.adapters.memory.system import MemoryClock, MemoryIds
from regalia_registry.adapters.memory.vectors import Held, MemoryAliases, MemoryReading, MemoryVectors
from regalia_registry.domain.access import SYSTEM, Actor, Grant, Right
from regalia_registry.domain.adoption import AdoptWish
from regalia_registry.domain.leases import Lease, Patience
from regalia_registry.domain.operations import Holder, Operation, OperationState, SnapshotWish, Target
from regalia_registry.domain.placing import ChannelPlacings, Mode, Placing
from regalia_registry.domain.placing import Collection as Made
from regalia_registry.domain.plans import MoveWish
from regalia_registry.domain.questions import RetireWish
from regalia_registry.domain.records import StoredPointer
from regalia_registry.domain.retention import GarbageWish
from regalia_registry.domain.snapshots.origin import Origin
from regalia_registry.domain.snapshots.rows import Row, decode_properties, encode_key, encode_properties
from regalia_registry.domain.snapshots.schema import Family, KeyKind, Property, Schema
from regalia_registry.ports.serving import Standing
from regalia_registry.ports.vectors import Description, Ledger
from regalia_registry.services import garbage, moves, operations
from regalia_registry.services.bundles import put_bundle
from regalia_registry.services.context import Caller, Ports
from regalia_registry.services.moving import start_adoption, start_move
from regalia_registry.services.reconciling import Reconciler
from regalia_registry.services.steps.binding import prepared_of
from regalia_registry.services.trust import take_in_first_root
from regalia_registry.worker.loop import Worker

CHANNEL, ALIAS, TARGET = "prod", "Kb", "engine"
VERSIONS = ("1.0.0", "1.1.0")
ROWS = 12
EVERYBODY = Caller(Actor("jane", "jane", (Grant("acme", frozenset(Right)),)), "request-1")

_SLOT = Slot(Kind.SNAPSHOT, "kb")
_SCHEMA = Schema(
    Family.FILES, Property("id", "int"), KeyKind.INTEGER, (VectorSpace("v", 1, "l2"),), (Property("text", "text"),), {}
)
_PATIENCE = Patience(first_s=0.001, longest_s=0.001, total_s=0.003)


class Killed(BaseException):
    """SIGKILL, as far as one process can say it."""


class FencingEngine:
    """A `Targets` whose connections do nothing once a later worker of their operation has connected.

    `refusals` say, by collection, why none of it can be a snapshot; `connected` are the connections that are open.
    """

    def __init__(self) -> None:
        self.held: dict[str, Held] = {}
        self.led: dict[str, str] = {}
        self.refusals: dict[str, tuple[str, ...]] = {}
        self.connected: list[Connection] = []
        self.at: Callable[[str], None] = lambda _what: None
        self._epochs: dict[str, int] = {}

    def connect(self, target: Target, *, holder: Holder) -> "Connection":  # noqa: ARG002 # the port's names
        self.at("connect")
        self._epochs[holder.operation] = max(holder.epoch, self._epochs.get(holder.operation, 0))
        self.connected.append(Connection(self, holder))
        return self.connected[-1]

    def close(self) -> None:
        """Keep everything."""

    def go(self, what: str, holder: Holder) -> None:
        """Let the test in, and refuse who is late after that."""
        self.at(what)
        if holder.epoch < self._epochs[holder.operation]:
            raise ConflictError("another worker has taken the operation over", hint="it goes on there")


class Connection(MemoryVectors):
    """One worker's."""

    def __init__(self, engine: FencingEngine, holder: Holder) -> None:
        super().__init__(engine.held, engine.led)
        self._engine, self._holder = engine, holder

    def close(self) -> None:
        self._engine.connected.remove(self)

    def describe(self, name: str) -> Description:
        return replace(super().describe(name), refusals=self._engine.refusals.get(name, ()))

    @property
    def aliases(self) -> MemoryAliases:
        self._engine.go("aliases", self._holder)
        return super().aliases

    def create(self, name: str, schema: Schema, *, mark: str, origin: Origin | None = None) -> None:
        self._engine.go("create", self._holder)
        super().create(name, schema, mark=mark, origin=origin)

    def drop(self, name: str, *, mark: str) -> bool:
        self._engine.go("drop", self._holder)
        return super().drop(name, mark=mark)

    def seal(self, name: str, *, mark: str) -> None:
        self._engine.go("seal", self._holder)
        super().seal(name, mark=mark)

    def unseal(self, name: str, *, mark: str) -> None:
        self._engine.go("unseal", self._holder)
        super().unseal(name, mark=mark)

    def standing(self, name: str, *, mark: str) -> Standing:
        self._engine.go("standing", self._holder)
        return super().standing(name, mark=mark)

    def adopt(self, name: str, *, into: str, mark: str) -> None:
        self._engine.go("adopt", self._holder)
        super().adopt(name, into=into, mark=mark)

    def load(self, name: str, schema: Schema, groups: Iterable[Sequence[Row]], *, ledger: Ledger) -> Iterator[int]:
        self._engine.go("load", self._holder)
        yield from super().load(name, schema, groups, ledger=ledger)

    def build_index(self, name: str, schema: Schema) -> None:
        self._engine.go("index", self._holder)
        super().build_index(name, schema)

    @contextmanager
    def open(self, name: str, *, freeze: Collection[str] | None = None) -> Iterator[MemoryReading]:
        self._engine.go("open", self._holder)
        with super().open(name, freeze=freeze) as reading:
            yield reading

    def unreachable(self, name: str, keys: Collection[bytes]) -> frozenset[bytes]:
        self._engine.go("unreachable", self._holder)
        return super().unreachable(name, keys)


class World:
    """Two released bundles of one knowledge base each, a channel that stands on the first, and two workers."""

    def __init__(self, folder: Path, *, mode: Mode, store: MemoryStore | None = None) -> None:
        self.engine, self.clock, keys = FencingEngine(), MemoryClock(), MemoryKeys()
        self.board = Board.private()
        self.ports = Ports(
            store or MemoryStore(),
            MemoryBlobs(),
            self.clock,
            MemoryIds(),
            keys,
            MemoryRoot(),
            counts=self.board.tally(0),
        )
        self.signing = MemoryRegistry(folder, clock=self.clock.now)
        self.application = self.signing.application
        keys.freshness = self.signing.keys["freshness"]
        self.workers = [self._worker(folder / f"worker-{number}") for number in range(2)]
        self.reconciler = Reconciler(self.ports, self.engine, Holder("reconciler", 1))
        self.written: dict[str, int] = {}
        take_in_first_root(self.ports, self.signing.roots[0])
        with self.ports.store.note() as tx:
            tx.targets.add(Target(TARGET, "memory", "memory:", namespaces=("acme",)))
            placing = Placing(_SLOT, TARGET, "kb", mode, ALIAS)
            tx.placings.put(ChannelPlacings(self.application, CHANNEL, (placing,)))
        self.bundles = {version: self._release(version) for version in VERSIONS}
        self.settle(self.asked(VERSIONS[0]))

    def asked(self, version: str, *, supersede: bool = False, channel: str = CHANNEL, **given: bool) -> OperationEntry:
        """Ask for a move: a promotion to the second bundle, a restore of the first one where it was there."""
        with self.ports.store.read() as tx:
            named = tx.channels.find_newest(self.application, channel, bundle=self.bundles[version])
        move = Move.PROMOTE if version == VERSIONS[1] or named is None else Move.RESTORE
        wish = MoveWish(self.application, channel, self.bundles[version], move, **given)
        return start_move(self.ports, EVERYBODY, wish=wish, supersede=supersede)

    def rebinding(self) -> OperationEntry:
        """Ask for what was written to the channel's collections to be undone."""
        current = self.pointer()
        assert current is not None
        wish = MoveWish(self.application, CHANNEL, current.pointer.bundle, Move.REBIND)
        return start_move(self.ports, EVERYBODY, wish=wish)

    def adopting(self, table: str, *, channel: str = CHANNEL, is_plan: bool = False) -> OperationEntry:
        """Ask for a table in use to be what a channel serves."""
        current = self.pointer(channel)
        assert current is not None
        move = MoveWish(self.application, channel, current.pointer.bundle, Move.REBIND, is_plan)
        return start_adoption(self.ports, EVERYBODY, wish=AdoptWish(move, _SLOT, TARGET, table))

    def use(self, table: str) -> None:
        """Make a table as an application does that knows nothing of the registry."""
        rows = [_row(number, "in use") for number in range(ROWS)]
        self.engine.held[table] = Held(_SCHEMA, rows={row.key: row for row in rows})

    def another_channel(self, channel: str, *, alias: str | None = None, mode: Mode = Mode.FROZEN) -> None:
        """Make another channel that stands on the first bundle."""
        self.place_another(channel, alias=alias, mode=mode)
        self.settle(self.asked(VERSIONS[0], channel=channel))

    def place_another(self, channel: str, *, alias: str | None = None, mode: Mode = Mode.FROZEN) -> None:
        """Say where another channel places its knowledge base."""
        with self.ports.store.note() as tx:
            placing = Placing(_SLOT, TARGET, "kb", mode, alias)
            tx.placings.put(ChannelPlacings(self.application, channel, (placing,)))

    def settle(self, asked: OperationEntry) -> None:
        """Carry a move out with nothing in its way."""
        assert self.workers[0].run_one()
        self.sign(asked.id)
        assert self.workers[0].run_one()
        assert self.operation(asked.id).state is OperationState.DONE

    def sign(self, operation_id: str) -> Moved:
        """Sign what an operation has prepared, and send it."""
        prepared = self.operation(operation_id)
        return self.send(self.signed(prepared), channel=MoveWish.parse(prepared.request).channel)

    def operation(self, operation_id: str) -> Operation:
        with self.ports.store.read() as tx:
            return tx.operations.get(operation_id)

    def operations(self) -> Sequence[Operation]:
        """List all moves, newest first."""
        with self.ports.store.read() as tx:
            found = tx.operations.list("acme", after=None, limit=1000)
        return [one for one in found if one.subject == f"{self.application}:{CHANNEL}"]

    def signed(self, prepared: Operation) -> moves.Submission:
        """Sign what an operation has prepared."""
        wish, places = MoveWish.parse(prepared.request), prepared_of(prepared).places
        move = Move.PROMOTE if wish.move is None else wish.move
        return replace(self.pointing(wish.bundle, move, places, channel=wish.channel), operation=prepared.id)

    def pointing(
        self, bundle: Digest, move: Move, places: tuple[Place, ...] = (), *, channel: str = CHANNEL
    ) -> moves.Submission:
        """Sign a pointer that no operation prepared; it may name no collection."""
        current, issued_at = self.pointer(channel), times.whole_second(self.clock.now())
        first = int(issued_at.timestamp())
        pointer = ChannelPointer(
            trust_domain=self.signing.root.trust_domain,
            application=self.application,
            channel=channel,
            epoch=1,
            sequence=first if current is None else max(current.pointer.sequence + 1, first),
            bundle=bundle,
            move=move,
            reason="INC-42",
            issued_at=issued_at,
            expires=issued_at + timedelta(days=90),
            previous=None if current is None else current.identity,
            collections=places,
        )
        return moves.Submission(self.signing.sign_pointer(pointer), unplaced=not places)

    def send(self, submission: moves.Submission, *, channel: str = CHANNEL) -> Moved:
        return moves.move_channel(
            self.ports, EVERYBODY, application=self.application, channel=channel, submission=submission
        )

    def cancel(self, operation_id: str) -> None:
        operations.cancel_operation(self.ports, EVERYBODY, namespace="acme", operation_id=operation_id)

    def collect(self) -> JsonObject:
        """Collect garbage to the end; gives the outcome."""
        return self._finished(garbage.collect(self.ports, Caller(SYSTEM, "request-2"), wish=GarbageWish()).id)

    def retire(self, collection: str) -> JsonObject:
        """Ask for a collection to be retired; gives the outcome, of a failure too."""
        return self._finished(
            operations.start(self.ports, EVERYBODY, namespace="acme", wish=RetireWish(TARGET, collection)).id
        )

    def pointer(self, channel: str = CHANNEL) -> StoredPointer | None:
        with self.ports.store.read() as tx:
            return tx.channels.find(self.application, channel)

    def placing(self) -> Placing:
        """Give where the channel places its knowledge base."""
        with self.ports.store.read() as tx:
            [placing] = tx.placings.find(self.application, CHANNEL).placings
        return placing

    def place(self, channel: str = CHANNEL) -> Place:
        """Give a channel's collection."""
        current = self.pointer(channel)
        assert current is not None
        [place] = current.pointer.collections
        return place

    def version(self) -> str:
        """Give the version that the channel names."""
        current = self.pointer()
        assert current is not None
        return current.version

    def texts(self, collection: str) -> list[str]:
        """Read a collection as an agent does."""
        rows = self.engine.held[collection].rows.values()
        return [str(decode_properties(row.key, row.properties)["text"]) for row in rows]

    def write(self) -> bool:
        """Write into the served collection as its application does; False where it is sealed."""
        name, version = self.place().collection, self.version()
        if self.engine.held[name].sealed:
            return False
        self.written[name] = self.written.get(name, 0) + 1
        self._put(name, 1000 + self.written[name], version)
        return True

    def break_open(self, name: str) -> None:
        """Open a collection and write into it, as a superuser can."""
        held = self.engine.held[name]
        held.sealed, held.unsealings = False, held.unsealings + 1
        self._put(name, 1, "by hand")

    def collections(self) -> dict[str, Made]:
        """Name what the catalog has, but what is dropped."""
        with self.ports.store.read() as tx:
            return {one.name: one for one in tx.collections.list(after=None, limit=1000)}

    def _finished(self, operation_id: str) -> JsonObject:
        """Let workers go on until nothing is left to do, a lease after another."""
        while self.workers[0].run_one():
            self.clock.turn(self.workers[0].lease.takeover)
        return self.operation(operation_id).outcome or {}

    def _put(self, name: str, number: int, version: str) -> None:
        row = _row(number, version)
        self.engine.held[name].rows[row.key] = row

    def _worker(self, folder: Path) -> Worker:
        folder.mkdir(parents=True)
        return Worker(self.ports, self.engine, folder, threading.Event(), Lease(), _PATIENCE)

    def _release(self, version: str) -> Digest:
        rows = [_row(number, version) for number in range(ROWS)]
        self.engine.held["docs"] = Held(_SCHEMA, rows={row.key: row for row in rows})
        wish = SnapshotWish(TARGET, "docs", "kb")
        asked = operations.start(self.ports, EVERYBODY, namespace="acme", wish=wish)
        assert self.workers[0].run_one()
        outcome = self.operation(asked.id).outcome or {}
        with self.ports.store.read() as tx:
            stored = tx.artifacts.find_by_digest("acme", digest=Digest.parse(str(outcome["digest"])))
        assert stored is not None
        manifest = Manifest.parse(stored.manifest)
        with self.ports.blobs.open(digest=manifest.config.digest) as config:
            artifact = Artifact.of(manifest, {manifest.config.digest: config.read()})
        index = BundleIndex.build(self.application, version, [Member.of(_SLOT, artifact)])
        domain, now = self.signing.root.trust_domain, times.whole_second(self.clock.now())
        statement = ReleaseStatement(domain, self.application, version, index.digest, now)
        release = bytes(Envelope.sign(STATEMENT_PAYLOAD, statement.payload(), [self.signing.keys["release"]]))
        put_bundle(
            self.ports, EVERYBODY, application=self.application, digest=index.digest, index=index.body, release=release
        )
        return index.digest


def _row(number: int, version: str) -> Row:
    vector = struct.pack("<f", number)
    return Row(encode_key(number), (("v", vector),), encode_properties({"text": f"{version} passage {number}"}))
