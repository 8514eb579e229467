"""Which collections may go, and why the others stay: values in, a decision and its reason out. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from regalia.core.digest import Digest
from regalia.core.errors import InvalidError
from regalia.core.fields import Fields
from regalia.core.strict_json import JsonObject
from regalia_registry.domain.placing import Collection, CollectionState

GARBAGE = "registry/gc"  # what it is about as an operation, and what keeps a second one from beginning

_LEAST = timedelta(hours=24)

Named = tuple[str, str]  # a target, and the name of a collection on it
Content = tuple[str, Digest]  # a target, and the content root of a collection on it


@dataclass(frozen=True, slots=True)
class Retention:
    """How long what nobody serves from is kept: agents, pinned ones too, have let go of it by then.

    `bundles` are those of each channel that stay warm, the current one among them. What came out wrong is kept for
    `unproved`, for a look.
    """

    unbound: timedelta = timedelta(days=7)
    unproved: timedelta = _LEAST
    bundles: int = 3

    def __post_init__(self) -> None:
        """Refuse what is shorter than agents may go on with what they have."""
        if self.unbound < _LEAST:
            raise InvalidError("a collection is kept for at least 24 hours", hint="REGALIA_SERVER_RETIRE_AFTER_HOURS")


@dataclass(frozen=True, slots=True)
class Uses:
    """What uses collections, by target and name: channels, as people write them, operations and aliases.

    `serving` are those of current pointers and `recent` of the last bundles, each with its channel; `awaited` are those
    that an open operation's pointer will name, and `at_work` all open operations; `seen` are those that instances said
    they use. `standby` are contents of which a channel keeps a sealed copy, to go back to.
    """

    serving: Mapping[Named, str] = field(default_factory=dict)
    recent: Mapping[Named, str] = field(default_factory=dict)
    awaited: Mapping[Named, str] = field(default_factory=dict)
    at_work: frozenset[str] = frozenset()
    aliased: Mapping[Named, str] = field(default_factory=dict)
    seen: frozenset[Named] = frozenset()
    standby: Mapping[Content, str] = field(default_factory=dict)


class Fate(StrEnum):
    """What becomes of a collection."""

    KEEP = "keep"
    RETIRE = "retire"
    DROP = "drop"


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of a collection, and why."""

    fate: Fate
    reason: str


@dataclass(frozen=True, slots=True)
class GarbageWish:
    """Remove what nothing needs any more; with `is_plan` nothing is removed: what would be is all."""

    is_plan: bool = False

    @classmethod
    def parse(cls, request: JsonObject) -> "GarbageWish":
        """Read what `written` wrote."""
        return cls(Fields(request, "the operation").boolean("plan"))

    def written(self) -> JsonObject:
        """Give it as the journal keeps it."""
        return {"plan": self.is_plan}


def decide(
    collection: Collection, uses: Uses, retention: Retention, *, now: datetime, is_asked: bool = False
) -> Decision:
    """Decide on a collection that is not dropped; with `is_asked` somebody wants it gone, and no time has to pass."""
    use = _use(collection, uses)
    if use is not None:
        return Decision(Fate.KEEP, use)
    match collection.state:
        case CollectionState.BUILDING if collection.is_adopted:
            return Decision(Fate.KEEP, "its adoption did not come to its end: ask for it again")
        case CollectionState.BUILDING:
            return Decision(Fate.RETIRE, "the operation that began it is over")
        case CollectionState.RETIRING:
            return _of_retiring(collection, retention, now=now, is_asked=is_asked)
        case _:
            return _of_ready(collection, retention, now=now, is_asked=is_asked)


def _use(collection: Collection, uses: Uses) -> str | None:
    """Say what needs a collection, whoever asks."""
    named = collection.target, collection.name
    if named in uses.serving:
        return f"{uses.serving[named]} serves from it"
    if collection.operation in uses.at_work:
        return f"operation {collection.operation}, which made it, is open"
    if named in uses.awaited:
        return f"operation {uses.awaited[named]} waits for a pointer to it"
    if named in uses.aliased:
        return f'the alias "{uses.aliased[named]}" leads to it'
    if named in uses.recent:
        return f"it is of the last bundles of {uses.recent[named]}"
    if named in uses.seen:
        return "an instance said within a day that it uses it"
    if collection.is_warm and (collection.target, collection.content_root) in uses.standby:
        return f"{uses.standby[collection.target, collection.content_root]} keeps it to go back to"
    return None


def _of_retiring(collection: Collection, retention: Retention, *, now: datetime, is_asked: bool) -> Decision:
    if collection.verified_at is None and collection.unbound_at is not None and not is_asked:
        until = collection.unbound_at + retention.unproved
        if now < until:
            return Decision(Fate.KEEP, f"it came out wrong, and is there for a look until {_told(until)}")
    return Decision(Fate.DROP, "it is retiring")


def _of_ready(collection: Collection, retention: Retention, *, now: datetime, is_asked: bool) -> Decision:
    if collection.awaits_leftover:
        return Decision(Fate.KEEP, "what was written into it is not stored yet")
    times = (collection.made_at, collection.verified_at, collection.bound_at, collection.unbound_at)
    until = max(time for time in times if time is not None) + retention.unbound
    if now < until and not is_asked:
        return Decision(Fate.KEEP, f"nothing names it, and it is kept until {_told(until)}")
    return Decision(Fate.RETIRE, "nothing names it")


def _told(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M} UTC"
