"""Resolving: one request, every step verified, never backwards, and the last known good where that fails."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import partial

import regalia
from regalia.bundle import Bundle, Origin, Provenance
from regalia.cache import Cache, Record
from regalia.calls import Registry
from regalia.core import times
from regalia.core.bundle import BundleIndex
from regalia.core.digest import Digest
from regalia.core.errors import (
    EquivocationError,
    InvalidError,
    NotPlacedError,
    RegaliaError,
    RollbackError,
    VerificationError,
)
from regalia.core.oci import Descriptor
from regalia.core.references import BundleReference
from regalia.core.statements import Freshness
from regalia.core.trust import MAX_ROOT_STEPS, TrustedRoot
from regalia.core.values import frozen, replace
from regalia.core.verification import (
    Age,
    Seen,
    VerifiedPointer,
    VerifiedRelease,
    check_floor,
    compare,
    trusted_now,
    verify_freshness,
    verify_index,
    verify_places,
    verify_pointer,
    verify_release,
)
from regalia.gathering import Gatherer
from regalia.settings import OnStale, Settings
from regalia.trusting import TrustStore
from regalia.verified import VerifiedBundle, is_as_good, newest_freshness
from regalia.wire.resolution import MAX_ROOTS, Resolution

TYPE_CHECKING = False  # what type checkers read as true: these are loaded when they are used

if TYPE_CHECKING:
    import regalia.notices

_PATIENT_S = 20.0
_BRIEF_S = 2.0  # how long an agent that could start from its disk waits for news
_GRACE = timedelta(days=14)
_ASK_AGAIN = timedelta(minutes=1)

Clock = Callable[[], datetime]


@frozen
class _Known:
    """What was trusted before: the last known good if it still verifies, and how far the channel had come."""

    good: VerifiedBundle | None = None
    seen: Seen | None = None
    complaint: str = ""


@frozen
class Resolved:
    """A bundle, and until when it may be given out again without asking."""

    bundle: Bundle
    until: datetime


@frozen
class Documents:
    """A bundle's index and release statement, as exact bytes."""

    index: bytes
    release: bytes


