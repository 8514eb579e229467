"""What changes between two bundles, for people."""

from collections.abc import Mapping

from regalia.core.diff import SlotChange, describe
from regalia.core.kinds import Content
from regalia.core.manifest import Artifact
from regalia.core.names import Slot

Members = Mapping[Slot, Artifact]


def compare(old: Members, new: Members, *, restoring: bool = False) -> tuple[SlotChange, ...]:
    """Put into words what becomes of each slot that differs, by slot; `restoring` says that a channel goes back."""
    found = []
    for slot in sorted({*old, *new}, key=str):
        before, after = old.get(slot), new.get(slot)
        if before is None or after is None or before.digest != after.digest:
            found.append(describe(slot, _content(before), _content(after), restoring=restoring))
    return tuple(found)


def _content(artifact: Artifact | None) -> Content | None:
    return None if artifact is None else artifact.content
