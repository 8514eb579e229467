"""What changes between two bundles: as pins, which can be applied, and as sentences, which people read."""

from collections.abc import Iterable, Mapping

from regalia.core.bundle import BundleIndex
from regalia.core.digest import Digest
from regalia.core.kinds import KINDS, Content
from regalia.core.names import Slot
from regalia.core.values import frozen

Pins = Mapping[Slot, Digest]

MAX_SENTENCES = 50


@frozen
class PinChange:
    """A slot whose artifact changes; `before` is None where it is added, `after` where it is removed."""

    slot: Slot
    before: Digest | None
    after: Digest | None


@frozen
class SlotChange:
    """A slot's change in words: one sentence for the record, lines for people who look closer."""

    slot: Slot
    sentence: str
    lines: tuple[str, ...] = ()


def pins_of(index: BundleIndex | None) -> Pins:
    """Read a bundle's pins; no bundle has none."""
    return {} if index is None else {member.slot: member.digest for member in index.members}


def diff(old: Pins, new: Pins) -> tuple[PinChange, ...]:
    """Compare two sets of pins, sorted by slot."""
    slots = sorted({*old, *new}, key=str)
    return tuple(PinChange(slot, old.get(slot), new.get(slot)) for slot in slots if old.get(slot) != new.get(slot))


def apply(changes: Iterable[PinChange], *, to: Pins) -> Pins:
    """Apply changes to the pins they were made from."""
    applied = dict(to)
    for change in changes:
        applied.pop(change.slot, None)
        if change.after is not None:
            applied[change.slot] = change.after
    return applied


def describe(slot: Slot, before: Content | None, after: Content | None, *, restoring: bool = False) -> SlotChange:
    """Put one slot's change into words; `restoring` says that the channel goes back."""
    if before is None and after is not None:
        return SlotChange(slot, f"Added {slot} {after.config.version}")
    if before is not None and after is None:
        return SlotChange(slot, f"Removed {slot} {before.config.version}")
    if before is None or after is None:
        return SlotChange(slot, f"Unchanged {slot}")
    change = KINDS[slot.kind].compare(before, after)
    return SlotChange(slot, (change.restored if restoring else "") or change.sentence, change.lines)


def sentences(changes: Iterable[SlotChange]) -> tuple[str, ...]:
    """Give the record's sentences: at most 50, then how many more there are."""
    told = [change.sentence for change in changes]
    if len(told) <= MAX_SENTENCES:
        return tuple(told)
    return (*told[:MAX_SENTENCES], f"and {len(told) - MAX_SENTENCES} more")
