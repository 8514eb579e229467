"""One open operation a channel: who comes later ends it, or is refused."""

from datetime import datetime

from regalia_registry.domain.operations import OperationKind
from regalia_registry.domain.refusals import channel_taken
from regalia_registry.ports.store import Transaction

_BACK = {OperationKind.RESTORE, OperationKind.REBIND}


def make_way(tx: Transaction, channel: str, *, for_kind: OperationKind, now: datetime, supersede: bool = False) -> None:
    """End the channel's open operation where the new one may: a restore ends a promotion, the other way it never does.

    Raises:
        ConflictError: It may not.
    """
    there = tx.operations.find_open(channel)
    if there is None:
        return
    if for_kind not in _BACK or (there.kind in _BACK and not supersede):
        raise channel_taken(channel)
    tx.operations.update(there.asked_to_end(now), epoch=there.epoch)
