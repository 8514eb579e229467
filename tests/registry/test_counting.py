"""Counting: threads and processes lose nothing, nothing is counted twice, and nobody waits for what hangs."""

import asyncio
import subprocess
import sys
import threading
from datetime import timedelta
from io import BytesIO
from pathlib import Path

import pytest

from regalia.core.digest import Digest
from regalia.core.errors import UnavailableError
from regalia_registry.adapters.board import STRIPE_CELLS, Board, make_memory
from regalia_registry.adapters.counted import counted
from regalia_registry.adapters.disk import DiskBlobs
from regalia_registry.adapters.memory.blobs import MemoryBlobs
from regalia_registry.bootstrap.web import make_web
from regalia_registry.domain.placing import Mode
from regalia_registry.domain.series import (
    ALIAS_LAG,
    BLOB_ERRORS,
    FIXED,
    MOVE_SECONDS,
    NS,
    OPERATIONS_ENDED,
    PREPARE,
    RESOLVES,
    SETTLE,
    Family,
    bucket,
)
from regalia_registry.http.probes import Probe
from regalia_registry.ports.blobs import Linking
from regalia_registry.ports.counting import Uncounted, observe
from regalia_registry.settings import load_settings
from tests.support.moves import VERSIONS, World

ANSWERED = FIXED.cell(RESOLVES, "answered")
COUNT = """
import sys
from regalia_registry.adapters.board import Board
tally = Board.inherited(int(sys.argv[1])).tally(int(sys.argv[2]))
for _ in range(1000):
    tally.add(0)
"""


def test_what_threads_count_at_once_is_all_counted() -> None:
    board = Board.private()
    tally = board.tally(0)

    def count() -> None:
        for _ in range(20_000):
            tally.add(ANSWERED)

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert board.stripes()[0][ANSWERED] == 80_000


def test_processes_count_in_stripes_of_their_own_and_one_that_follows_counts_on(tmp_path: Path) -> None:
    memory = make_memory(tmp_path, processes=2)

    for place in (0, 1, 1):
        subprocess.run([sys.executable, "-c", COUNT, str(memory), str(place)], pass_fds=(memory,), check=True)

    stripes = Board.inherited(memory).stripes()
    assert [stripe[0] for stripe in stripes] == [1000, 2000]
    assert FIXED.merged(stripes)[0] == 3000


def test_the_cells_of_a_web_process_have_room_in_its_stripe(tmp_path: Path) -> None:
    web = make_web(load_settings(data=tmp_path))

    assert FIXED.size < web.layout.size < STRIPE_CELLS


def test_a_duration_is_counted_once_with_its_nanoseconds() -> None:
    board = Board.private()

    observe(board.tally(0), MOVE_SECONDS, "restore", SETTLE, spent_s=0.75)

    first = FIXED.cell(MOVE_SECONDS, "restore", SETTLE)
    cells = board.stripes()[0][first : first + MOVE_SECONDS.width]
    assert cells == [0, 0, 0, 1, *[0] * 9, 750_000_000]


@pytest.fixture
def restored(tmp_path: Path) -> World:
    """Restore a channel that waits two seconds for a worker, and four from its commit until one settles it."""
    world = World(tmp_path, mode=Mode.FROZEN)
    world.settle(world.asked(VERSIONS[1]))
    asked = world.asked(VERSIONS[0])
    world.clock.turn(timedelta(seconds=2))
    assert world.workers[0].run_one()
    world.send(world.signed(world.operation(asked.id)))
    world.clock.turn(timedelta(seconds=4))
    assert world.workers[1].run_one()
    return world


@pytest.mark.parametrize(
    ("family", "labels", "lasted_s"),
    [
        (MOVE_SECONDS, ("restore", PREPARE), 2),
        (MOVE_SECONDS, ("restore", SETTLE), 4),
        (ALIAS_LAG, (), 4),
    ],
)
def test_a_restore_is_timed_by_phase_and_its_alias_by_how_long_it_led_elsewhere(
    restored: World, family: Family, labels: tuple[str, ...], lasted_s: int
) -> None:
    first = FIXED.cell(family, *labels)
    *counts, sum_ns = restored.board.stripes()[0][first : first + family.width]

    assert counts[bucket(family, lasted_s)] == 1
    assert sum_ns == lasted_s * NS


def test_operations_that_ended_are_counted_by_kind_and_state(restored: World) -> None:
    cells = restored.board.stripes()[0]

    ended = {kind: cells[FIXED.cell(OPERATIONS_ENDED, kind, "done")] for kind in ("snapshot", "promote", "restore")}

    assert ended == {"snapshot": 2, "promote": 2, "restore": 1}


def test_a_call_that_the_blob_store_does_not_answer_is_counted_and_told_all_the_same(tmp_path: Path) -> None:
    board = Board.private()
    blobs = counted(DiskBlobs(tmp_path / "blobs"), board.tally(0))
    content = b"some bytes"
    (tmp_path / "blobs" / "incoming").rmdir()
    (tmp_path / "blobs" / "incoming").write_bytes(b"")

    with pytest.raises(UnavailableError):
        blobs.put(digest=Digest.of(content), source=BytesIO(content), size_bytes=len(content))

    assert board.stripes()[0][FIXED.cell(BLOB_ERRORS, "put")] == 1
    assert sum(board.stripes()[0]) == 1


def test_a_store_that_makes_files_into_blobs_does_so_when_it_is_counted(tmp_path: Path) -> None:
    assert isinstance(counted(DiskBlobs(tmp_path), Uncounted()), Linking)
    assert not isinstance(counted(MemoryBlobs(), Uncounted()), Linking)


def test_a_question_that_hangs_is_asked_once_and_nobody_waits_longer_than_the_limit() -> None:
    answers, asked = threading.Event(), []

    def hang() -> str:
        asked.append(1)
        answers.wait()
        return "here"

    probe = Probe(hang, limit_s=0.05)
    for _ in range(3):
        with pytest.raises(UnavailableError, match=r"no answer within 0\.05 s"):
            probe.answer_here()
    with pytest.raises(UnavailableError, match="no answer"):
        asyncio.run(probe.answer())

    assert len(asked) == 1
    answers.set()


def test_an_error_of_a_question_is_the_askers() -> None:
    def fail() -> str:
        raise UnavailableError("it is down")

    probe = Probe(fail, limit_s=10)

    with pytest.raises(UnavailableError, match="it is down"):
        probe.answer_here()
