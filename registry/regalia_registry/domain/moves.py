"""Whether a pointer may be a channel's next one: everything but its signatures, which core verifies."""

from datetime import datetime, timedelta

from regalia.core.digest import Digest
from regalia.core.errors import DocumentError, VerificationError
from regalia.core.statements import ChannelPointer, Move, Place
from regalia_registry.domain.refusals import pointer_moved

_TOLERANCE = timedelta(minutes=5)
_STEP = "pointer"


def check_move(
    candidate: ChannelPointer,
    *,
    current: ChannelPointer | None,
    identity: Digest | None,
    named_before: bool,
    prepared: tuple[Place, ...] | None,
    now: datetime,
) -> None:  # the channel as it stands, in five facts
    """Check a candidate against the channel as it stands.

    Args:
        candidate: The verified pointer.
        current: The channel's pointer, None where there is no channel yet.
        identity: The current pointer's identity.
        named_before: Whether the channel has named the candidate's bundle before.
        prepared: The places that an operation has prepared for it, None where there is no operation.
        now: The registry's time.

    Raises:
        PointerMovedError: It was built on another pointer than the current one.
        VerificationError: Its sequence or times break a rule.
        DocumentError: Its move, bundle or places do.
    """
    if candidate.previous != identity:
        raise pointer_moved(candidate.application, candidate.channel)
    _check_times(candidate, current, now)
    _check_subject(candidate, current, named_before=named_before)
    _check_places(candidate, current, prepared)


def _check_places(
    candidate: ChannelPointer, current: ChannelPointer | None, prepared: tuple[Place, ...] | None
) -> None:
    """Let a pointer name just what was prepared for it; a renewed one names what the channel names."""
    if candidate.move is Move.RENEW:
        prepared = () if current is None else current.collections
    if candidate.collections != (prepared or ()):
        raise DocumentError(
            "the pointer places other collections than were prepared for it", hint="sign what the proposal says"
        )
    if candidate.move is Move.REBIND and prepared is None:
        raise DocumentError("a channel is bound anew by an operation", hint="reg restore … --to current")


def _check_times(candidate: ChannelPointer, current: ChannelPointer | None, now: datetime) -> None:
    lowest = 1 if current is None else current.sequence + 1  # a new epoch goes on counting: history goes by sequence
    highest = max(lowest, int((now + _TOLERANCE).timestamp()))
    if not lowest <= candidate.sequence <= highest:
        raise VerificationError(
            f"the pointer has the sequence {candidate.sequence}, expected {lowest} to {highest}",
            hint="check the clock of the machine that signs: reg doctor",
            step=_STEP,
        )
    if candidate.issued_at > now + _TOLERANCE:
        raise VerificationError(
            f"the pointer was issued at {candidate.issued_at:%Y-%m-%d %H:%M:%S}, it is {now:%Y-%m-%d %H:%M:%S}",
            hint="check the clock of the machine that signs: reg doctor",
            step=_STEP,
        )
    if candidate.expires <= now:
        raise VerificationError("the pointer has expired already", hint="sign a new one", step=_STEP)


def _check_subject(candidate: ChannelPointer, current: ChannelPointer | None, *, named_before: bool) -> None:
    is_same = current is not None and current.bundle == candidate.bundle
    keeps_bundle = candidate.move in {Move.RENEW, Move.REBIND}
    if keeps_bundle and not is_same:
        raise DocumentError(
            f"a {candidate.move} pointer names the bundle that the channel names", hint="reg promote moves it"
        )
    if candidate.move is Move.RESTORE and not named_before:
        raise DocumentError(
            f'{candidate.bundle.short} was never in "{candidate.channel}"',
            hint="reg promote brings a bundle there first",
        )
    if candidate.move is Move.RESTORE and not candidate.reason:
        raise DocumentError("a restore needs a reason", hint="reg restore … --reason INC-42")
    if not keeps_bundle and is_same:
        raise DocumentError(
            f'"{candidate.channel}" names {candidate.bundle.short} already',
            hint="reg channel renew makes its pointer younger",
        )
