"""Moving a channel: a pointer that somebody else signed, checked whole, committed at once with its record."""

from dataclasses import dataclass

from regalia.core.bundle import BundleIndex
from regalia.core.errors import BundleHeldError, ConflictError, InvalidError, PointerMovedError, VerificationError
from regalia.core.names import ApplicationName, Kind
from regalia.core.statements import ChannelPointer, Move
from regalia.core.trust import Root, TrustedRoot
from regalia.core.verification import VerifiedPointer, verify_places, verify_pointer, verify_release
from regalia.wire.answers import Moved
from regalia_registry.domain.access import Right
from regalia_registry.domain.entries import DeploymentRecord, Event
from regalia_registry.domain.moves import check_move
from regalia_registry.domain.operations import OperationKind
from regalia_registry.domain.plans import MoveWish
from regalia_registry.domain.records import StoredBundle, StoredPointer
from regalia_registry.domain.refusals import void_pointer
from regalia_registry.ports.store import Transaction
from regalia_registry.services.context import Caller, Ports
from regalia_registry.services.steps.answers import pointer_entry, signers_of
from regalia_registry.services.steps.binding import Prepared, bind, find_prepared, unbind
from regalia_registry.services.steps.changes import Difference, difference, told
from regalia_registry.services.steps.channels import make_way
from regalia_registry.services.steps.course import COMMIT, crossing
from regalia_registry.services.steps.holds import add_hold
from regalia_registry.services.steps.pointers import open_collections
from regalia_registry.services.steps.records import record
from regalia_registry.services.steps.trust import current_root
from regalia_registry.services.steps.warmth import require_way_back


@dataclass(frozen=True, slots=True)
class Submission:
    """A signed pointer, and what the deployer states beside it; `hold` holds the bundle that the channel leaves.

    `operation` is the one that prepared the collections which the pointer places; `unplaced` says that the bundle's
    snapshots shall be placed nowhere.
    """

    pointer: bytes
    ticket: str | None = None
    approver: str | None = None
    hold: bool = False
    operation: str | None = None
    unplaced: bool = False


@dataclass(frozen=True, slots=True)
class _Read:
    """A pointer whose documents verify, and the channel as it was read beside it."""

    verified: VerifiedPointer
    bundle: StoredBundle
    current: StoredPointer | None
    named_before: bool
    root: TrustedRoot
    differing: Difference
    index: BundleIndex
    prepared: Prepared | None


@dataclass(frozen=True, slots=True)
class _Attempt:
    """A pointer that is about to be committed, and what its record says."""

    read: _Read
    submission: Submission
    changes: tuple[str, ...]

    @property
    def pointer(self) -> ChannelPointer:
        return self.read.verified.pointer


def move_channel(
    ports: Ports, caller: Caller, *, application: ApplicationName, channel: str, submission: Submission
) -> Moved:
    """Make a signed pointer the channel's current one; a first one makes the channel.

    Raises:
        VerificationError: The pointer, or the release of a bundle that it names, does not verify under the root
            in force.
        PointerMovedError: The channel moved since the pointer was built; the pointer is void.
        PointerVoidError: This pointer was refused before.
        BundleHeldError: The bundle is on hold; the pointer is void.
        ConflictError: The operation is not prepared any more, a collection is not what it was, another operation of the
            channel is open, or it demands a warm way back and would have none.
        NotFoundError: The registry does not have the bundle, a fallback or the operation.
    """
    caller.actor.require(Right.PROMOTE, on=application.namespace)
    with ports.store.read() as tx:
        root = current_root(tx)
        verified = verify_pointer(submission.pointer, root=root.root, application=application, channel=channel)
        known = tx.channels.find_pointer(verified.identity)
        if known is not None:
            return _answer_again(tx, known)
        read = _read(tx, verified, root, submission.operation)
    changes = told(read.differing, ports.blobs, restoring=verified.pointer.move is Move.RESTORE)
    attempt = _Attempt(read, submission, changes)
    _require_placed(attempt)
    try:
        _check(ports, attempt)
        return _commit(ports, caller, attempt)
    except ConflictError:  # signed well, and never to be served: unless it was committed meanwhile, sent a second time
        with ports.store.read() as tx:
            known = tx.channels.find_pointer(verified.identity)
            if known is not None:
                return _answer_again(tx, known)
        with ports.store.write(caller.actor) as tx:
            record(ports, caller, tx, _event(caller, attempt, success=False))
        raise


