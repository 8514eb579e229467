"""Work that takes longer than a request: asked for in the journal, done by a worker that holds a lease."""

import re
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from regalia.core.errors import InvalidError
from regalia.core.fields import Fields
from regalia.core.kinds.snapshot import Embedding
from regalia.core.names import check_namespace, check_segment, check_version
from regalia.core.strict_json import JsonObject
from regalia_registry.domain.access import EVERYWHERE
from regalia_registry.domain.files import ExportWish, ImportWish
from regalia_registry.domain.placing import check_logical
from regalia_registry.domain.questions import DiffWish, QueryWish, RetireWish, SearchWish
from regalia_registry.domain.texts import check_text

_URL = re.compile(r"[a-z][a-z0-9+.-]{0,31}:[\x21-\x7e]{0,2048}\Z")
_OPTION = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}=")  # nothing encoded: a reader must see what it is
_SECRET = re.compile(r"pass(?!file)|secret|token|api_?key|credential", re.IGNORECASE)
_CREDENTIAL = re.compile(
    r"(?:env:[A-Za-z_][A-Za-z0-9_]{0,127}"
    r"|file:/[^\x00-\x1f\x7f]{1,1024}"
    r"|aws-secretsmanager:[A-Za-z0-9/_+=.@:!-]{1,512}(?:#[A-Za-z0-9_.-]{1,128})?)\Z"
)


class OperationKind(StrEnum):
    """What is done."""

    SNAPSHOT = "snapshot"
    LOAD = "load"
    VERIFY = "verify"
    LOOK = "look"
    COMPACT = "compact"
    DIFF = "diff"
    QUERY = "query"
    SEARCH = "search"
    RETIRE = "retire"
    EXPORT = "export"
    IMPORT = "import"
    PROMOTE = "promote"
    RESTORE = "restore"
    REBIND = "rebind"
    PREPARE = "prepare"
    ADOPT = "adopt"


EVERY_KIND = frozenset(OperationKind)
MOVES = frozenset(
    {
        OperationKind.PROMOTE,
        OperationKind.RESTORE,
        OperationKind.REBIND,
        OperationKind.PREPARE,
        OperationKind.ADOPT,
    }
)


