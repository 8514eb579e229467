"""Moving a channel: the plan that a person sees, the pointer that this machine builds and signs, the one request."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from regalia import operations
from regalia.bundle import Bundle
from regalia.calls import channel_path
from regalia.client import Client
from regalia.comparing import compare
from regalia.core import times
from regalia.core.diff import SlotChange
from regalia.core.digest import Digest
from regalia.core.dsse import Envelope
from regalia.core.errors import BundleHeldError, InvalidError, NotFoundError, PointerMovedError, PointerVoidError
from regalia.core.names import Kind, Slot
from regalia.core.references import BundleReference
from regalia.core.signing import SigningKey
from regalia.core.statements import MAX_REASON, STATEMENT_PAYLOAD, ChannelPointer, Move, Place
from regalia.core.strict_json import JsonObject
from regalia.core.trust import Role
from regalia.core.values import frozen, replace
from regalia.core.verification import verify_places
from regalia.proposing import Proposed, propose
from regalia.publishing import resolve_if_trusted
from regalia.showing import Shown, require_shown
from regalia.snapshotting import Tell, finish
from regalia.wire.answers import Moved, OperationEntry, PointerEntry
from regalia.wire.resolution import encode

_TRIES = 5  # of one plan, which was refused, and each time with the words of the time before
_LAPTOP_LIFE = timedelta(days=3652)  # ten years, where one person's machine holds the root
_TEAM_LIFE = timedelta(days=90)
_FALLBACKS = 3


@frozen
class Facts:
    """What the deployer states for the record."""

    reason: str = ""
    ticket: str | None = None
    approver: str | None = None


@frozen
class MovePlan:
    """A verified move before it is signed. `current` and `target` are verified bundles; `pointer` is what is signed.

    `replaces_lost` says that the channel's pointer was signed by a key that has left the trust root. `operation` is the
    one that prepared the collections which the pointer places; `standing` is the pointer that the channel has now.
    `shown` are the targets that a person was shown for its slots, None where nobody was.
    """

    channel: BundleReference
    pointer: ChannelPointer
    target: Bundle
    current: Bundle | None
    changes: tuple[SlotChange, ...]
    facts: Facts
    hold: bool
    is_unchanged: bool
    replaces_lost: bool
    operation: str | None = None
    standing: ChannelPointer | None = None
    shown: Shown | None = None

    @property
    def places_now(self) -> tuple[Place, ...]:
        """The collections that the channel serves."""
        return () if self.standing is None else self.standing.collections

    @property
    def is_as_released(self) -> bool:
        """Whether the channel's collections need not be brought back: they are what was released."""
        is_rebound = self.pointer.move is Move.REBIND and self.operation is not None
        return is_rebound and self.pointer.collections == self.places_now

    @property
    def snapshots(self) -> tuple[Slot, ...]:
        """The slots whose collections are to be placed before this may be signed."""
        if self.is_unchanged or self.operation is not None or self.pointer.move is Move.RENEW:
            return ()
        return tuple(slot for slot in self.target.members if slot.kind is Kind.SNAPSHOT)

    @property
    def needs_worker(self) -> bool:
        """Whether a worker prepares it first: collections are to be placed, or left that may have been written into."""
        if self.is_unchanged or self.operation is not None or self.pointer.move is Move.RENEW:
            return False
        return bool(self.snapshots or self.places_now)


def plan_promote(client: Client, channel: BundleReference, to: BundleReference, facts: Facts) -> MovePlan:
    """Plan to make a channel name a bundle; a channel that is not there will be made.

    Raises:
        VerificationError: Something that the registry proposes does not verify.
        NotFoundError: There is no such bundle.
        BundleHeldError: It is on hold.
    """
    return _plan(client, channel, to, Move.PROMOTE, facts, hold=False)


