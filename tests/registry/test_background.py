"""Chores are done again and again, whatever one of them raises, until the block is left."""

import threading

import pytest

from regalia.core.errors import UnavailableError
from regalia_registry.worker.background import Background, Chore

SOON_S = 0.001


def test_every_chore_is_done_again_and_again() -> None:
    done = {name: threading.Semaphore(0) for name in ("one", "other")}
    chores = [Chore(name, SOON_S, semaphore.release) for name, semaphore in done.items()]

    with Background(chores, threading.Event()):
        seen = [semaphore.acquire(timeout=30) for semaphore in done.values() for _ in range(3)]

    assert seen == [True] * 6


def test_a_chore_that_fails_is_done_again_and_keeps_none_from_being_done() -> None:
    failed, done = threading.Semaphore(0), threading.Semaphore(0)

    def fail() -> None:
        failed.release()
        raise UnavailableError("nothing answers")

    with Background([Chore("failing", SOON_S, fail), Chore("other", SOON_S, done.release)], threading.Event()):
        seen = [semaphore.acquire(timeout=30) for semaphore in (failed, failed, done)]

    assert seen == [True] * 3


def test_leaving_the_block_ends_it_whatever_is_due() -> None:
    before, stopping = set(threading.enumerate()), threading.Event()

    with Background([Chore("yearly", 1e6, lambda: None)], stopping):
        [ours] = set(threading.enumerate()) - before

    assert (ours.is_alive(), stopping.is_set()) == (False, True)


def test_a_chore_lets_go_of_what_it_keeps_once_it_is_done_no_more() -> None:
    done: list[str] = []
    began = threading.Event()

    def do() -> None:
        done.append("done")
        began.set()

    with Background([Chore("keeping", SOON_S, do, lambda: done.append("ended"))], threading.Event()):
        assert began.wait(timeout=30)

    assert (done[-1], done.count("ended")) == ("ended", 1)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_fault_of_ours_ends_the_worker_which_is_started_anew() -> None:
    def fail() -> None:
        raise ZeroDivisionError

    stopping = threading.Event()
    with Background([Chore("faulty", SOON_S, fail)], stopping):
        assert stopping.wait(timeout=30)