def _read(tx: Transaction, verified: VerifiedPointer, root: TrustedRoot, operation: str | None) -> _Read:
    pointer = verified.pointer
    application = pointer.application
    bundle = tx.bundles.get_by_digest(application, digest=pointer.bundle)
    verify_release(
        bundle.release, root=root.root, application=application, bundle=bundle.digest, version=bundle.version
    )
    for fallback in pointer.fallbacks:
        _require_usable(tx.bundles.get_by_digest(application, digest=fallback), root.root)
    current = tx.channels.find(application, pointer.channel)
    left = None if current is None else tx.bundles.get_by_digest(application, digest=current.pointer.bundle)
    index = BundleIndex.parse(bundle.index)
    verify_places(pointer, index)
    return _Read(
        verified=verified,
        bundle=bundle,
        current=current,
        named_before=tx.channels.find_newest(application, pointer.channel, bundle=pointer.bundle) is not None,
        root=root,
        differing=difference(tx, None if left is None else BundleIndex.parse(left.index), index),
        index=index,
        prepared=None if operation is None else find_prepared(tx, operation, _wish_of(pointer)),
    )


def _wish_of(pointer: ChannelPointer) -> MoveWish:
    return MoveWish(pointer.application, pointer.channel, pointer.bundle, pointer.move)


def _require_usable(fallback: StoredBundle, root: Root) -> None:
    """Refuse a fallback that nobody could go back to, and that no later root could keep."""
    application = fallback.application
    try:
        verify_release(fallback.release, root=root, application=application, bundle=fallback.digest)
    except VerificationError as error:
        raise VerificationError(
            f"the fallback {fallback.version} does not verify: {error.message}",
            hint=f"hold it, and it is left out: reg hold {application}@{fallback.version} --reason …",
            step=error.step,
        ) from error


def _check(ports: Ports, attempt: _Attempt) -> None:
    current, prepared = attempt.read.current, attempt.read.prepared
    check_move(
        attempt.pointer,
        current=None if current is None else current.pointer,
        identity=None if current is None else current.identity,
        named_before=attempt.read.named_before,
        prepared=None if prepared is None else prepared.places,
        now=ports.clock.now(),
    )
    if attempt.submission.hold and not attempt.pointer.reason.strip():
        raise InvalidError("a bundle is held with a reason, and the pointer has none", hint="--reason INC-42")


def _require_placed(attempt: _Attempt) -> None:
    """Refuse to leave a bundle's collections where nobody finds them, unless that is meant."""
    pointer = attempt.pointer
    pinned = [member.slot for member in attempt.read.index.members if member.slot.kind is Kind.SNAPSHOT]
    is_meant = attempt.submission.unplaced or pointer.move is Move.RENEW
    if pinned and not pointer.collections and not is_meant:
        channel = f"{pointer.application}:{pointer.channel}"
        raise ConflictError(
            f'"{channel}" does not place {", ".join(map(str, pinned))}',
            hint=f"reg channel set {channel} --snapshot {pinned[0].name}=TARGET, or --unplaced",
        )