def plan_restore(client: Client, channel: BundleReference, to: str, facts: Facts, *, hold: bool) -> MovePlan:
    """Plan to bring a channel back to a bundle that it named before: `previous`, a version or a digest.

    `current` is the bundle that it names: its collections are brought back to what was released, and nothing is held.

    Raises:
        NotFoundError: The channel never named it, or named no other.
        BundleHeldError: It is on hold.
        InvalidError: There is no reason.
    """
    if to == "current":
        return plan_rebind(client, channel, facts)
    _require_reason(facts, "a restore")
    if to == "previous":
        reference = _previous(client, channel)
    else:
        reference = BundleReference.parse(to, project=channel.application)
    return _plan(client, channel, reference, Move.RESTORE, facts, hold=hold)


def plan_rebind(client: Client, channel: BundleReference, facts: Facts) -> MovePlan:
    """Plan to give a channel other collections for the bundle that it names.

    Raises:
        InvalidError: There is no reason.
    """
    _require_reason(facts, "binding a channel anew")
    current = client.refresh(str(channel))
    reference = BundleReference(channel.application, digest=Digest.parse(current.digest))
    return _plan(client, channel, reference, Move.REBIND, facts, hold=False)


def plan_renew(client: Client, channel: BundleReference) -> MovePlan:
    """Plan a younger pointer to the same bundle."""
    return _plan(client, channel, None, Move.RENEW, Facts(), hold=False)


def preview(client: Client, plan: MovePlan, tell: Tell) -> Mapping[str, object]:
    """Ask what a move would do to the collections: which are there, which are made, in how long; nothing is changed.

    Raises:
        RegaliaError: It could not be carried out as a whole, and why.
    """
    asked = _start(client, plan, {"plan": True})
    return finish(client, plan.channel.application.namespace, asked, tell).outcome or {}


def prepare(
    client: Client, plan: MovePlan, tell: Tell, *, supersede: bool = False, seal_first: bool = False
) -> MovePlan:
    """Let the registry's worker make the collections of a plan; gives it with their places, to be signed.

    `supersede` ends another open restore of the channel; `seal_first` stops the writers of what the channel leaves.

    Raises:
        RegaliaError: It could not be carried out as a whole; nothing has moved.
    """
    asked = _start(client, plan, {"supersede": supersede, "seal_first": seal_first})
    found = finish(client, plan.channel.application.namespace, asked, tell, until="prepared")
    return resume(client, plan, found.id)


def resume(client: Client, plan: MovePlan, operation: str) -> MovePlan:
    """Take up a plan whose collections an operation has prepared.

    Raises:
        PointerMovedError: The channel names something else than when the plan was made, and shown.
        VerificationError: They are not those of the bundle, or not on the targets that were shown.
    """
    to = BundleReference(plan.channel.application, digest=Digest.parse(plan.target.digest))
    found = _plan(client, plan.channel, to, plan.pointer.move, plan.facts, hold=plan.hold, operation=operation)
    if found.pointer.previous != plan.pointer.previous:
        raise _moved(plan.channel)
    if plan.shown is not None:
        require_shown(found.pointer.collections, plan.shown)
    return replace(found, shown=plan.shown)


def warm_up(client: Client, channel: BundleReference, to: BundleReference, tell: Tell) -> OperationEntry:
    """Let the worker make the collections that a bundle would need in a channel; nothing is moved.

    Raises:
        RegaliaError: They can't all be made.
    """
    bundle = client.refresh(str(to))
    body: JsonObject = {"to": bundle.digest}
    asked = client.registry.send(OperationEntry, "POST", f"{channel_path(channel)}/operations", body)
    return finish(client, channel.application.namespace, asked, tell)


