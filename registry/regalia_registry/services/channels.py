"""Channels: what they name and named, where they place snapshots, and what a signer needs for their next pointer."""

from dataclasses import dataclass

from regalia.core.names import ApplicationName
from regalia.core.references import BundleReference
from regalia.core.statements import Move
from regalia.wire.answers import ChannelEntry, PlacingEntry, PlacingsEntry, PointerEntry, Proposal
from regalia.wire.resolution import encode
from regalia_registry.domain.access import Right
from regalia_registry.domain.entries import Event
from regalia_registry.domain.placing import ChannelPlacings, Placing
from regalia_registry.domain.plans import MoveWish
from regalia_registry.domain.refusals import no_channel
from regalia_registry.services.context import Caller, Ports
from regalia_registry.services.steps.answers import hold_entry, pointer_entry
from regalia_registry.services.steps.binding import find_prepared
from regalia_registry.services.steps.lookups import find_bundle
from regalia_registry.services.steps.records import record
from regalia_registry.services.steps.targets import require_use

_MAX_ROOT_STEPS = 256


@dataclass(frozen=True, slots=True)
class Wish:
    """A pointer that somebody would sign: `to` is the bundle (None renews), `root` the version that the signer has.

    `operation` is the one that prepared the bundle's collections, if one did.
    """

    application: ApplicationName
    channel: str
    to: BundleReference | None
    move: Move
    root: int
    operation: str | None = None


@dataclass(frozen=True, slots=True)
class ChannelSetting:
    """What somebody sets of a channel; None leaves it as it is."""

    application: ApplicationName
    channel: str
    placings: tuple[Placing, ...] | None = None
    require_warm: bool | None = None

    def onto(self, there: ChannelPlacings) -> ChannelPlacings:
        """Give what is in force with this."""
        placings = there.placings if self.placings is None else self.placings
        require_warm = there.require_warm if self.require_warm is None else self.require_warm
        return ChannelPlacings(self.application, self.channel, placings, require_warm)


def list_channels(
    ports: Ports, caller: Caller, *, application: ApplicationName, after: str | None, limit: int
) -> list[ChannelEntry]:
    """List an application's channels by name."""
    caller.actor.require(Right.READ, on=application.namespace)
    with ports.store.read() as tx:
        holds = {hold.bundle: hold for hold in tx.holds.list(application)}
        found = tx.channels.list(application, after=after, limit=limit)
    return [
        ChannelEntry(str(application), stored.pointer.channel, pointer_entry(stored, holds.get(stored.pointer.bundle)))
        for stored in found
    ]


def get_channel(ports: Ports, caller: Caller, *, application: ApplicationName, channel: str) -> ChannelEntry:
    """Get a channel with its current pointer."""
    caller.actor.require(Right.READ, on=application.namespace)
    with ports.store.read() as tx:
        stored = tx.channels.find(application, channel)
        if stored is None:
            raise no_channel(application, channel)
        hold = tx.holds.find(application, stored.pointer.bundle)
    return ChannelEntry(str(application), channel, pointer_entry(stored, hold))


def channel_history(
    ports: Ports, caller: Caller, *, application: ApplicationName, channel: str, after: int | None, limit: int
) -> list[PointerEntry]:
    """List a channel's pointers, newest first."""
    caller.actor.require(Right.READ, on=application.namespace)
    with ports.store.read() as tx:
        if tx.channels.find(application, channel) is None:
            raise no_channel(application, channel)
        holds = {hold.bundle: hold for hold in tx.holds.list(application)}
        found = tx.channels.history(application, channel, after=after, limit=limit)
    return [pointer_entry(stored, holds.get(stored.pointer.bundle)) for stored in found]


def propose(ports: Ports, caller: Caller, wish: Wish) -> Proposal:
    """Gather what a signer needs to build a pointer; the signer verifies all of it.

    Raises:
        NotFoundError: There is no such bundle or operation, or no channel to renew or restore.
        ConflictError: The operation prepared another move, or is not prepared (any more).
    """
    application, channel, to = wish.application, wish.channel, wish.to
    caller.actor.require(Right.PROMOTE, on=application.namespace)
    with ports.store.read() as tx:
        current = tx.channels.find(application, channel)
        if current is None and (to is None or wish.move is not Move.PROMOTE):
            raise no_channel(application, channel)
        reference = to or BundleReference(application, digest=None if current is None else current.pointer.bundle)
        bundle = find_bundle(tx, reference)
        entry = tx.channels.find_newest(application, channel, bundle=bundle.digest)
        holds = {hold.bundle: hold for hold in tx.holds.list(application)}
        prepared = None
        if wish.operation is not None:
            prepared = find_prepared(tx, wish.operation, MoveWish(application, channel, bundle.digest, wish.move))
        roots = tuple(encode(stored.envelope) for stored in tx.roots.after(wish.root, limit=_MAX_ROOT_STEPS))
    held = holds.get(bundle.digest)
    return Proposal(
        roots=roots,
        release=encode(bundle.release),
        index=encode(bundle.index),
        pointer=None if current is None else encode(current.envelope),
        entry=None if entry is None else pointer_entry(entry, held),
        held=None if held is None else hold_entry(held),
        collections=() if prepared is None else tuple(place.written() for place in prepared.places),
        preparation=None if prepared is None else prepared.vouched,
        excluded_fallbacks=tuple(sorted(str(digest) for digest in holds)),
    )


def get_placings(ports: Ports, caller: Caller, *, application: ApplicationName, channel: str) -> PlacingsEntry:
    """Say where a channel places its snapshots; the channel itself may not be there yet."""
    caller.actor.require(Right.READ, on=application.namespace)
    with ports.store.read() as tx:
        return _placings_entry(tx.placings.find(application, channel))


def put_placings(ports: Ports, caller: Caller, setting: ChannelSetting) -> PlacingsEntry:
    """Say where a channel places its snapshots, in place of what was said; it holds from the next move on.

    Raises:
        NotFoundError: There is no such target for the namespace.
        ConflictError: Another channel moves one of the aliases.
    """
    application = setting.application
    caller.actor.require(Right.PROMOTE, on=application.namespace)
    with ports.store.write(caller.actor) as tx:
        for one in setting.placings or ():
            require_use(tx, one.target, namespace=application.namespace)
        placings = setting.onto(tx.placings.find(application, setting.channel))
        tx.placings.put(placings)
        record(ports, caller, tx, Event("channel.placed", f"{application}:{placings.channel}"))
    return _placings_entry(placings)


def _placings_entry(placings: ChannelPlacings) -> PlacingsEntry:
    return PlacingsEntry(
        str(placings.application),
        placings.channel,
        tuple(
            PlacingEntry(str(one.slot), one.target, one.logical, str(one.mode), one.alias, one.standby)
            for one in placings.placings
        ),
        require_warm=placings.require_warm,
    )
