"""Every error that Regalia raises: one tree, each class with a stable code that travels over the wire.

RegaliaError
├── InvalidError                 what was given is malformed; nothing was stored
│   ├── InvalidNameError         a name, slot, channel or reference
│   ├── InvalidVersionError      not SemVer, or a range that means nothing
│   ├── DocumentError            a document of ours that does not parse
│   ├── SourceError              an author's file
│   ├── RequestShapeError        a request body or parameter
│   └── TooLargeError            over a cap
├── UnsupportedError             well formed, and of a later edition of the format
├── RenderError                  a variable is missing, unknown or unusable
├── VerificationError            fail closed; `step` names the step
│   ├── DigestError              bytes do not hash to their name
│   ├── SignatureError           too few valid signatures of the right keys
│   ├── TrustRootError           the root document or its walk
│   ├── RollbackError            older than what was already trusted
│   ├── EquivocationError        one sequence, two payloads
│   └── RevokedError             named by the revocation list
├── ExpiredError                 genuine, and too old: stale, not forged
├── ClockError                   this machine's clock is behind what it has already trusted
├── NotPlacedError               the bundle's collection is nowhere
├── AccessError
│   ├── UnauthenticatedError     no token, or one that is not known
│   └── ForbiddenError           known, without the right
├── NotFoundError
├── ConflictError
│   ├── VersionConflictError     the same version with other content
│   ├── PointerMovedError        the channel moved since the proposal
│   │   └── PointerVoidError     the very same pointer was refused before
│   └── BundleHeldError          the bundle is on hold
├── MisdirectedError             a Host that is not ours
├── ConfigurationError           this machine's settings
└── UnavailableError             perhaps later; the only one that may be retried
    ├── BusyError                too many requests
    └── StorageFullError         no space left
"""

from datetime import datetime


class RegaliaError(Exception):
    """What went wrong, got against expected, and what to do next."""

    code = "error"

    def __init__(self, message: str, *, hint: str = "") -> None:
        """Keep the message for the person and the hint for the next step."""
        super().__init__(message)
        self.message = message
        self.hint = hint


class InvalidError(RegaliaError):
    """What was given is malformed; nothing was stored."""

    code = "invalid"


class InvalidNameError(InvalidError):
    """A name, slot, channel or reference that the grammar does not have."""

    code = "invalid_name"


class InvalidVersionError(InvalidError):
    """A version that is not SemVer, or a range that means nothing."""

    code = "invalid_version"


class DocumentError(InvalidError):
    """A document of ours that does not parse strictly."""

    code = "invalid_document"


class SourceError(InvalidError):
    """An author's file that can't become an artifact."""

    code = "invalid_source"


class RequestShapeError(InvalidError):
    """A request whose body or parameters have another shape than the route's."""

    code = "invalid_request"


class TooLargeError(InvalidError):
    """More bytes, members, keys or signatures than the caps allow."""

    code = "too_large"


class UnsupportedError(RegaliaError):
    """Well formed, but of an edition of the format that this version does not speak."""

    code = "unsupported"


class RenderError(RegaliaError):
    """A prompt that can't be rendered with these variables."""

    code = "render"


class VerificationError(RegaliaError):
    """Something did not verify; nothing of it is used. `step` says where."""

    code = "verification_failed"

    def __init__(self, message: str, *, hint: str = "", step: str = "") -> None:
        """Keep which step of the verification refused."""
        super().__init__(message, hint=hint)
        self.step = step


class DigestError(VerificationError):
    """Bytes that do not hash to their name."""

    code = "digest_mismatch"


class SignatureError(VerificationError):
    """Fewer valid signatures of the right keys than the threshold."""

    code = "bad_signature"


class TrustRootError(VerificationError):
    """A trust root that breaks a rule, or a step of its walk that does not follow."""

    code = "bad_trust_root"


class RollbackError(VerificationError):
    """Genuine, but older than what was trusted before."""

    code = "rollback"


class EquivocationError(VerificationError):
    """Two different payloads under one sequence number: somebody signed twice."""

    code = "equivocation"


class RevokedError(VerificationError):
    """The bundle is on the application's revocation list."""

    code = "revoked"


class ExpiredError(RegaliaError):
    """Genuine, and past its expiry: stale, not forged."""

    code = "expired"

    def __init__(self, document: str, expired_at: datetime, *, hint: str = "") -> None:
        """Name the document (`root`, `pointer`, `freshness`) and when it ended."""
        super().__init__(f"{document} expired at {expired_at:%Y-%m-%dT%H:%M:%SZ}", hint=hint)
        self.document = document
        self.expired_at = expired_at


class ClockError(RegaliaError):
    """This machine's clock is more than a day behind what it has already trusted."""

    code = "clock_behind"


class NotPlacedError(RegaliaError):
    """The bundle pins this snapshot, and the pointer places it nowhere."""

    code = "not_placed"


class AccessError(RegaliaError):
    """The request is not allowed."""

    code = "access"


class UnauthenticatedError(AccessError):
    """No token, or one that is unknown, expired or revoked."""

    code = "unauthenticated"


class ForbiddenError(AccessError):
    """A known token without the right that this needs."""

    code = "forbidden"


class NotFoundError(RegaliaError):
    """There is no such thing, or nothing that this token may see."""

    code = "not_found"


class ConflictError(RegaliaError):
    """It can't be done in the state that things are in."""

    code = "conflict"


class VersionConflictError(ConflictError):
    """This version exists with other content."""

    code = "version_conflict"


class PointerMovedError(ConflictError):
    """The channel moved since the proposal was read."""

    code = "pointer_moved"


class PointerVoidError(PointerMovedError):
    """The very same pointer was refused before, and is never served."""

    code = "pointer_void"


class BundleHeldError(ConflictError):
    """The bundle is on hold: nothing may newly name it."""

    code = "bundle_held"


class MisdirectedError(RegaliaError):
    """The request names a host that this registry does not answer for."""

    code = "misdirected"


class ConfigurationError(RegaliaError):
    """A setting, key or file of this machine is missing or unusable."""

    code = "configuration"


class UnavailableError(RegaliaError):
    """It did not answer, and may later; the only error that may be retried."""

    code = "unavailable"


class BusyError(UnavailableError):
    """Too many requests for the moment."""

    code = "busy"


class StorageFullError(UnavailableError):
    """There is no space left to write."""

    code = "storage_full"


def classes() -> dict[str, type[RegaliaError]]:
    """Map every code to its class."""
    found: dict[str, type[RegaliaError]] = {}
    waiting = [RegaliaError]
    while waiting:
        current = waiting.pop()
        found[current.code] = current
        waiting.extend(current.__subclasses__())
    return found
