"""A pointer that is sent a second time while the first copy is being committed: as after a connection that was cut."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from regalia.wire.answers import Moved
from regalia_registry.adapters.memory.store import MemoryStore, MemoryTransaction
from regalia_registry.domain.access import Actor
from regalia_registry.domain.placing import Mode
from tests.support.moves import VERSIONS, World


class Crowded(MemoryStore):
    """A store where others come first: what stands in `others` is done before the next change begins."""

    def __init__(self) -> None:
        super().__init__()
        self.others: list[Callable[[], object]] = []

    @contextmanager
    def write(self, actor: Actor) -> Iterator[MemoryTransaction]:
        while self.others:
            self.others.pop()()
        with super().write(actor) as tx:
            yield tx


def test_the_second_copy_of_a_move_is_told_that_it_was_made_and_makes_nothing_void(tmp_path: Path) -> None:
    store = Crowded()
    world = World(tmp_path, mode=Mode.FROZEN, store=store)
    asked = world.asked(VERSIONS[1])
    assert world.workers[0].run_one()
    signed = world.signed(world.operation(asked.id))
    first: list[Moved] = []
    store.others.append(lambda: first.append(world.send(signed)))

    second = world.send(signed)

    assert [(one.created, one.pointer.digest) for one in first] == [(True, second.pointer.digest)]
    assert not second.created
    with store.read() as tx:
        told = tx.audit.deployments(world.application, channel=None, after=None, limit=9)
    assert [b'"channel.refused"' in one.body for one in told] == [False, False]
