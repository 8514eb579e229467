"""Client verification, step by step: documents in, verified values out, or an error that names the step.

The order of the steps and what is remembered between them belong to the caller; nothing here reads a clock or a disk.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from enum import Enum
from typing import TypeVar

from regalia.core.bundle import BundleIndex
from regalia.core.digest import Digest
from regalia.core.dsse import Envelope
from regalia.core.errors import (
    ClockError,
    EquivocationError,
    ExpiredError,
    RegaliaError,
    RollbackError,
    UnsupportedError,
    VerificationError,
)
from regalia.core.names import ApplicationName, Kind
from regalia.core.statements import ChannelPointer, Freshness, ReleaseStatement
from regalia.core.trust import Role, Root
from regalia.core.values import frozen

CLOCK_TOLERANCE = timedelta(minutes=5)
MAX_CLOCK_LAG = timedelta(days=1)

Parsed = TypeVar("Parsed")


@frozen
class Seen:
    """What a client never goes behind: the order of the newest pointer it trusted, and which one it was."""

    order: tuple[int, int]
    identity: Digest


@frozen
class VerifiedPointer:
    """A pointer that its channel's keys signed; `identity` is the digest of its payload."""

    pointer: ChannelPointer
    identity: Digest
    envelope: bytes

    @property
    def seen(self) -> Seen:
        """What to remember of it for ever."""
        return Seen(self.pointer.order, self.identity)


@frozen
class VerifiedRelease:
    """A release statement that the application's release keys signed."""

    statement: ReleaseStatement
    identity: Digest
    envelope: bytes


class Age(Enum):
    """How a pointer stands to the one remembered."""

    NEWER = "newer"
    SAME = "same"
    OLDER = "older"


def verify_pointer(body: bytes, *, root: Root, application: ApplicationName, channel: str) -> VerifiedPointer:
    """Verify a channel pointer's signatures, subject, trust domain, channel and epoch; not its order or expiry.

    Raises:
        VerificationError: It is malformed, short of signatures, or about something else.
        UnsupportedError: It is signed by the restore role.
    """
    step = "pointer"
    envelope = _parsed(step, lambda: Envelope.parse(body, what="the pointer"))
    delegation = root.require(envelope, Role.CHANNEL, application, channel)
    pointer = _parsed(step, lambda: ChannelPointer.of(envelope))
    _same(step, "trust domain", pointer.trust_domain, root.trust_domain)
    _same(step, "application", pointer.application, application)
    _same(step, "channel", pointer.channel, channel)
    _same(step, "epoch", pointer.epoch, delegation.epoch)
    return VerifiedPointer(pointer, envelope.identity, body)


def verify_freshness(body: bytes, *, root: Root, pointer: VerifiedPointer) -> Freshness:
    """Verify that a freshness document is signed and names exactly this pointer; not its expiry.

    Raises:
        VerificationError: It is malformed, short of signatures, or about another pointer.
        UnsupportedError: It demands a revocation list.
    """
    step, named = "freshness", pointer.pointer
    envelope = _parsed(step, lambda: Envelope.parse(body, what="the freshness"))
    root.require(envelope, Role.FRESHNESS, named.application, named.channel)
    freshness = _parsed(step, lambda: Freshness.of(envelope))
    _same(step, "trust domain", freshness.trust_domain, root.trust_domain)
    _same(step, "application", freshness.application, named.application)
    _same(step, "channel", freshness.channel, named.channel)
    _same(step, "epoch", freshness.epoch, named.epoch)
    _same(step, "sequence", freshness.sequence, named.sequence)
    _same(step, "pointer", freshness.pointer, pointer.identity)
    return freshness


def verify_release(
    body: bytes, *, root: Root, application: ApplicationName, bundle: Digest, version: str | None = None
) -> VerifiedRelease:
    """Verify that a release statement is signed and about this bundle, and this version where one is asked for.

    Raises:
        VerificationError: It is malformed, short of signatures, or about something else.
    """
    step = "release"
    envelope = _parsed(step, lambda: Envelope.parse(body, what="the release statement"))
    root.require(envelope, Role.RELEASE, application, None)
    statement = _parsed(step, lambda: ReleaseStatement.of(envelope))
    _same(step, "trust domain", statement.trust_domain, root.trust_domain)
    _same(step, "application", statement.application, application)
    _same(step, "bundle", statement.bundle, bundle)
    if version is not None:
        _same(step, "version", statement.version, version)
    return VerifiedRelease(statement, envelope.identity, body)


