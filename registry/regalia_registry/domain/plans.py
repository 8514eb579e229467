"""The plan of a move: which collections a channel will name, which are there already, which are made first. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from regalia.core.digest import Digest
from regalia.core.errors import InvalidError
from regalia.core.fields import Fields
from regalia.core.names import ApplicationName, Slot, check_channel
from regalia.core.statements import Move
from regalia.core.strict_json import JsonObject
from regalia_registry.domain.operations import OperationKind
from regalia_registry.domain.placing import ChannelPlacings, Collection, Mode, Placing, written

_KINDS = {
    Move.PROMOTE: OperationKind.PROMOTE,
    Move.RESTORE: OperationKind.RESTORE,
    Move.REBIND: OperationKind.REBIND,
}


@dataclass(frozen=True, slots=True)
class MoveWish:
    """A move that is to be prepared: `bundle` and its collections, for a pointer that somebody signs then.

    `move` is None where nothing is to be signed: the collections are made, and wait warm. With `is_plan` nothing is
    made either: the plan is all. `seals_first` stops the writers of live collections before the channel leaves them.
    With `standby` only the sealed copies are made that the channel keeps beside its live collections.
    """

    application: ApplicationName
    channel: str
    bundle: Digest
    move: Move | None
    is_plan: bool = False
    seals_first: bool = False
    standby: bool = False

    def __post_init__(self) -> None:
        """Refuse a move that makes nothing new."""
        if self.move is Move.RENEW:
            raise InvalidError("a renewed pointer needs no operation", hint="reg channel renew")

    @property
    def kind(self) -> OperationKind:
        """What it is as an operation."""
        return OperationKind.PREPARE if self.move is None else _KINDS[self.move]

    @property
    def subject(self) -> str:
        """The channel, as people write it."""
        return f"{self.application}:{self.channel}"

    @classmethod
    def parse(cls, request: JsonObject) -> "MoveWish":
        """Read what `written` wrote."""
        fields = Fields(request, "the operation")
        return cls(
            ApplicationName.parse(fields.text("application")),
            check_channel(fields.text("channel")),
            Digest.parse(fields.text("bundle")),
            Move(fields.text("move")) if fields.has("move") else None,
            fields.boolean("plan"),
            fields.boolean("seals_first"),
            fields.optional("standby", fields.boolean) or False,
        )

    def written(self) -> JsonObject:
        """Give it as the journal keeps it."""
        told: JsonObject = {
            "application": str(self.application),
            "channel": self.channel,
            "bundle": str(self.bundle),
            "plan": self.is_plan,
            "seals_first": self.seals_first,
        }
        if self.move is not None:
            told["move"] = str(self.move)
        if self.standby:
            told["standby"] = True
        return told


@dataclass(frozen=True, slots=True)
class Member:
    """A snapshot that a bundle pins: `name` and `version` are its artifact's, `size_bytes` is what it takes stored."""

    slot: Slot
    digest: Digest
    name: str
    version: str
    content_root: Digest
    rows: int
    size_bytes: int

    @property
    def reference(self) -> str:
        """Spell it as people do."""
        return f"snapshot/{self.name}@{self.version}"


@dataclass(frozen=True, slots=True)
class Known:
    """What a planner sees of a target: its collections of each content, and how fast the last one was made.

    `taken` are the ids of collections that a channel's current pointer names, or one that waits for its signature;
    `rows_per_second` is None where none was made there yet.
    """

    ready: Mapping[tuple[str, Digest], Sequence[Collection]]
    taken: frozenset[str] = frozenset()
    rows_per_second: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Step:
    """What is done for one slot: nothing where `warm` is there, else a collection is made.

    `seconds` is how long that takes; None where nobody knows.
    """

    member: Member
    placing: Placing
    warm: Collection | None
    seconds: int | None = None

    def written(self) -> JsonObject:
        """Give it as an event and an outcome tell it."""
        told = written(self.placing)
        told |= {
            "snapshot": self.member.reference,
            "rows": self.member.rows,
            "bytes": self.member.size_bytes,
            "action": "build" if self.warm is None else "reuse",
        }
        if self.warm is not None:
            told["collection"] = self.warm.name
        if self.seconds is not None:
            told["seconds"] = self.seconds
        return told


@dataclass(frozen=True, slots=True)
class Plan:
    """A step for each slot that the channel places; `unplaced` are the bundle's snapshots that it does not."""

    steps: tuple[Step, ...]
    unplaced: tuple[Slot, ...]

    @property
    def is_warm(self) -> bool:
        """Whether nothing has to be made."""
        return all(step.warm is not None for step in self.steps)

    @property
    def seconds(self) -> int | None:
        """How long it takes to make what is not there; None where nobody knows."""
        spent = [step.seconds for step in self.steps]
        return None if None in spent else sum(one for one in spent if one is not None)

    def written(self) -> JsonObject:
        """Give it as an event and an outcome tell it."""
        return {"steps": [step.written() for step in self.steps], "unplaced": [str(slot) for slot in self.unplaced]}


def make_plan(members: Sequence[Member], placings: ChannelPlacings, known: Known) -> Plan:
    """Plan how a channel comes to name a bundle's snapshots.

    A collection is used as it is where it holds the very content, sealed, on the right target; one that its
    application will write into belongs to this channel alone, so it is used only where no channel names it, or
    is about to.
    """
    steps, unplaced = [], []
    for member in sorted(members, key=lambda one: str(one.slot)):
        placing = placings.of(member.slot)
        if placing is None:
            unplaced.append(member.slot)
            continue
        warm = _warm(member, placing, known)
        steps.append(Step(member, placing, warm, 0 if warm is not None else _seconds(member, placing, known)))
    return Plan(tuple(steps), tuple(unplaced))


def _warm(member: Member, placing: Placing, known: Known) -> Collection | None:
    for one in known.ready.get((placing.target, member.content_root), ()):
        is_free = placing.mode is Mode.FROZEN or one.id not in known.taken
        if one.is_warm and is_free:
            return one
    return None


def _seconds(member: Member, placing: Placing, known: Known) -> int | None:
    rate = known.rows_per_second.get(placing.target)
    return None if not rate else max(1, round(member.rows / rate))
