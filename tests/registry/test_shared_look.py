"""A look that requests of one moment share, on both event loops: none is older than the request that uses it."""

import asyncio
import socket
from collections.abc import Callable, Coroutine

import pytest
import uvloop

from regalia.core.errors import UnavailableError
from regalia_registry.http.looking import SharedLook

LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.new_event_loop,
    "uvloop": uvloop.new_event_loop,
}


class Store:
    """Counts the looks."""

    def __init__(self) -> None:
        self.looks = 0
        self.is_silent = False

    def look(self) -> int:
        self.looks += 1
        if self.is_silent:
            raise UnavailableError("it does not answer")
        return self.looks


@pytest.fixture(params=LOOPS)
def run(request: pytest.FixtureRequest) -> Callable[[Coroutine[object, object, None]], None]:
    def run(what: Coroutine[object, object, None]) -> None:
        with asyncio.Runner(loop_factory=LOOPS[request.param]) as runner:
            runner.run(what)

    return run


Run = Callable[[Coroutine[object, object, None]], None]


def test_requests_that_were_read_by_then_share_a_look(run: Run) -> None:
    store = Store()
    look = SharedLook(store.look)

    async def ask() -> int:
        return look.take()

    async def main() -> None:
        assert await asyncio.gather(*(ask() for _ in range(8))) == [1] * 8
        assert await asyncio.gather(*(ask() for _ in range(8))) == [2] * 8

    run(main())


def test_what_the_loop_reads_after_a_look_is_looked_for_anew(run: Run) -> None:
    store = Store()
    look = SharedLook(store.look)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        found: list[int] = []
        read = asyncio.Event()
        ours, theirs = socket.socketpair()
        with ours, theirs:
            ours.settimeout(0)

            async def answer() -> None:
                found.append(look.take())
                read.set()

            def receive() -> None:
                ours.recv(1)
                tasks.append(loop.create_task(answer()))

            tasks: list[asyncio.Task[None]] = []
            loop.add_reader(ours, receive)
            before = look.take()
            theirs.send(b"a")  # it comes after the look, and before that is forgotten
            await read.wait()
            loop.remove_reader(ours)
        assert (before, found) == (1, [2])

    run(main())


def test_a_store_that_does_not_answer_is_asked_once_for_all_and_then_again(run: Run) -> None:
    store = Store()
    look = SharedLook(store.look)
    store.is_silent = True

    async def ask() -> int:
        return look.take()

    async def main() -> None:
        found = await asyncio.gather(*(ask() for _ in range(8)), return_exceptions=True)
        assert {type(one) for one in found} == {UnavailableError}
        assert store.looks == 1
        store.is_silent = False
        assert await ask() == 2

    run(main())
