"""Whether a channel could go back at once: what a restore of a bundle would find there, and what it would make."""

from regalia.core.errors import ConflictError
from regalia.core.statements import Move
from regalia_registry.domain.plans import MoveWish, Plan
from regalia_registry.domain.records import StoredPointer
from regalia_registry.ports.store import Transaction
from regalia_registry.services.steps.planning import plan_of

_PAGE = 200


def find_previous(tx: Transaction, current: StoredPointer) -> StoredPointer | None:
    """Find the newest pointer of a channel to another bundle that is not on hold: what `--to previous` restores."""
    pointer = current.pointer
    held = {hold.bundle for hold in tx.holds.list(pointer.application)}
    after = None
    while True:
        page = tx.channels.history(pointer.application, pointer.channel, after=after, limit=_PAGE)
        for stored in page:
            if stored.pointer.bundle != pointer.bundle and stored.pointer.bundle not in held:
                return stored
        if len(page) < _PAGE:
            return None
        after = page[-1].pointer.sequence


def way_back(tx: Transaction, to: StoredPointer) -> Plan:
    """Plan the restore of what a pointer named, by what the catalog says now."""
    pointer = to.pointer
    return plan_of(tx, MoveWish(pointer.application, pointer.channel, pointer.bundle, Move.RESTORE, is_plan=True))


def require_way_back(tx: Transaction, current: StoredPointer | None) -> None:
    """Refuse a promotion that would leave a bundle which could not be restored at once, where the channel demands it.

    A collection that an application writes into is never warm by itself: what it held is in no place any more.

    Raises:
        ConflictError: It would.
    """
    if current is None:
        return
    pointer, version = current.pointer, current.version
    channel = f"{pointer.application}:{pointer.channel}"
    if not tx.placings.find(pointer.application, pointer.channel).require_warm:
        return
    plan = way_back(tx, current)
    cold = [*plan.unplaced, *(step.member.slot for step in plan.steps if step.warm is None)]
    if cold:
        raise ConflictError(
            f'"{channel}" demands a warm way back, and {version} would leave none: {", ".join(map(str, cold))}',
            hint=f"reg prepare {version} --for {pointer.channel}, or reg channel set {channel} --require-warm 0",
        )
