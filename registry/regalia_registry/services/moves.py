"""Moving a channel: a pointer that somebody else signed, checked whole, committed at once with its record."""

from dataclasses import dataclass

from regalia.core.bundle import BundleIndex
from regalia.core.errors import BundleHeldError, PointerMovedError
from regalia.core.names import ApplicationName
from regalia.core.statements import Move
from regalia.core.verification import VerifiedPointer, verify_pointer, verify_release
from regalia.wire.answers import Moved
from regalia_registry.domain.access import Right
from regalia_registry.domain.entries import DeploymentRecord, Event
from regalia_registry.domain.moves import check_move
from regalia_registry.domain.records import Hold, StoredBundle, StoredPointer
from regalia_registry.ports.store import Transaction
from regalia_registry.services.context import Caller, Ports
from regalia_registry.services.steps.answers import pointer_entry, signers_of
from regalia_registry.services.steps.changes import changes_between
from regalia_registry.services.steps.records import record
from regalia_registry.services.steps.trust import current_root


@dataclass(frozen=True, slots=True)
class Submission:
    """A signed pointer, and what the deployer states beside it; `hold` holds the bundle that the channel leaves."""

    pointer: bytes
    ticket: str | None = None
    approver: str | None = None
    hold: bool = False


@dataclass(frozen=True, slots=True)
class _Checked:
    """A submission whose documents verify, with the channel as it was read."""

    verified: VerifiedPointer
    bundle: StoredBundle
    current: StoredPointer | None
    named_before: bool
    root_version: int
    changes: tuple[str, ...]


def move_channel(
    ports: Ports, caller: Caller, *, application: ApplicationName, channel: str, submission: Submission
) -> Moved:
    """Make a signed pointer the channel's current one; a first one makes the channel.

    Raises:
        VerificationError: The pointer, or the release of its bundle, does not verify under the root in force.
        PointerMovedError: The channel moved since the pointer was built; the pointer is void.
        BundleHeldError: The bundle is on hold; the pointer is void.
        NotFoundError: The registry does not have the bundle or a fallback.
    """
    caller.actor.require(Right.PROMOTE, on=application.namespace)
    with ports.store.read() as tx:
        root = current_root(tx)
        verified = verify_pointer(submission.pointer, root=root.root, application=application, channel=channel)
        known = tx.channels.find_pointer(verified.identity)
        if known is not None:
            return _answer_again(tx, verified, known)
        checked = _check(ports, tx, verified)
    try:
        return _commit(ports, caller, checked, submission)
    except (PointerMovedError, BundleHeldError):
        with ports.store.write(caller.actor) as tx:
            record(ports, caller, tx, _event(checked, submission, success=False))
        raise


def _check(ports: Ports, tx: Transaction, verified: VerifiedPointer) -> _Checked:
    pointer, root = verified.pointer, current_root(tx).root
    application = pointer.application
    current = tx.channels.find(application, pointer.channel)
    named_before = tx.channels.find_newest(application, pointer.channel, bundle=pointer.bundle) is not None
    bundle = tx.bundles.get_by_digest(application, digest=pointer.bundle)
    verify_release(bundle.release, root=root, application=application, bundle=bundle.digest, version=bundle.version)
    for fallback in pointer.fallbacks:
        tx.bundles.get_by_digest(application, digest=fallback)
    left = None if current is None else tx.bundles.get_by_digest(application, digest=current.pointer.bundle)
    changes = changes_between(
        None if left is None else BundleIndex.parse(left.index),
        BundleIndex.parse(bundle.index),
        restoring=pointer.move is Move.RESTORE,
        tx=tx,
        blobs=ports.blobs,
    )
    return _Checked(verified, bundle, current, named_before, root.version, changes)


def _commit(ports: Ports, caller: Caller, checked: _Checked, submission: Submission) -> Moved:
    pointer, current = checked.verified.pointer, checked.current
    check_move(
        pointer,
        current=None if current is None else current.pointer,
        identity=None if current is None else current.identity,
        named_before=checked.named_before,
        now=ports.clock.now(),
    )
    stored = StoredPointer(
        checked.verified.identity, pointer, checked.verified.envelope, checked.bundle.version, ports.clock.now()
    )
    with ports.store.write(caller.actor) as tx:
        newest = tx.roots.newest()
        if newest is None or newest.version != checked.root_version:
            raise PointerMovedError("the trust root changed in the meantime", hint="look at it and try again")
        if pointer.move is not Move.RENEW:
            _refuse_held(tx, checked)
        tx.channels.move(stored, expected=pointer.previous)
        if submission.hold and checked.current is not None:
            _hold_left(ports, caller, tx, checked)
        entry = record(ports, caller, tx, _event(checked, submission, success=True))
        hold = tx.holds.find(pointer.application, pointer.bundle)
    return Moved(
        pointer=pointer_entry(stored, hold),
        created=True,
        channel_created=checked.current is None,
        deployment=entry,
        changes=checked.changes,
    )


def _refuse_held(tx: Transaction, checked: _Checked) -> None:
    hold = tx.holds.find(checked.bundle.application, checked.bundle.digest)
    if hold is not None:
        reference = f"{checked.bundle.application}@{checked.bundle.version}"
        raise BundleHeldError(
            f'"{reference}" is on hold: {hold.reason}', hint=f"if the reason is gone: reg lift {reference} --reason …"
        )


def _hold_left(ports: Ports, caller: Caller, tx: Transaction, checked: _Checked) -> None:
    current, pointer = checked.current, checked.verified.pointer
    if current is None or current.pointer.bundle == pointer.bundle:
        return
    tx.holds.add(
        Hold(
            application=pointer.application,
            bundle=current.pointer.bundle,
            version=current.version,
            reason=pointer.reason,
            held_at=ports.clock.now(),
            held_by=caller.actor.id,
        )
    )


def _event(checked: _Checked, submission: Submission, *, success: bool) -> Event:
    pointer = checked.verified.pointer
    deployment = DeploymentRecord(
        application=pointer.application,
        environment=pointer.channel,
        version=checked.bundle.version,
        bundle=pointer.bundle,
        move=pointer.move,
        reason=pointer.reason,
        sequence=pointer.sequence,
        changes=checked.changes,
        rollback_plan=pointer.fallbacks,
        success=success,
        git_sha=checked.bundle.git_commit,
        approval_ticket=submission.ticket,
        approver=submission.approver,
    )
    return Event(
        name="channel.moved" if success else "channel.refused",
        object=f"{pointer.application}:{pointer.channel}",
        before=pointer.previous,
        after=checked.verified.identity,
        signers=signers_of(checked.verified.envelope),
        record=deployment,
    )


def _answer_again(tx: Transaction, verified: VerifiedPointer, known: StoredPointer) -> Moved:
    """Answer the same submission a second time: a client that lost the first answer asks again."""
    pointer = verified.pointer
    current = tx.channels.find(pointer.application, pointer.channel)
    if current is None or current.identity != known.identity:
        raise PointerMovedError(
            f'channel "{pointer.application}:{pointer.channel}" has moved on since this pointer',
            hint=f"look at it: reg history {pointer.application}:{pointer.channel}",
        )
    hold = tx.holds.find(pointer.application, pointer.bundle)
    return Moved(pointer_entry(known, hold), created=False, channel_created=False)