def verify_index(body: bytes, *, release: ReleaseStatement) -> BundleIndex:
    """Verify that a bundle index is the one that was released, under its name and version.

    Raises:
        VerificationError: The bytes are another bundle's, or malformed.
    """
    step = "bundle"
    release.bundle.check(body, what="the bundle index", step=step)
    index = _parsed(step, lambda: BundleIndex.parse(body))
    _same(step, "application", index.application, release.application)
    _same(step, "version", index.version, release.version)
    return index


def verify_places(pointer: ChannelPointer, index: BundleIndex) -> None:
    """Check that a pointer places all of the bundle's snapshots and nothing else, or none at all.

    Raises:
        VerificationError: The places do not match the snapshot members one to one.
    """
    if not pointer.collections:
        return
    placed = {(place.slot, place.snapshot) for place in pointer.collections}
    pinned = {(member.slot, member.digest) for member in index.members if member.slot.kind is Kind.SNAPSHOT}
    if placed != pinned:
        raise VerificationError("the pointer's collections are not the bundle's snapshots", step="bundle")


def compare(candidate: VerifiedPointer, seen: Seen | None) -> Age:
    """Say whether a pointer is newer than the newest that was seen of its channel.

    Raises:
        EquivocationError: Both have one (epoch, sequence) and different payloads.
    """
    if seen is None or candidate.pointer.order > seen.order:
        return Age.NEWER
    if candidate.pointer.order < seen.order:
        return Age.OLDER
    if candidate.identity != seen.identity:
        epoch, sequence = candidate.pointer.order
        raise EquivocationError(
            f'channel "{candidate.pointer.channel}" has two pointers with the sequence {epoch}.{sequence}',
            hint="a channel key signed twice, or is stolen: ask who keeps it, and see the page on a stolen channel key",
            step="pointer",
        )
    return Age.SAME


def check_floor(pointer: ChannelPointer, floor: tuple[int, int] | None) -> None:
    """Refuse a pointer below the floor that this client was given.

    Raises:
        RollbackError: Its (epoch, sequence) is lower.
    """
    if floor is not None and pointer.order < floor:
        raise RollbackError(
            f"the pointer has the sequence {pointer.epoch}.{pointer.sequence}, expected {floor[0]}.{floor[1]} or more",
            hint="the registry shows an old state: check it, or lower min_pointer if that is meant",
            step="pointer",
        )


def trusted_now(now: datetime, *, newest_issued: datetime) -> datetime:
    """Give the moment to judge expiry by: the clock, but never before what was already trusted.

    Raises:
        ClockError: The clock is more than a day behind.
    """
    if now < newest_issued - MAX_CLOCK_LAG:
        raise ClockError(
            f"the clock says {now:%Y-%m-%d %H:%M}, a trusted document was issued at {newest_issued:%Y-%m-%d %H:%M}",
            hint="set the clock; expiry can't be judged by it",
        )
    return max(now, newest_issued)


def expiry_of(root: Root, pointer: ChannelPointer | None, freshness: Freshness | None) -> ExpiredError:
    """Find which document ends first, as the error that it would be."""
    ends = [("root", root.expires, "renew it: reg trust renew")]
    if pointer is not None:
        ends.append(
            ("pointer", pointer.expires, f"renew it: reg channel renew {pointer.application}:{pointer.channel}")
        )
    if freshness is not None:
        ends.append(
            ("freshness", freshness.expires + CLOCK_TOLERANCE, "the registry did not answer for a day: reg doctor")
        )
    document, expires, hint = min(ends, key=lambda end: end[1])
    return ExpiredError(document, expires, hint=hint)


def _parsed(step: str, parse: Callable[[], Parsed]) -> Parsed:
    """Name the step in whatever a parser refuses: verification fails closed, with one kind of error."""
    try:
        return parse()
    except (VerificationError, UnsupportedError):
        raise
    except RegaliaError as error:
        raise VerificationError(error.message, hint=error.hint, step=step) from error


def _same(step: str, what: str, got: object, expected: object) -> None:
    if got != expected:
        raise VerificationError(f'the {step} names the {what} "{got}", expected "{expected}"', step=step)