class Resolver:
    """Resolves references of one trust domain. One call at a time; the client sees to that."""

    def __init__(self, settings: Settings, registry: Registry, clock: Clock) -> None:
        """Find the trust root.

        Raises:
            ConfigurationError: None was given.
        """
        self._settings = settings
        self._registry = registry
        self._clock = clock
        self.trust = TrustStore(settings, registry)
        self._kept: dict[BundleReference, VerifiedBundle] = {}
        self.behind = 0
        self.report: Mapping[str, str] = {}  # what questions tell of who asks

    @property
    def _cache(self) -> Cache:
        return self.trust.cache

    def resolve(self, reference: BundleReference, *, patient: bool) -> Resolved:
        """Ask the registry once; where its answer is of no use, take the last known good.

        Args:
            reference: What to resolve.
            patient: Whether to wait for a slow registry though the disk would do.

        Raises:
            VerificationError: A step failed, and nothing known is usable; `step` names it.
            EquivocationError: One sequence has two pointers.
            NotPlacedError: The collections of a pinned bundle are gone.
            ExpiredError: A document has expired and `on_stale` allows it no longer.
            RegaliaError: Whatever else kept the registry from answering.
        """
        now = times.whole_second(self._clock())
        known = self._recall(reference, self.trust.newest())
        try:
            return self._give(reference, self._ask(reference, known, now, patient=patient), now)
        except (EquivocationError, NotPlacedError):
            raise
        except RegaliaError as error:
            return self._fall_back(reference, error, now)

    def documents(self, reference: BundleReference) -> Documents:
        """Give the signed documents of a reference that was resolved before."""
        kept = self._kept[reference]
        return Documents(kept.index.body, kept.release.envelope)

    def blob(self, namespace: str, descriptor: Descriptor) -> bytes:
        """Get a blob's verified bytes, from the cache or the registry."""
        return Gatherer(self._cache, self._registry, {}).layer(namespace, descriptor)

    def _recall(self, reference: BundleReference, root: TrustedRoot) -> _Known:
        """Verify what was remembered, from its bytes; expiry is judged when it is used."""
        record = self._cache.record(reference)
        kept = self._kept.get(reference)
        if kept is not None and kept.root.identity == root.identity and (record is None or kept.record == record):
            return _Known(kept, kept.seen)
        if record is None:
            return _Known()
        try:
            good = self._verify_record(reference, record, root)
        except RegaliaError as error:
            return _Known(None, record.seen, f"the last known good is of no use: {error.message}")
        self._kept[reference] = good
        return _Known(good, record.seen)

    def _verify_record(self, reference: BundleReference, record: Record, root: TrustedRoot) -> VerifiedBundle:
        pointer, freshness = None, None
        if reference.channel is not None:
            pointer = self._verify_pointer(reference, record.pointer or b"", root)
            freshness = self._verify_old_freshness(record, root, pointer) if reference.moves else None
        body = self._cache.blob(record.bundle)
        if body is None:
            raise VerificationError(f"the cache lacks the bundle {record.bundle.short}", step="bundle")
        release, index = self._verify_bundle(reference, record.release, body, pointer, root)
        artifacts = Gatherer(self._cache, None, {}).artifacts(index)
        confirmed_at, is_pinned = record.confirmed_at, reference.is_pinned
        return VerifiedBundle(root, release, index, artifacts, confirmed_at, pointer, freshness, record, is_pinned)

    def _verify_old_freshness(self, record: Record, root: TrustedRoot, pointer: VerifiedPointer) -> Freshness | None:
        """Read the remembered freshness; one whose key the root has replaced since tells nothing any more."""
        try:
            return verify_freshness(record.freshness or b"", root=root.root, pointer=pointer)
        except VerificationError:
            return None

    def _verify_pointer(self, reference: BundleReference, body: bytes, root: TrustedRoot) -> VerifiedPointer:
        verified = verify_pointer(
            body, root=root.root, application=reference.application, channel=str(reference.channel)
        )
        if reference.moves:
            check_floor(verified.pointer, self._settings.min_pointer)
        elif verified.pointer.bundle != reference.digest:
            raise VerificationError(f'the pointer names another bundle than "{reference}"', step="pointer")
        return verified

    def _verify_bundle(
        self,
        reference: BundleReference,
        release: bytes,
        index: bytes,
        pointer: VerifiedPointer | None,
        root: TrustedRoot,
    ) -> tuple[VerifiedRelease, BundleIndex]:
        digest = pointer.pointer.bundle if pointer is not None else reference.digest or Digest.of(index)
        verified = verify_release(
            release, root=root.root, application=reference.application, bundle=digest, version=reference.version
        )
        parsed = verify_index(index, release=verified.statement)
        if pointer is not None:
            verify_places(pointer.pointer, parsed)
        return verified, parsed

    def _ask(self, reference: BundleReference, known: _Known, now: datetime, *, patient: bool) -> VerifiedBundle:
        """Get a verified, unexpired and committed answer; one that lags behind is asked for once more."""
        timeout_s = _BRIEF_S if known.good is not None and not patient else _PATIENT_S
        for _ in range(2):
            candidate = self._candidate(reference, known, now, timeout_s)
            if candidate is not None:
                self._check_expiry(candidate, known, now)
                committed = self._commit(reference, candidate, known)
                if committed is not None:
                    return committed
            self.behind += 1
        raise RollbackError(
            f'the registry shows an older pointer of "{reference}" than was trusted before',
            hint="a replica lags, or somebody replays an old state: reg channel show, reg doctor",
            step="pointer",
        )

    def _candidate(
        self, reference: BundleReference, known: _Known, now: datetime, timeout_s: float
    ) -> VerifiedBundle | None:
        root, record = self.trust.newest(), None if known.good is None else known.good.record
        for _ in range(MAX_ROOT_STEPS // MAX_ROOTS):
            have = None if known.good is None else known.good.index.digest
            question = (root.root.version, have)
            headers = dict(self.report)
            if record is not None and record.etag and (record.etag_root, record.etag_have) == question:
                headers["If-None-Match"] = record.etag
            response = self._registry.resolve(
                reference,
                root=root.root.version,
                have=have,
                headers=headers,
                timeout_s=timeout_s,
            )
            if response.status == 304 and known.good is not None and record is not None:
                return replace(known.good, confirmed_at=now)
            answer = _parsed(response.body)
            before, root = root, self.trust.walk(answer.roots)
            if len(answer.roots) < MAX_ROOTS or root.root.version == before.root.version:
                break
        etag = response.headers.get("etag", "")[:256]
        return self._verify(reference, answer, known, now, _Question(root, etag, *question))

    def _verify(
        self, reference: BundleReference, answer: Resolution, known: _Known, now: datetime, question: "_Question"
    ) -> VerifiedBundle | None:
        root, pointer, freshness = question.trusted, None, None
        if reference.channel is not None:
            pointer = self._verify_pointer(reference, answer.pointer or b"", root)
        if pointer is not None and reference.moves:
            if compare(pointer, known.seen) is Age.OLDER:
                return None
            freshness = verify_freshness(answer.freshness or b"", root=root.root, pointer=pointer)
        index = self._index_of(reference, answer, known, pointer)
        release, parsed = self._verify_bundle(reference, answer.release, index, pointer, root)
        gatherer = Gatherer(self._cache, self._registry, answer.blobs)
        artifacts = gatherer.artifacts(parsed)
        record = Record(
            bundle=parsed.digest,
            release=answer.release,
            confirmed_at=now,
            pointer=answer.pointer if pointer is not None else None,
            freshness=answer.freshness if reference.moves else None,
            seen=pointer.seen if pointer is not None and reference.moves else None,
            etag=question.etag,
            etag_root=question.root,
            etag_have=question.have,
        )
        return newest_freshness(
            VerifiedBundle(root, release, parsed, artifacts, now, pointer, freshness, record, reference.is_pinned),
            known.good,
        )

    def _index_of(
        self, reference: BundleReference, answer: Resolution, known: _Known, pointer: VerifiedPointer | None
    ) -> bytes:
        """Take the index of the answer, or the one at hand where the answer says that we have it."""
        if answer.index is not None:
            return answer.index
        wanted = reference.digest if pointer is None else pointer.pointer.bundle
        if known.good is not None and wanted in {None, known.good.index.digest}:
            return known.good.index.body
        raise VerificationError("the answer lacks the bundle's index", hint="the registry is broken", step="bundle")

    def _check_expiry(self, candidate: VerifiedBundle, known: _Known, now: datetime) -> None:
        newest = (
            candidate.newest_issued if known.good is None else max(candidate.newest_issued, known.good.newest_issued)
        )
        if candidate.expiry.expired_at <= trusted_now(now, newest_issued=newest):
            raise candidate.expiry

    def _commit(self, reference: BundleReference, candidate: VerifiedBundle, known: _Known) -> VerifiedBundle | None:
        """Keep a candidate; None where another process has come further meanwhile."""
        record = candidate.record
        if record is None:
            return candidate
        confirmed = replace(record, confirmed_at=candidate.confirmed_at)
        try:
            self._keep_index(candidate.index)
            with self._cache.locked():
                there = self._cache.record(reference)
                seen = None if there is None else there.seen
                pointer = None if candidate.is_pinned else candidate.pointer
                if pointer is not None and compare(pointer, seen) is Age.OLDER:
                    return None
                if there is not None and is_as_good(there, confirmed):
                    confirmed = there
                else:
                    self._cache.keep_record(reference, confirmed)
        except (VerificationError, InvalidError):
            raise
        except RegaliaError as error:
            # What was trusted before stays trusted: only something newer must not be used before it is remembered.
            is_news = candidate.seen != known.seen
            if is_news:
                raise
            regalia.notices.warn(error.message)
        committed = replace(candidate, record=confirmed)
        self._kept[reference] = committed
        return committed

    def _keep_index(self, index: BundleIndex) -> None:
        if self._cache.blob(index.digest) is None:
            self._cache.keep_blob(index.digest, index.body)

    def _fall_back(self, reference: BundleReference, error: RegaliaError, now: datetime) -> Resolved:
        """Give the last known good, re-verified under the newest root, for as long as `on_stale` allows."""
        known = self._recall(reference, self.trust.newest())
        if known.good is None:
            if known.complaint:
                error.add_note(known.complaint)
            raise error
        expiry = known.good.expiry
        judged = trusted_now(now, newest_issued=known.good.newest_issued)
        is_unproven = known.good.freshness is None and reference.moves
        is_stale = is_unproven or expiry.expired_at <= judged
        if is_stale and not self._allows(known.good, judged):
            raise expiry from error
        warning = f"{reference}: {error.message}; going on with {known.good.index.version} from the disk"
        regalia.notices.warn(warning)
        until = judged + _ASK_AGAIN if is_stale else expiry.expired_at
        provenance = Provenance.STALE if is_stale else Provenance.DISK
        return self._resolved(reference, known.good, Origin(provenance, known.good.confirmed_at, (warning,)), until)

    def _allows(self, good: VerifiedBundle, judged: datetime) -> bool:
        if self._settings.on_stale is OnStale.PIN:
            return True
        ended = good.expiry.expired_at
        if good.freshness is None and good.seen is not None:
            ended = min(ended, good.confirmed_at)
        return self._settings.on_stale is OnStale.GRACE and judged <= ended + _GRACE

    def _give(self, reference: BundleReference, verified: VerifiedBundle, now: datetime) -> Resolved:
        return self._resolved(reference, verified, Origin(Provenance.FRESH, now), verified.expiry.expired_at)

    def _resolved(
        self, reference: BundleReference, verified: VerifiedBundle, origin: Origin, until: datetime
    ) -> Resolved:
        namespace = verified.index.application.namespace
        bundle = Bundle(
            application=str(verified.index.application),
            version=verified.index.version,
            digest=str(verified.index.digest),
            channel=reference.channel,
            origin=origin,
            pointer=None if verified.pointer is None else verified.pointer.pointer,
            _artifacts=verified.artifacts,
            _read_layer=partial(self.blob, namespace),
        )
        return Resolved(bundle, until)


@frozen
class _Question:
    """What was asked: with which root and bundle at hand; `trusted` is the root after the answer's."""

    trusted: TrustedRoot
    etag: str
    root: int
    have: Digest | None


def _parsed(body: bytes) -> Resolution:
    try:
        return Resolution.parse(body)
    except InvalidError as error:
        raise VerificationError(error.message, hint=error.hint, step="answer") from error