class OperationState(StrEnum):
    """How far it is; the last three are for good.

    A move is PREPARED once all that it needs is there, and waits for its signature; it is COMMITTED once its channel
    has moved, and then it goes on until it is done, whatever happens.
    """

    QUEUED = "queued"
    RUNNING = "running"
    PREPARED = "prepared"
    COMMITTED = "committed"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_over(self) -> bool:
        """Whether nothing changes any more."""
        return self in {OperationState.DONE, OperationState.FAILED, OperationState.CANCELLED}

    @property
    def claimed(self) -> "OperationState":
        """What it is once a worker has it."""
        return OperationState.RUNNING if self is OperationState.QUEUED else self


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation; `epoch` counts its workers, and a worker of an earlier epoch changes nothing any more.

    `lease_until` is when another worker may take it: its worker's lease, and the grace behind it, are over then; nobody
    works on a prepared one, and a worker takes it then to end it. `journal` is what a worker leaves to the next one,
    should it not come to the end. `channel` is the one that it keeps others from moving, until it has moved it.
    """

    id: str
    kind: OperationKind
    namespace: str
    subject: str
    request: JsonObject
    created_at: datetime
    created_by: str
    state: OperationState = OperationState.QUEUED
    epoch: int = 0
    lease_until: datetime | None = None
    cancel_requested: bool = False
    outcome: JsonObject | None = None
    journal: JsonObject | None = None
    channel: str | None = None

    def is_claimable(self, now: datetime) -> bool:
        """Say whether a worker may take it: nobody has it, or whoever had it is gone."""
        if self.state is OperationState.QUEUED:
            return True
        return not self.state.is_over and self.lease_until is not None and self.lease_until <= now

    def asked_to_end(self, now: datetime) -> "Operation":
        """Give it as it is once somebody wants it no more: it lets go of its channel now.

        It is over where no worker has ever had it; else a worker ends it, and undoes what is to be undone.
        """
        ending = replace(self, cancel_requested=True, channel=None)
        if self.state is OperationState.QUEUED:
            return replace(ending, state=OperationState.CANCELLED)
        return replace(ending, lease_until=now) if self.state is OperationState.PREPARED else ending


@dataclass(frozen=True, slots=True)
class Holder:
    """Who works at a target: an operation, and which of its workers."""

    operation: str
    epoch: int


@dataclass(frozen=True, slots=True)
class OperationEvent:
    """Something that happened in an operation; `number` counts from 1."""

    operation: str
    number: int
    time: datetime
    body: JsonObject


@dataclass(frozen=True, slots=True)
class SnapshotWish:
    """What a snapshot is to be taken of, what it is to be called, and whether writers are stopped meanwhile."""

    target: str
    collection: str
    name: str
    embedding: Embedding | None = None
    freeze: bool = False

    def __post_init__(self) -> None:
        """Refuse what no engine calls a collection."""
        check_text(self.collection, what="a collection's name")

    @classmethod
    def parse(cls, request: JsonObject) -> "SnapshotWish":
        """Read what `written` wrote."""
        fields = Fields(request, "the operation")
        embedding = fields.child("embedding") if fields.has("embedding") else None
        return cls(
            fields.text("target"),
            fields.text("collection"),
            check_segment(fields.text("name"), what="snapshot"),
            None if embedding is None else Embedding.parse(embedding),
            fields.optional("freeze", fields.boolean) or False,
        )

    def written(self) -> JsonObject:
        """Give it as the journal keeps it."""
        written: JsonObject = {"target": self.target, "collection": self.collection, "name": self.name}
        if self.embedding is not None:
            written["embedding"] = self.embedding.written()
        if self.freeze:
            written["freeze"] = True
        return written


@dataclass(frozen=True, slots=True)
class VerifyWish:
    """Which stored version is to be read through."""

    name: str
    version: str

    @classmethod
    def parse(cls, request: JsonObject) -> "VerifyWish":
        """Read what `written` wrote."""
        fields = Fields(request, "the operation")
        return cls(check_segment(fields.text("name"), what="snapshot"), check_version(fields.text("version")))

    def written(self) -> JsonObject:
        """Give it as the journal keeps it."""
        return {"name": self.name, "version": self.version}


@dataclass(frozen=True, slots=True)
class LoadWish:
    """Which version is to be loaded where; `logical` begins the collection's name.

    `min_recall` is what its index must find of the canary's nearest rows, from 0 to 1.
    """

    name: str
    version: str
    target: str
    logical: str
    min_recall: float | None = None

    def __post_init__(self) -> None:
        """Refuse a name that engines would fold or cut, and a recall that is none."""
        if self.min_recall is not None and not 0 <= self.min_recall <= 1:
            raise InvalidError(f"{self.min_recall} is no recall", hint="a number from 0 to 1, as 0.95")
        check_logical(self.logical)

    @classmethod
    def parse(cls, request: JsonObject) -> "LoadWish":
        """Read what `written` wrote."""
        fields = Fields(request, "the operation")
        which = VerifyWish.parse(request)
        least = request.get("min_recall")
        if least is not None and not isinstance(least, int | float):
            raise InvalidError("the least recall is no number")
        return cls(which.name, which.version, fields.text("target"), fields.text("logical"), least)

    def written(self) -> JsonObject:
        """Give it as the journal keeps it."""
        written: JsonObject = {
            "name": self.name,
            "version": self.version,
            "target": self.target,
            "logical": self.logical,
        }
        if self.min_recall is not None:
            written["min_recall"] = self.min_recall
        return written


class Look(StrEnum):
    """What is looked at."""

    CHECK = "check"
    LIST = "list"
    SHOW = "show"


@dataclass(frozen=True, slots=True)
class LookWish:
    """Which target is looked at, and what of it; `collection` is for `show`."""

    target: str
    what: Look
    collection: str = ""

    def __post_init__(self) -> None:
        """Refuse what no engine calls a collection."""
        check_text(self.collection, what="a collection's name")

    @property
    def name(self) -> str:
        """What it is about."""
        return self.target

    @classmethod
    def parse(cls, request: JsonObject) -> "LookWish":
        """Read what `written` wrote."""
        fields = Fields(request, "the operation")
        return cls(fields.text("target"), Look(fields.text("what")), fields.text("collection"))

    def written(self) -> JsonObject:
        """Give it as the journal keeps it."""
        return {"target": self.target, "what": str(self.what), "collection": self.collection}


@dataclass(frozen=True, slots=True)
class CompactWish:
    """Which snapshot's newest version is to be written into fewer files."""

    name: str

    @classmethod
    def parse(cls, request: JsonObject) -> "CompactWish":
        """Read what `written` wrote."""
        return cls(check_segment(Fields(request, "the operation").text("name"), what="snapshot"))

    def written(self) -> JsonObject:
        """Give it as the journal keeps it."""
        return {"name": self.name}


Stored = VerifyWish | CompactWish | DiffWish | QueryWish | ExportWish | ImportWish  # what works at no target
Wish = SnapshotWish | LoadWish | LookWish | SearchWish | RetireWish | Stored


@dataclass(frozen=True, slots=True)
class Target:
    """A named connection to a vector engine; `credential` says where its password is, and is never one.

    Whoever works in one of its `namespaces` works with its credential there: `*` is all of them, none is nobody.
    """

    name: str
    provider: str
    url: str
    credential: str | None = None
    namespaces: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a secret where only its place may stand."""
        check_segment(self.name, what="target")
        for namespace in self.namespaces:
            if namespace != EVERYWHERE:
                check_namespace(namespace)
        _check_url(self.url)
        if self.credential is not None and not _CREDENTIAL.match(self.credential):
            raise InvalidError(
                "a credential is env:NAME, file:PATH or aws-secretsmanager:ID", hint="it is never the password itself"
            )

    def serves(self, namespace: str) -> bool:
        """Say whether those of a namespace may use it."""
        return namespace in self.namespaces or EVERYWHERE in self.namespaces


def _check_url(url: str) -> None:
    """Refuse what is no URL, and a secret in one; the message never repeats it."""
    if not _URL.match(url):
        raise InvalidError("the target's URL is none", hint="for example postgresql://user@host:5432/database")
    place, _, query = url.partition("?")
    user, _, _ = place.rpartition("@")
    holds_password = ":" in user.partition("://")[2]
    options = query.split("&") if query else []
    if holds_password or any(_SECRET.search(option.partition("=")[0]) for option in options):
        raise InvalidError(
            "the target's URL holds a password", hint="say where it is: --credential env:NAME or file:PATH"
        )
    if "#" in url or not all(map(_OPTION.match, options)):
        raise InvalidError(
            "the target's URL has options that are none",
            hint="write ?name=value&name=value, the names in plain letters",
        )
