"""What is signed about bundles: release statements, channel pointers and freshness."""

from datetime import datetime
from enum import StrEnum
from typing import Self

from regalia.core import times
from regalia.core.digest import Digest
from regalia.core.dsse import MAX_PAYLOAD, Envelope
from regalia.core.errors import DocumentError, TooLargeError, UnsupportedError
from regalia.core.fields import Fields
from regalia.core.names import ApplicationName, Kind, Slot, check_channel, check_version
from regalia.core.strict_json import JsonObject, parse_object, write
from regalia.core.values import frozen

STATEMENT_PAYLOAD = "application/vnd.in-toto+json"
FRESHNESS_PAYLOAD = "application/vnd.regalia.freshness.v1+json"
MAX_REASON = 200
MAX_FALLBACKS = 8

_STATEMENT = "https://in-toto.io/Statement/v1"
_RELEASE = "urn:regalia:release:v1"
_POINTER = "urn:regalia:channel-pointer:v1"
MAX_COLLECTIONS = 1000
_MAX_NAME = 256


class Move(StrEnum):
    """Why a channel has a new pointer."""

    PROMOTE = "promote"
    RESTORE = "restore"
    RENEW = "renew"
    REBIND = "rebind"


@frozen
class Source:
    """Where a bundle was made: a repository without user or password, and its commit."""

    uri: str
    git_commit: str


@frozen
class ReleaseStatement:
    """That a bundle is a version of an application, said by a release key."""

    trust_domain: str
    application: ApplicationName
    version: str
    bundle: Digest
    issued_at: datetime
    source: Source | None = None

    @classmethod
    def of(cls, envelope: Envelope) -> Self:
        """Read the statement in an envelope; nothing is verified.

        Raises:
            DocumentError: It is no release statement.
        """
        what = "the release statement"
        application, bundle, predicate = _parse_statement(envelope, predicate_type=_RELEASE, what=what)
        predicate.exactly("application", str(application))
        return cls(
            trust_domain=predicate.text("trustDomain", max_characters=_MAX_NAME),
            application=application,
            version=check_version(predicate.text("version")),
            bundle=bundle,
            issued_at=predicate.time("issuedAt"),
            source=_parse_source(predicate.child("source")) if predicate.has("source") else None,
        )

    def payload(self) -> bytes:
        """Write what is signed; the inverse of `of`."""
        predicate: JsonObject = {
            "trustDomain": self.trust_domain,
            "application": str(self.application),
            "version": self.version,
            "issuedAt": times.write(self.issued_at),
        }
        if self.source is not None:
            predicate["source"] = {"uri": self.source.uri, "digest": {"gitCommit": self.source.git_commit}}
        return _write_statement(self.application, self.bundle, _RELEASE, predicate)


@frozen
class Place:
    """Where a pointer says that a snapshot's collection lives; a target is only a name to agents."""

    slot: Slot
    snapshot: Digest
    provider: str
    target: str
    collection: str
    table: str | None = None

    @classmethod
    def parse(cls, fields: Fields) -> Self:
        """Read a place; the inverse of `written`."""
        slot = Slot.parse(fields.text("slot"))
        if slot.kind is not Kind.SNAPSHOT:
            raise DocumentError(f'{fields.what} places the slot "{slot}", which is no snapshot')
        return cls(
            slot=slot,
            snapshot=Digest.parse(fields.text("snapshot")),
            provider=fields.text("provider", max_characters=_MAX_NAME),
            target=fields.text("target", max_characters=_MAX_NAME),
            collection=fields.text("collection", max_characters=_MAX_NAME),
            table=fields.text("table", max_characters=_MAX_NAME) if fields.has("table") else None,
        )

    def written(self) -> dict[str, str]:
        """Give its JSON."""
        told = {
            "slot": str(self.slot),
            "snapshot": str(self.snapshot),
            "provider": self.provider,
            "target": self.target,
            "collection": self.collection,
        }
        return told if self.table is None else {**told, "table": self.table}


