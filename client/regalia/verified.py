"""A bundle whose every document verified, as the resolver holds it."""

from datetime import datetime, timedelta

from regalia.cache import Record
from regalia.core.bundle import BundleIndex
from regalia.core.errors import ExpiredError
from regalia.core.manifest import Artifact
from regalia.core.names import Slot
from regalia.core.statements import Freshness
from regalia.core.trust import TrustedRoot
from regalia.core.values import frozen, replace
from regalia.core.verification import Seen, VerifiedPointer, VerifiedRelease, expiry_of

_RECENT = timedelta(minutes=1)


@frozen
class VerifiedBundle:
    """A bundle whose every document verified under `root`, complete in the cache.

    The pointer of a pinned one says only where its collections are: it neither expires nor is remembered.
    """

    root: TrustedRoot
    release: VerifiedRelease
    index: BundleIndex
    artifacts: dict[Slot, Artifact]
    confirmed_at: datetime
    pointer: VerifiedPointer | None = None
    freshness: Freshness | None = None
    record: Record | None = None
    is_pinned: bool = False

    @property
    def seen(self) -> Seen | None:
        """What to remember of its channel."""
        return None if self.pointer is None or self.is_pinned else self.pointer.seen

    @property
    def expiry(self) -> ExpiredError:
        """What ends first, and when."""
        pointer = None if self.pointer is None or self.is_pinned else self.pointer.pointer
        return expiry_of(self.root.root, pointer, self.freshness)

    @property
    def newest_issued(self) -> datetime:
        """The latest time that a trusted document says it was made."""
        moments = [self.release.statement.issued_at]
        moments += [] if self.pointer is None else [self.pointer.pointer.issued_at]
        moments += [] if self.freshness is None else [self.freshness.issued_at]
        return max(moments)


def newest_freshness(candidate: VerifiedBundle, good: VerifiedBundle | None) -> VerifiedBundle:
    """Keep the newest freshness of a pointer: a replayed older one is genuine too."""
    if good is None or good.pointer is None or candidate.pointer is None or candidate.record is None:
        return candidate
    if good.freshness is None or candidate.freshness is None or good.record is None:
        return candidate
    if good.pointer.identity != candidate.pointer.identity or good.freshness.order <= candidate.freshness.order:
        return candidate
    return replace(
        candidate,
        freshness=good.freshness,
        record=replace(candidate.record, freshness=good.record.freshness, etag=""),
    )


def is_as_good(there: Record, confirmed: Record) -> bool:
    """Say whether the disk already holds this, confirmed a moment ago."""
    return (
        replace(there, confirmed_at=confirmed.confirmed_at) == confirmed
        and confirmed.confirmed_at - there.confirmed_at < _RECENT
    )
