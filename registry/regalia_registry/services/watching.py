"""What the catalog tells those who watch: operations that are open, the age of what channels name, when roots end."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from regalia_registry.domain.operations import Operation, OperationKind, OperationState
from regalia_registry.domain.records import StoredPointer
from regalia_registry.ports.store import Transaction
from regalia_registry.services.context import Ports
from regalia_registry.services.steps.trust import current_root

_PAGE = 200
_MOST_CHANNELS = 5_000

Open = tuple[OperationKind, OperationState]


@dataclass(frozen=True, slots=True)
class Watched:
    """What there is at a moment, in numbers; durations are seconds, and no name of anybody's is in it.

    `open` counts operations that are not over, `oldest_s` says how old the oldest of each is. Of channels, the first
    5,000 are looked at: `pointer_newest_s` is how long ago any of them moved, `pointer_oldest_s` the longest that one
    has stood, `pointer_left_s` how soon one ends; None where there is no channel.
    """

    open: dict[Open, int]
    oldest_s: dict[Open, float]
    channels: int
    pointer_newest_s: float | None
    pointer_oldest_s: float | None
    pointer_left_s: float | None
    root_left_s: float | None


def watch(ports: Ports) -> Watched:
    """Look at the catalog.

    Raises:
        UnavailableError: It does not answer.
    """
    now, shared = ports.clock.now(), ports.shared_now()
    with ports.store.read() as tx:
        operations, pointers = tx.operations.list_open(), _pointers(tx)
        root_left_s = None if tx.roots.newest() is None else _seconds(now, current_root(tx).root.expires)
    ages = sorted(_seconds(one.stored_at, now) for one in pointers)
    return Watched(
        open=dict(Counter((one.kind, one.state) for one in operations)),
        oldest_s=_oldest(operations, shared),
        channels=len(pointers),
        pointer_newest_s=ages[0] if ages else None,
        pointer_oldest_s=ages[-1] if ages else None,
        pointer_left_s=min((_seconds(now, one.pointer.expires) for one in pointers), default=None),
        root_left_s=root_left_s,
    )


def _pointers(tx: Transaction) -> list[StoredPointer]:
    found: list[StoredPointer] = []
    while len(found) < _MOST_CHANNELS:
        last = found[-1].pointer if found else None
        page = tx.channels.list_all(after=None if last is None else (last.application, last.channel), limit=_PAGE)
        found.extend(page)
        if len(page) < _PAGE:
            break
    return found


def _oldest(operations: Sequence[Operation], now: datetime) -> dict[Open, float]:
    found: dict[Open, float] = {}
    for one in operations:
        key = (one.kind, one.state)
        found[key] = max(found.get(key, 0.0), _seconds(one.created_at, now))
    return found


def _seconds(start: datetime, end: datetime) -> float:
    return (end - start).total_seconds()