def execute(client: Client, plan: MovePlan, signer: SigningKey, *, unplaced: bool = False) -> Moved:
    """Sign the planned pointer and send it; `unplaced` leaves the bundle's snapshots without a place, on purpose.

    Raises:
        PointerMovedError: Somebody else moved the channel; nothing was done.
        PointerVoidError: This plan was refused many times.
        BundleHeldError: The bundle was put on hold meanwhile.
        ConflictError: A collection is not what was prepared any more.
    """
    tried = plan
    for _ in range(_TRIES):
        try:
            return _send(client, tried, signer, unplaced=unplaced)
        except PointerVoidError:  # these very words were refused before, and what was wrong then may be gone
            tried = replace(tried, pointer=replace(tried.pointer, sequence=tried.pointer.sequence + 1))
    return _send(client, tried, signer, unplaced=unplaced)


def _send(client: Client, plan: MovePlan, signer: SigningKey, *, unplaced: bool) -> Moved:
    envelope = Envelope.sign(STATEMENT_PAYLOAD, plan.pointer.payload(), [signer])
    return client.registry.send(
        Moved,
        "POST",
        f"{channel_path(plan.channel)}/pointers",
        {
            "pointer": encode(bytes(envelope)),
            **({} if plan.facts.ticket is None else {"ticket": plan.facts.ticket}),
            **({} if plan.facts.approver is None else {"approver": plan.facts.approver}),
            **({} if plan.operation is None else {"operation": plan.operation}),
            "hold": plan.hold,
            "unplaced": unplaced,
        },
    )


def settled(client: Client, plan: MovePlan, tell: Tell) -> OperationEntry | None:
    """Wait until all is done that a committed move leaves to do; None where there is nothing."""
    if plan.operation is None:
        return None
    namespace = plan.channel.application.namespace
    found = operations.get_operation(client, namespace, plan.operation)
    after = found.events[-1].number if found.events else 0
    return finish(client, namespace, found.operation, tell, after=after)


def channel_signer(client: Client, channel: BundleReference) -> SigningKey:
    """Get this machine's key for a channel, as the root names it."""
    root = client.resolver.trust.newest().root
    keyids = root.delegation(Role.CHANNEL, channel.application, channel.channel).keyids
    return client.keystore.signer("channel", keyids)


def _start(client: Client, plan: MovePlan, ways: JsonObject) -> OperationEntry:
    body: JsonObject = {"to": plan.target.digest, "move": str(plan.pointer.move), **ways}
    return client.registry.send(OperationEntry, "POST", f"{channel_path(plan.channel)}/operations", body)


def _require_reason(facts: Facts, what: str) -> None:
    if not facts.reason.strip():
        raise InvalidError(f"{what} needs a reason", hint="--reason INC-42")


def _moved(channel: BundleReference) -> PointerMovedError:
    return PointerMovedError(
        f'channel "{channel}" was moved by somebody else', hint=f"look at it and try again: reg history {channel}"
    )


def _plan(
    client: Client,
    channel: BundleReference,
    to: BundleReference | None,
    move: Move,
    facts: Facts,
    *,
    hold: bool,
    operation: str | None = None,
) -> MovePlan:  # a move is these seven facts
    if len(facts.reason) > MAX_REASON:
        raise InvalidError(
            f"the reason has {len(facts.reason)} characters, the cap is {MAX_REASON}", hint="a ticket is enough"
        )
    if to is not None and to.application != channel.application:
        raise InvalidError(
            f'"{to}" is no bundle of "{channel.application}"', hint="a channel names its own application's"
        )
    if to is not None and to.channel is not None:  # ":staging": what that channel names now
        to = BundleReference(to.application, digest=Digest.parse(client.refresh(str(to)).digest))
    if to is not None and to.version is not None:  # a version is looked up once and then fixed
        to = BundleReference(to.application, digest=Digest.parse(client.refresh(str(to)).digest))
    proposed = propose(client, channel, to, move, operation)
    if move is Move.REBIND and (proposed.pointer is None or proposed.pointer.pointer.bundle != proposed.index.digest):
        raise _moved(channel)
    target = client.refresh(f"{channel.application}@{proposed.index.digest}")
    current = None
    if proposed.pointer is not None and not proposed.is_lost:
        current = resolve_if_trusted(client, f"{channel.application}@{proposed.pointer.pointer.bundle}")
    keeps_bundle = move in {Move.RENEW, Move.REBIND}
    is_unchanged = not keeps_bundle and current is not None and current.digest == target.digest
    if not is_unchanged:
        _require_allowed(channel, proposed, move, target)
    return MovePlan(
        channel=channel,
        pointer=_pointer(client.now(), channel, proposed, move, facts, leaves_held=hold),
        target=target,
        current=current,
        changes=compare({} if current is None else current.members, target.members, restoring=move is Move.RESTORE),
        facts=facts,
        hold=hold and proposed.pointer is not None,
        is_unchanged=is_unchanged,
        replaces_lost=proposed.is_lost,
        operation=operation,
        standing=None if proposed.pointer is None else proposed.pointer.pointer,
    )