@frozen
class ChannelPointer:
    """Which bundle a channel names, said by a channel key; later ones have a higher (epoch, sequence)."""

    trust_domain: str
    application: ApplicationName
    channel: str
    epoch: int
    sequence: int
    bundle: Digest
    move: Move
    reason: str
    issued_at: datetime
    expires: datetime
    previous: Digest | None = None
    collections: tuple[Place, ...] = ()
    fallbacks: tuple[Digest, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what no reader would take."""
        if len(self.reason) > MAX_REASON:
            raise TooLargeError(f"the reason has {len(self.reason)} characters, the cap is {MAX_REASON}")
        if len(self.fallbacks) > MAX_FALLBACKS:
            raise TooLargeError(f"the pointer has {len(self.fallbacks)} fallbacks, the cap is {MAX_FALLBACKS}")
        if self.expires <= self.issued_at:
            raise DocumentError("the pointer expires before it was issued")
        slots = [place.slot for place in self.collections]
        if sorted(set(slots), key=str) != slots:
            raise DocumentError("the pointer's collections are not sorted by slot, each once")

    @property
    def order(self) -> tuple[int, int]:
        """What pointers of one channel compare by."""
        return self.epoch, self.sequence

    @classmethod
    def of(cls, envelope: Envelope) -> Self:
        """Read the pointer in an envelope; nothing is verified.

        Raises:
            DocumentError: It is no channel pointer.
            UnsupportedError: It is signed by the restore role, which this version does not verify.
        """
        application, bundle, predicate = _parse_statement(envelope, predicate_type=_POINTER, what="the pointer")
        predicate.exactly("application", str(application))
        if predicate.has("base"):
            raise UnsupportedError(
                "the pointer is signed by the restore role, which this version does not verify",
                hint="upgrade regalia, or have a channel key sign a pointer",
            )
        return cls(
            trust_domain=predicate.text("trustDomain", max_characters=_MAX_NAME),
            application=application,
            channel=check_channel(predicate.text("channel")),
            epoch=predicate.integer("epoch", minimum=1),
            sequence=predicate.integer("sequence", minimum=1),
            bundle=bundle,
            move=_parse_move(predicate.text("move")),
            reason=predicate.text("reason"),
            issued_at=predicate.time("issuedAt"),
            expires=predicate.time("expires"),
            previous=parse_digest_set(predicate.child("previous")) if predicate.has("previous") else None,
            collections=tuple(map(Place.parse, predicate.children("collections", maximum=MAX_COLLECTIONS))),
            fallbacks=tuple(map(Digest.parse, predicate.texts("fallbacks", maximum=MAX_FALLBACKS))),
        )

    def payload(self) -> bytes:
        """Write what is signed; the inverse of `of`."""
        predicate: JsonObject = {
            "trustDomain": self.trust_domain,
            "application": str(self.application),
            "channel": self.channel,
            "epoch": self.epoch,
            "sequence": self.sequence,
            "move": str(self.move),
            "reason": self.reason,
            "issuedAt": times.write(self.issued_at),
            "expires": times.write(self.expires),
            "collections": [{**place.written()} for place in self.collections],
            "fallbacks": [str(fallback) for fallback in self.fallbacks],
        }
        if self.previous is not None:
            predicate["previous"] = {"sha256": self.previous.hex}
        return _write_statement(self.application, self.bundle, _POINTER, predicate)


@frozen
class Freshness:
    """That a pointer is a channel's newest, said by the registry for a day."""

    trust_domain: str
    application: ApplicationName
    channel: str
    epoch: int
    sequence: int
    pointer: Digest
    root_version: int
    revocations_version: int
    issued_at: datetime
    expires: datetime

    @property
    def order(self) -> tuple[datetime, int, int]:
        """What freshness documents of one pointer compare by."""
        return self.issued_at, self.root_version, self.revocations_version

    @classmethod
    def of(cls, envelope: Envelope) -> Self:
        """Read the freshness in an envelope; nothing is verified.

        Raises:
            DocumentError: It is no freshness document.
            UnsupportedError: It demands a revocation list, which this version does not read.
        """
        what = "the freshness"
        envelope.check_type(FRESHNESS_PAYLOAD, what=what)
        fields = Fields(parse_object(envelope.payload, what=what, max_bytes=MAX_PAYLOAD), what)
        pointer = fields.child("pointer")
        revocations_version = fields.integer("revocationsVersion")
        if revocations_version > 0:
            raise UnsupportedError(
                "the registry has a revocation list, which this version does not read", hint="upgrade regalia"
            )
        return cls(
            trust_domain=fields.text("trustDomain", max_characters=_MAX_NAME),
            application=ApplicationName.parse(fields.text("application")),
            channel=check_channel(fields.text("channel")),
            epoch=pointer.integer("epoch", minimum=1),
            sequence=pointer.integer("sequence", minimum=1),
            pointer=parse_digest_set(pointer.child("digest")),
            root_version=fields.integer("rootVersion", minimum=1),
            revocations_version=revocations_version,
            issued_at=fields.time("issuedAt"),
            expires=fields.time("expires"),
        )

    def payload(self) -> bytes:
        """Write what is signed; the inverse of `of`."""
        return write(
            {
                "trustDomain": self.trust_domain,
                "application": str(self.application),
                "channel": self.channel,
                "pointer": {"epoch": self.epoch, "sequence": self.sequence, "digest": {"sha256": self.pointer.hex}},
                "rootVersion": self.root_version,
                "revocationsVersion": self.revocations_version,
                "issuedAt": times.write(self.issued_at),
                "expires": times.write(self.expires),
            }
        )


def parse_digest_set(fields: Fields) -> Digest:
    """Read in-toto's digest set, which holds exactly one SHA-256 with us."""
    if set(fields.raw) != {"sha256"}:
        raise DocumentError(f"{fields.what} has the algorithms {sorted(fields.raw)[:8]}, expected sha256 alone")
    return Digest(fields.text("sha256"))


def _parse_statement(envelope: Envelope, *, predicate_type: str, what: str) -> tuple[ApplicationName, Digest, Fields]:
    envelope.check_type(STATEMENT_PAYLOAD, what=what)
    fields = Fields(parse_object(envelope.payload, what=what, max_bytes=MAX_PAYLOAD), what)
    fields.exactly("_type", _STATEMENT)
    fields.exactly("predicateType", predicate_type)
    subjects = fields.children("subject", maximum=1)
    if len(subjects) != 1:
        raise DocumentError(f"{what} has {len(subjects)} subjects, expected one")
    application = ApplicationName.parse(subjects[0].text("name"))
    return application, parse_digest_set(subjects[0].child("digest")), fields.child("predicate")


def _write_statement(application: ApplicationName, bundle: Digest, predicate_type: str, predicate: JsonObject) -> bytes:
    return write(
        {
            "_type": _STATEMENT,
            "subject": [{"name": str(application), "digest": {"sha256": bundle.hex}}],
            "predicateType": predicate_type,
            "predicate": predicate,
        }
    )


def _parse_source(fields: Fields) -> Source:
    return Source(fields.text("uri", max_characters=2048), fields.child("digest").text("gitCommit", max_characters=64))


def _parse_move(text: str) -> Move:
    if text not in set(Move):
        raise DocumentError(f"the pointer's move is {text[:40]!r}, expected one of {', '.join(Move)}")
    return Move(text)
