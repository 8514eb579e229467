"""Where a channel's snapshots live: which targets it places them on, and the collections that were made there."""

import re
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from regalia.core.digest import Digest
from regalia.core.errors import InvalidError
from regalia.core.fields import Fields
from regalia.core.names import ApplicationName, Kind, Slot, check_segment
from regalia.core.statements import Place
from regalia.core.strict_json import JsonObject
from regalia_registry.domain.texts import check_text

MAX_PLACINGS = 64
ADOPTED = "adopted"  # a marker that no engine gives: an application has written into the collection all along

_LOGICAL = re.compile(r"[a-z][a-z0-9_]{0,39}\Z")
_MAX_ALIAS = 128
_PROTOCOLS = {"embedded": "pgvector"}  # what agents speak to it


class Mode(StrEnum):
    """Who writes into a channel's collection: nobody, or its application."""

    FROZEN = "frozen"
    LIVE = "live"


class CollectionState(StrEnum):
    """How far a collection is; it never goes back."""

    BUILDING = "building"
    READY = "ready"
    RETIRING = "retiring"
    DROPPED = "dropped"


@dataclass(frozen=True, slots=True)
class Placing:
    """Where a channel places one slot, how a collection of it is named, and who writes into it.

    `standby` keeps a sealed copy beside a live collection: what is written into is never warm by itself.
    """

    slot: Slot
    target: str
    logical: str
    mode: Mode = Mode.FROZEN
    alias: str | None = None
    standby: bool = False

    def __post_init__(self) -> None:
        """Refuse what engines would fold or cut, and a copy of what nobody writes into."""
        if self.slot.kind is not Kind.SNAPSHOT:
            raise InvalidError(f'"{self.slot}" is no snapshot', hint="write kb=TARGET for the slot snapshots/kb")
        check_segment(self.target, what="target")
        check_logical(self.logical)
        if self.standby and self.mode is not Mode.LIVE:
            raise InvalidError(
                f'"{self.slot}" is frozen, and needs no standby copy', hint="leave standby out: a frozen one stays warm"
            )
        if self.alias is not None:
            check_text(self.alias, what="an alias")
            if not 0 < len(self.alias) <= _MAX_ALIAS or not self.alias.isprintable():
                raise InvalidError(f"an alias has 1 to {_MAX_ALIAS} plain characters", hint="for example alias=kb")


@dataclass(frozen=True, slots=True)
class ChannelPlacings:
    """All that a channel places, sorted by slot.

    `require_warm` refuses a promotion that would leave the channel without a bundle that it could go back to at once.
    """

    application: ApplicationName
    channel: str
    placings: tuple[Placing, ...]
    require_warm: bool = False

    def __post_init__(self) -> None:
        """Refuse a slot twice."""
        slots = [str(one.slot) for one in self.placings]
        if sorted(set(slots)) != slots:
            raise InvalidError("a channel's placings are sorted by slot, each once", hint="name each slot once")
        if len(slots) > MAX_PLACINGS:
            raise InvalidError(f"a channel places at most {MAX_PLACINGS} snapshots", hint="use fewer")

    def of(self, slot: Slot) -> Placing | None:
        """Find where a slot is placed."""
        return next((one for one in self.placings if one.slot == slot), None)

    @property
    def has_standby(self) -> bool:
        """Whether a sealed copy is kept beside one of its collections."""
        return any(one.standby for one in self.placings)

    def having(self, placing: Placing) -> "ChannelPlacings":
        """Give them with this one, in place of another of its slot."""
        kept = [one for one in self.placings if one.slot != placing.slot]
        return replace(self, placings=tuple(sorted([*kept, placing], key=lambda one: str(one.slot))))


@dataclass(frozen=True, slots=True)
class Collection:
    """A collection that an operation made, under a name that is never used again.

    `name` is the engine's own; `table` stands beside it where the name is that of a schema. `content_root` and
    `schema_digest` are the snapshot's; `marker` is how the collection stood when it was proved. `seconds` is how long
    it took to make. `leftover` is the snapshot of what its application had written when its channel left it: it holds
    that, and not what it was made of.
    """

    id: str
    namespace: str
    target: str
    provider: str
    logical: str
    name: str
    snapshot: Digest
    content_root: Digest
    schema_digest: Digest
    rows: int
    operation: str
    made_at: datetime
    state: CollectionState = CollectionState.BUILDING
    table: str | None = None
    sealed: bool = False
    marker: str = ""
    seconds: int = 0
    verified_at: datetime | None = None
    bound_at: datetime | None = None
    unbound_at: datetime | None = None
    leftover: str | None = None

    @property
    def mark(self) -> str:
        """What the engine keeps beside it: whose it is and what it was made of, whatever the catalog says later."""
        return f"{self.id}/{self.content_root.hex}"

    def drifted(self) -> "Collection":
        """Give it as it is once somebody opened it by hand: nothing is known of what it holds."""
        return replace(self, sealed=False, marker="")

    @property
    def is_live(self) -> bool:
        """Whether it was opened for its application, and by no other hand."""
        return self.state is CollectionState.READY and not self.sealed and self.marker != ""

    @property
    def is_adopted(self) -> bool:
        """Whether its application made it, or might have, and nothing was kept of it yet."""
        return self.marker == ADOPTED

    @property
    def awaits_leftover(self) -> bool:
        """Whether an application may have written into it what is stored nowhere else."""
        is_written = self.bound_at is not None or self.is_adopted
        return is_written and self.is_live and self.leftover is None

    @property
    def is_warm(self) -> bool:
        """Whether a channel could be moved to it as it is."""
        return self.state is CollectionState.READY and self.sealed and self.leftover is None

    def place(self, slot: Slot, snapshot: Digest) -> Place:
        """Give it as a pointer names it; `snapshot` has its content, though maybe in other files."""
        return Place(
            slot=slot,
            snapshot=snapshot,
            provider=_PROTOCOLS.get(self.provider, self.provider),
            target=self.target,
            collection=self.name,
            table=self.table,
        )


def check_logical(logical: str) -> str:
    """Refuse a name that engines would fold or cut; gives it.

    Raises:
        InvalidError: It is none.
    """
    if not _LOGICAL.match(logical):
        raise InvalidError(
            f"\"{logical[:60]}\" can't begin a collection's name", hint="a-z, then a-z, 0-9 and _, at most 40"
        )
    return logical


def read_placing(fields: Fields) -> Placing:
    """Read what `written` wrote."""
    alias = fields.text("alias") if fields.has("alias") else None
    mode, standby = Mode(fields.text("mode")), fields.optional("standby", fields.boolean) or False
    slot, target = Slot.parse(fields.text("slot")), fields.text("target")
    return Placing(slot, target, fields.text("logical"), mode, alias, standby)


def written(placing: Placing) -> JsonObject:
    """Give a placing as a journal keeps it."""
    told: JsonObject = {
        "slot": str(placing.slot),
        "target": placing.target,
        "logical": placing.logical,
        "mode": str(placing.mode),
    }
    if placing.alias is not None:
        told["alias"] = placing.alias
    if placing.standby:
        told["standby"] = True
    return told
