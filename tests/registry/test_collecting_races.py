"""Garbage, collected beside those who use it, with real threads over the real catalog: one of two loses, cleanly."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from io import BytesIO
from itertools import count
from pathlib import Path

import pytest

from regalia.core import times
from regalia.core.errors import ConflictError, NotFoundError, UnavailableError
from regalia.core.kinds.code import CodeConfig, GitPin
from regalia.core.manifest import Artifact
from regalia.core.names import Kind, Slot
from regalia.core.statements import Move
from regalia.core.strict_json import JsonObject, JsonValue
from regalia_registry.adapters.keys import FolderKeys, FolderRoot
from regalia_registry.adapters.sql.migrate import upgrade
from regalia_registry.adapters.sql.store import SqlStore
from regalia_registry.adapters.system import SystemClock, SystemIds
from regalia_registry.adapters.vectors.targets import InstalledTargets
from regalia_registry.domain.access import SYSTEM
from regalia_registry.domain.operations import Holder, Operation, OperationKind, OperationState
from regalia_registry.domain.placing import Collection, CollectionState
from regalia_registry.domain.plans import MoveWish
from regalia_registry.domain.retention import Fate
from regalia_registry.services import push
from regalia_registry.services.context import Bench, Caller, Ports
from regalia_registry.services.steps.binding import bind, prepared_of
from regalia_registry.services.steps.dropping import retire
from regalia_registry.services.steps.sweeping import Sweep
from regalia_registry.services.steps.uses import Seen
from tests.support.blobs import STORES
from tests.support.records import APPLICATION, NOW, collection, digest

CALLER = Caller(SYSTEM, "request-1")
KB = Slot(Kind.SNAPSHOT, "kb")
PUSHES, MOVES = 40, 40


@pytest.fixture(params=["disk", "s3"])
def ports(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ports]:
    blobs = STORES[request.param](tmp_path, request)
    url = f"sqlite:///{tmp_path / 'registry.db'}"
    upgrade(url)
    with closing(SqlStore.open(url)) as store:
        keys, root = FolderKeys(tmp_path / "keys"), FolderRoot(tmp_path / "root.json")
        yield Ports(store, blobs, SystemClock(), SystemIds(), keys, root)


@pytest.fixture
def bench(ports: Ports, tmp_path: Path) -> Bench:
    holder = Holder("op-gc", 1)
    with ports.store.note() as tx:
        running = OperationState.RUNNING
        tx.operations.add(Operation("op-gc", OperationKind.GC, "*", "registry/gc", {}, NOW, "system", running, 1))
    return Bench(
        InstalledTargets(tmp_path), holder, tmp_path, lambda _body: None, lambda _tx: None, lambda _journal: None
    )


def release(number: int) -> Artifact:
    return Artifact.build(
        CodeConfig("agent", f"1.0.{number}", GitPin("https://example.com/agent", f"{number:040x}")), {}
    )


def send(ports: Ports, artifact: Artifact) -> int:
    """Push as the client does: ask, send, link; from the beginning where it is told to. Gives how often."""
    deadline = time.monotonic() + 120
    for attempt in count(1):
        try:
            asked = push.missing_blobs(ports, CALLER, namespace="acme", digests=list(artifact.blobs))
            for digest, content in artifact.blobs.items():
                if str(digest) in asked.missing:
                    source = BytesIO(content)
                    push.put_blob(
                        ports, CALLER, namespace="acme", digest=digest, source=source, size_bytes=len(content)
                    )
            body = artifact.manifest.body
            push.push_manifest(ports, CALLER, namespace="acme", digest=artifact.digest, body=body)
        except (UnavailableError, NotFoundError):
            assert time.monotonic() < deadline, "never came through"
            time.sleep(0.005)
            continue
        return attempt
    raise AssertionError


def test_whatever_is_pushed_beside_a_sweep_is_whole(ports: Ports, bench: Bench) -> None:
    releases = [release(number) for number in range(PUSHES)]
    for one in releases:
        for name, content in one.blobs.items():  # a push of long ago that never came to its manifest
            ports.blobs.put(digest=name, source=BytesIO(content), size_bytes=len(content))
    over = threading.Event()

    def sweep() -> int:
        found = 0
        while not over.is_set():
            found += Sweep(ports, CALLER, bench).run(is_plan=False).blobs
        return found

    def send_all(some: list[Artifact]) -> int:
        return sum(send(ports, one) for one in some)

    with ThreadPoolExecutor(3) as pool:
        sweeping = pool.submit(sweep)
        pushing = [pool.submit(send_all, releases[half::2]) for half in (0, 1)]
        try:
            attempts = sum(one.result() for one in pushing)
        finally:
            over.set()
        removed = sweeping.result()

    assert attempts >= PUSHES
    assert removed > 0
    assert [digest.short for one in releases for digest in one.blobs if ports.blobs.stat(digest=digest) is None] == []


def prepare(ports: Ports, number: int) -> Collection:
    """Make a collection that nothing uses, and a move that is about to reuse it."""
    one = replace(collection(number), state=CollectionState.READY, sealed=True, operation="op-made", verified_at=NOW)
    with ports.store.note() as tx:
        tx.collections.add(one)
        wish = MoveWish(APPLICATION, f"c{number}", digest("2.3.0"), Move.RESTORE)
        move = Operation(f"op-{number}", wish.kind, "acme", wish.subject, wish.written(), NOW, "jane")
        tx.operations.add(replace(move, state=OperationState.RUNNING, channel=f"acme/support-agent:c{number}"))
    return one


def reuse(ports: Ports, number: int, one: Collection) -> bool:
    """Offer a collection to be signed, as a worker does, and bind it, as the commit does; False where that is lost."""
    with ports.store.note() as tx:
        running = tx.operations.get(f"op-{number}")
        places: list[JsonValue] = [{**one.place(KB, one.snapshot).written()}]
        until = times.write(ports.clock.now() + timedelta(hours=1))
        outcome: JsonObject = {"steps": [], "collections": places, "vouched": "", "until": until}
        tx.operations.update(replace(running, state=OperationState.PREPARED, outcome=outcome), epoch=0)
    try:
        with ports.store.note() as tx:
            bind(tx, prepared_of(tx.operations.get(f"op-{number}")), left=None, now=ports.clock.now())
    except ConflictError:
        return False
    return True


def is_retired(ports: Ports, bench: Bench, one: Collection) -> bool:
    return retire(ports, CALLER, bench, [one.id], Seen())[one.id].fate is Fate.RETIRE


def state(ports: Ports, one: Collection) -> CollectionState:
    with ports.store.read() as tx:
        return tx.collections.get(one.id).state


def test_what_is_retiring_is_bound_by_no_move(ports: Ports, bench: Bench) -> None:
    one = prepare(ports, 1)

    assert [is_retired(ports, bench, one), reuse(ports, 1, one)] == [True, False]

    assert state(ports, one) is CollectionState.RETIRING


def test_what_waits_for_its_pointer_or_is_bound_is_not_retired(ports: Ports, bench: Bench) -> None:
    one = prepare(ports, 1)

    assert [reuse(ports, 1, one), is_retired(ports, bench, one)] == [True, False]

    assert state(ports, one) is CollectionState.READY


def test_of_a_move_and_a_retiring_at_once_just_one_wins(ports: Ports, bench: Bench) -> None:
    made = [(number, prepare(ports, number)) for number in range(MOVES)]
    meeting = threading.Barrier(2)

    def move_all() -> list[bool]:
        meeting.wait()
        return [reuse(ports, number, one) for number, one in made]

    def retire_all() -> list[bool]:
        meeting.wait()
        return [is_retired(ports, bench, one) for _, one in reversed(made)][::-1]

    with ThreadPoolExecutor(2) as pool:
        moving, retiring = pool.submit(move_all), pool.submit(retire_all)
        moved, retired = moving.result(), retiring.result()

    assert [one != other for one, other in zip(moved, retired, strict=True)] == [True] * MOVES
    assert [state(ports, one) is CollectionState.RETIRING for _, one in made] == retired
