"""From what is stored to what travels."""

from regalia.core import times
from regalia.core.dsse import Envelope
from regalia.wire.answers import BundleEntry, HoldEntry, OperationEntry, PointerEntry
from regalia.wire.resolution import encode
from regalia_registry.domain.operations import Operation
from regalia_registry.domain.records import Hold, ListedBundle, StoredBundle, StoredPointer


def hold_entry(hold: Hold) -> HoldEntry:
    """Tell a hold."""
    return HoldEntry(str(hold.bundle), hold.version, hold.reason, times.write(hold.held_at), hold.held_by)


def bundle_entry(bundle: StoredBundle | ListedBundle, hold: Hold | None, *, created: bool = False) -> BundleEntry:
    """Tell a bundle."""
    return BundleEntry(
        application=str(bundle.application),
        version=bundle.version,
        digest=str(bundle.digest),
        issued_at=times.write(bundle.issued_at),
        stored_at=times.write(bundle.stored_at),
        git_sha=bundle.git_commit,
        hold=None if hold is None else hold_entry(hold),
        created=created,
    )


def pointer_entry(stored: StoredPointer, hold: Hold | None) -> PointerEntry:
    """Tell a pointer."""
    pointer = stored.pointer
    return PointerEntry(
        channel=pointer.channel,
        version=stored.version,
        bundle=str(pointer.bundle),
        epoch=pointer.epoch,
        sequence=pointer.sequence,
        move=str(pointer.move),
        reason=pointer.reason,
        issued_at=times.write(pointer.issued_at),
        expires=times.write(pointer.expires),
        digest=str(stored.identity),
        envelope=encode(stored.envelope),
        fallbacks=tuple(map(str, pointer.fallbacks)),
        collections=tuple(place.written() for place in pointer.collections),
        hold=None if hold is None else hold_entry(hold),
    )


def signers_of(envelope: bytes) -> tuple[str, ...]:
    """Give the key ids that a verified envelope hints at, for the record."""
    return tuple(signature.keyid for signature in Envelope.parse(envelope, what="the envelope").signatures)


def operation_entry(operation: Operation) -> OperationEntry:
    """Tell an operation."""
    return OperationEntry(
        id=operation.id,
        kind=str(operation.kind),
        namespace=operation.namespace,
        subject=operation.subject,
        state=str(operation.state),
        created_at=times.write(operation.created_at),
        created_by=operation.created_by,
        request=dict(operation.request),
        outcome=None if operation.outcome is None else dict(operation.outcome),
        cancel_requested=operation.cancel_requested,
    )
