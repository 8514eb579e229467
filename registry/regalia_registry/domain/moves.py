"""Whether a pointer may be a channel's next one: everything but its signatures, which core verifies."""

from datetime import datetime, timedelta

from regalia.core.digest import Digest
from regalia.core.errors import DocumentError, UnsupportedError, VerificationError
from regalia.core.statements import ChannelPointer, Move
from regalia_registry.domain.refusals import pointer_moved

_TOLERANCE = timedelta(minutes=5)
_STEP = "pointer"


def check_move(
    candidate: ChannelPointer,
    *,
    current: ChannelPointer | None,
    identity: Digest | None,
    named_before: bool,
    now: datetime,
) -> None:
    """Check a candidate against the channel as it stands.

    Args:
        candidate: The verified pointer.
        current: The channel's pointer, None where there is no channel yet.
        identity: The current pointer's identity.
        named_before: Whether the channel has named the candidate's bundle before.
        now: The registry's time.

    Raises:
        PointerMovedError: It was built on another pointer than the current one.
        VerificationError: Its sequence, times, move or bundle break a rule.
        UnsupportedError: It places collections, or rebinds them.
    """
    _check_edition(candidate)
    if candidate.previous != identity:
        raise pointer_moved(candidate.application, candidate.channel)
    _check_times(candidate, current, now)
    _check_subject(candidate, current, named_before=named_before)


def _check_edition(candidate: ChannelPointer) -> None:
    if candidate.move is Move.REBIND or candidate.collections:
        raise UnsupportedError("this registry does not place collections yet", hint="promote or restore without places")


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
    if candidate.move is Move.RENEW and not is_same:
        raise DocumentError("a renewed pointer names the bundle that the channel names", hint="reg promote moves it")
    if candidate.move is Move.RESTORE and not named_before:
        raise DocumentError(
            f'{candidate.bundle.short} was never in "{candidate.channel}"',
            hint="reg promote brings a bundle there first",
        )
    if candidate.move is Move.RESTORE and not candidate.reason:
        raise DocumentError("a restore needs a reason", hint="reg restore … --reason INC-42")
    if candidate.move is not Move.RENEW and is_same:
        raise DocumentError(
            f'"{candidate.channel}" names {candidate.bundle.short} already',
            hint="reg channel renew makes its pointer younger",
        )
