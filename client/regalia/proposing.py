"""What the registry proposes to whoever signs a pointer: asked for, and verified before anything is built on it."""

from regalia.calls import Query, channel_path
from regalia.client import Client
from regalia.core.bundle import BundleIndex
from regalia.core.digest import Digest
from regalia.core.dsse import Envelope
from regalia.core.errors import RollbackError, SignatureError, VerificationError
from regalia.core.references import BundleReference
from regalia.core.statements import ChannelPointer, Move, Place
from regalia.core.trust import Root
from regalia.core.values import frozen
from regalia.core.verification import (
    Age,
    VerifiedPointer,
    VerifiedRelease,
    verify_index,
    verify_pointer,
    verify_release,
)
from regalia.core.verification import compare as compare_age
from regalia.showing import vouched_places
from regalia.wire.answers import Proposal
from regalia.wire.resolution import decode


@frozen
class Proposed:
    """A proposal whose documents verified under `root`.

    `is_lost` says that no key which the root names has signed the channel's pointer: of such a one only its place in
    the sequence counts, and its successor replaces it.
    """

    answer: Proposal
    root: Root
    release: VerifiedRelease
    index: BundleIndex
    pointer: VerifiedPointer | None
    is_lost: bool
    places: tuple[Place, ...]


def propose(
    client: Client, channel: BundleReference, to: BundleReference | None, move: Move, operation: str | None
) -> Proposed:
    """Ask what a pointer would be built on, and verify all of it; `to` None is the bundle that the channel names.

    Raises:
        VerificationError: Something does not verify, or is not what was asked for.
        RollbackError: The channel's pointer is older than one that this machine has trusted.
    """
    trust = client.resolver.trust
    known = trust.newest().root.version
    wanted = None if to is None else str(to.digest)
    path = f"{channel_path(channel)}/proposal"
    query: Query = {"to": wanted, "move": str(move), "root": known, "operation": operation}
    answer = client.registry.get(Proposal, path, query)
    root = trust.walk(tuple(decode(body, what="a root") for body in answer.roots)).root
    pointer, is_lost = None, False
    if answer.pointer is not None:
        body = decode(answer.pointer, what="the pointer")
        try:
            pointer = verify_pointer(body, root=root, application=channel.application, channel=str(channel.channel))
        except SignatureError:
            pointer, is_lost = _lost_pointer(body), True
            _require_replaced(channel, move)
        else:
            _require_not_behind(client, channel, pointer)
    index = decode(answer.index, what="the index")
    digest = Digest.of(index) if to is None or to.digest is None else to.digest
    if to is None and pointer is not None:
        digest = pointer.pointer.bundle
    release = verify_release(
        decode(answer.release, what="the release statement"), root=root, application=channel.application, bundle=digest
    )
    places = vouched_places(answer, root=root, channel=channel, bundle=digest, operation=operation)
    return Proposed(answer, root, release, verify_index(index, release=release.statement), pointer, is_lost, places)


def _lost_pointer(body: bytes) -> VerifiedPointer:
    """Read a pointer whose key has left the root."""
    envelope = Envelope.parse(body, what="the pointer")
    return VerifiedPointer(ChannelPointer.of(envelope), envelope.identity, body)


def _require_replaced(channel: BundleReference, move: Move) -> None:
    """Refuse to say again what a pointer says that nobody vouches for: neither its bundle nor its places."""
    if move in {Move.RENEW, Move.REBIND}:
        raise VerificationError(
            f'no key that the trust root names has signed the pointer of "{channel}"',
            hint=f"say what it shall name: reg promote VERSION --to {channel.channel}",
            step="pointer",
        )


def _require_not_behind(client: Client, channel: BundleReference, pointer: VerifiedPointer) -> None:
    """Refuse to build on a pointer older than one that this machine has trusted."""
    record = client.resolver.trust.cache.record(channel)
    if compare_age(pointer, None if record is None else record.seen) is Age.OLDER:
        raise RollbackError(
            f'the registry shows an older pointer of "{channel}" than this machine has seen',
            hint="a replica lags, or an old state was brought back: reg doctor",
            step="pointer",
        )