def _require_allowed(channel: BundleReference, proposed: Proposed, move: Move, target: Bundle) -> None:
    reference = f"{channel.application}@{target.version}"
    if move is Move.RESTORE and proposed.answer.entry is None:
        raise NotFoundError(
            f'"{reference}" was never in {channel.channel}', hint=f"reg promote {target.version} --to {channel.channel}"
        )
    held = proposed.answer.held
    if held is not None and move not in {Move.RENEW, Move.REBIND}:
        raise BundleHeldError(
            f'"{reference}" is on hold: {held.reason}', hint=f"if the reason is gone: reg lift {reference} --reason …"
        )


def _pointer(
    now: datetime, channel: BundleReference, proposed: Proposed, move: Move, facts: Facts, *, leaves_held: bool
) -> ChannelPointer:
    issued_at = times.whole_second(now)
    current = None if proposed.pointer is None else proposed.pointer.pointer
    first = int(issued_at.timestamp())
    life = _LAPTOP_LIFE if len(proposed.root.root_keyids) == 1 else _TEAM_LIFE
    pointer = ChannelPointer(
        trust_domain=proposed.root.trust_domain,
        application=channel.application,
        channel=str(channel.channel),
        epoch=proposed.root.delegation(Role.CHANNEL, channel.application, channel.channel).epoch,
        sequence=first if current is None else max(current.sequence + 1, first),
        bundle=proposed.index.digest,
        move=move,
        reason=facts.reason,
        issued_at=issued_at,
        expires=issued_at + life,
        previous=None if proposed.pointer is None else proposed.pointer.identity,
        collections=current.collections if move is Move.RENEW and current is not None else proposed.places,
        fallbacks=_fallbacks(proposed, leaves_held=leaves_held),
    )
    verify_places(pointer, proposed.index)
    return pointer


def _fallbacks(proposed: Proposed, *, leaves_held: bool) -> tuple[Digest, ...]:
    """Name what an on-call key may go back to: the bundles before, newest first, without this one and held ones."""
    if proposed.pointer is None or proposed.is_lost:
        return ()
    current = proposed.pointer.pointer
    excluded = {Digest.parse(text) for text in proposed.answer.excluded_fallbacks} | {proposed.index.digest}
    if leaves_held:
        excluded.add(current.bundle)
    candidates = dict.fromkeys((current.bundle, *current.fallbacks))
    return tuple(digest for digest in candidates if digest not in excluded)[:_FALLBACKS]


def _previous(client: Client, channel: BundleReference) -> BundleReference:
    """Find the newest bundle in the channel's history that differs from its current one and isn't held."""
    entries = client.registry.pages(PointerEntry, f"{channel_path(channel)}/history")
    current = next(entries, None)
    held = 0
    for entry in entries:
        if current is not None and entry.bundle != current.bundle:
            if entry.hold is None:
                return BundleReference(channel.application, digest=Digest.parse(entry.bundle))
            held += 1
    raise NotFoundError(
        f"{channel.channel} has named no other bundle" + (" that is not on hold" if held else ""),
        hint=f"reg history {channel}",
    )
