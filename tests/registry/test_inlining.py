"""Small blobs of answers: in memory after the first time, and never waited for long."""

import time
from datetime import timedelta
from io import BytesIO
from threading import Event
from typing import BinaryIO

import pytest

from regalia.core.digest import Digest
from regalia.core.errors import NotFoundError, UnavailableError
from regalia_registry.adapters.memory.blobs import MemoryBlobs
from regalia_registry.adapters.memory.system import MemoryClock
from regalia_registry.services.steps import inlining
from regalia_registry.services.steps.inlining import SmallBlobs

ONE, TWO = b"one", b"two"
FIRST, SECOND = Digest.of(ONE), Digest.of(TWO)


class Moody(MemoryBlobs):
    """The twin, which counts who asks, and may be silent or hang."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[Digest] = []
        self.is_silent = False
        self.goes_on = Event()
        self.goes_on.set()
        for content in (ONE, TWO):
            self.put(digest=Digest.of(content), source=BytesIO(content), size_bytes=len(content))

    def open(self, *, digest: Digest, start: int = 0, stop: int | None = None) -> BinaryIO:
        self.asked.append(digest)
        self.goes_on.wait()
        if self.is_silent:
            raise UnavailableError("nothing answers")
        return super().open(digest=digest, start=start, stop=stop)


@pytest.fixture
def store() -> Moody:
    return Moody()


@pytest.fixture
def clock() -> MemoryClock:
    return MemoryClock()


@pytest.fixture
def small(store: Moody, clock: MemoryClock) -> SmallBlobs:
    return SmallBlobs(store, clock)


@pytest.fixture
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inlining, "_PATIENCE_S", 30.0)


@pytest.mark.usefixtures("_patient")
def test_what_was_read_once_is_not_asked_for_again(store: Moody, small: SmallBlobs) -> None:
    found = [small.read([FIRST, SECOND]), small.read([FIRST]), small.read([SECOND, FIRST])]

    assert found == [{FIRST: ONE, SECOND: TWO}, {FIRST: ONE}, {SECOND: TWO, FIRST: ONE}]
    assert sorted(store.asked) == sorted([FIRST, SECOND])


def test_a_silent_store_is_not_asked_again_until_some_seconds_later(
    store: Moody, clock: MemoryClock, small: SmallBlobs
) -> None:
    small.read([FIRST])
    store.is_silent = True

    silent = [small.read([FIRST, SECOND]) for _ in range(3)]
    store.is_silent = False
    early = small.read([SECOND])
    clock.turn(timedelta(seconds=6))

    assert (silent, early, small.read([SECOND])) == ([{FIRST: ONE}] * 3, {}, {SECOND: TWO})
    assert store.asked == [FIRST, SECOND, SECOND]


def test_a_store_that_hangs_is_left_to_its_thread_and_what_comes_late_is_kept(
    store: Moody, clock: MemoryClock, small: SmallBlobs
) -> None:
    store.goes_on.clear()
    hanging = small.read([FIRST])
    clock.turn(timedelta(seconds=6))
    still = small.read([FIRST])
    store.goes_on.set()

    deadline = time.monotonic() + 60
    while small.read([FIRST]) != {FIRST: ONE}:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert (hanging, still, store.asked) == ({}, {}, [FIRST])


def test_a_blob_that_is_gone_is_told(small: SmallBlobs) -> None:
    with pytest.raises(NotFoundError):
        small.read([Digest.of(b"nobody put this")])