def _commit(ports: Ports, caller: Caller, attempt: _Attempt) -> Moved:
    pointer, read = attempt.pointer, attempt.read
    verified = read.verified
    stored = StoredPointer(verified.identity, pointer, verified.envelope, read.bundle.version, ports.clock.now())
    about = "" if read.prepared is None else read.prepared.operation.id
    now = ports.shared_now()
    with crossing(COMMIT, about), ports.store.write(caller.actor) as tx:
        _require_unchanged(tx, attempt)
        if pointer.move is Move.PROMOTE:
            require_way_back(tx, read.current)
        if read.prepared is None and pointer.move is not Move.RENEW:
            _require_nothing_open(tx, pointer)
        tx.channels.move(stored, expected=pointer.previous)
        if read.prepared is not None:
            bind(tx, read.prepared, left=read.current, now=now)
        elif pointer.move is not Move.RENEW:
            channel = f"{pointer.application}:{pointer.channel}"
            make_way(tx, channel, for_kind=OperationKind(str(pointer.move)), now=now)
            unbind(tx, read.current, named=(), now=now)
        if attempt.submission.hold and read.current is not None and read.current.pointer.bundle != pointer.bundle:
            add_hold(
                ports,
                caller,
                tx,
                application=pointer.application,
                bundle=read.current.pointer.bundle,
                version=read.current.version,
                reason=pointer.reason,
            )
        entry = record(ports, caller, tx, _event(caller, attempt, success=True))
        hold = tx.holds.find(pointer.application, pointer.bundle)
    return Moved(
        pointer=pointer_entry(stored, hold),
        created=True,
        channel_created=read.current is None,
        deployment=entry,
        changes=attempt.changes,
    )


def _require_nothing_open(tx: Transaction, pointer: ChannelPointer) -> None:
    """Refuse to leave a collection that its application writes into, where no operation would keep what it wrote."""
    channel = f"{pointer.application}:{pointer.channel}"
    live = [one.name for one in open_collections(tx, pointer.application, pointer.channel) if one.is_live]
    if live:
        raise ConflictError(
            f'"{channel}" would leave {", ".join(live)}, and nothing would keep what its application wrote there',
            hint="let a worker prepare the move: without --unplaced, and with this version of reg",
        )


def _require_unchanged(tx: Transaction, attempt: _Attempt) -> None:
    """Refuse what became wrong since it was read; that the channel did not move, its own statement says."""
    pointer = attempt.pointer
    if current_root(tx).identity != attempt.read.root.identity:
        raise PointerMovedError(
            "the trust root changed in the meantime", hint=f"try again: reg history {pointer.application}"
        )
    if tx.audit.is_void(attempt.read.verified.identity):
        raise void_pointer(pointer.application, pointer.channel)
    hold = None if pointer.move is Move.RENEW else tx.holds.find(pointer.application, pointer.bundle)
    if hold is not None:
        reference = f"{pointer.application}@{attempt.read.bundle.version}"
        raise BundleHeldError(
            f'"{reference}" is on hold: {hold.reason}', hint=f"if the reason is gone: reg lift {reference} --reason …"
        )


def _event(caller: Caller, attempt: _Attempt, *, success: bool) -> Event:
    pointer, verified = attempt.pointer, attempt.read.verified
    deployment = DeploymentRecord(
        application=pointer.application,
        environment=pointer.channel,
        version=attempt.read.bundle.version,
        bundle=pointer.bundle,
        move=pointer.move,
        reason=pointer.reason,
        sequence=pointer.sequence,
        changes=attempt.changes,
        rollback_plan=pointer.fallbacks,
        success=success,
        git_sha=attempt.read.bundle.git_commit,
        approval_ticket=attempt.submission.ticket,
        approver=attempt.submission.approver,
    )
    return Event(
        name="channel.moved" if success else "channel.refused",
        object=f"{pointer.application}:{pointer.channel}",
        before=pointer.previous,
        after=verified.identity,
        signers=signers_of(verified.envelope),
        texts={"deployer": caller.actor.name},
        record=deployment,
    )


def _answer_again(tx: Transaction, known: StoredPointer) -> Moved:
    """Answer the same submission a second time: a client that lost the first answer asks again."""
    pointer = known.pointer
    current = tx.channels.find(pointer.application, pointer.channel)
    if current is None or current.identity != known.identity:
        raise PointerMovedError(
            f'channel "{pointer.application}:{pointer.channel}" has moved on since this pointer',
            hint=f"look at it: reg history {pointer.application}:{pointer.channel}",
        )
    hold = tx.holds.find(pointer.application, pointer.bundle)
    return Moved(pointer_entry(known, hold), created=False, channel_created=False)
