"""What a move is planned from: the bundle's snapshots, where its channel places them, and what is there already."""

from collections.abc import Sequence

from regalia.core.bundle import BundleIndex
from regalia.core.digest import Digest
from regalia.core.errors import DocumentError
from regalia.core.kinds.snapshot import CONTENT_ROOT, COUNT
from regalia.core.manifest import Manifest
from regalia.core.names import Kind
from regalia_registry.domain.placing import ChannelPlacings, Mode
from regalia_registry.domain.plans import Known, Member, MoveWish, Plan, make_plan
from regalia_registry.ports.store import Transaction
from regalia_registry.services.steps.pointers import taken_collections


def plan_of(tx: Transaction, wish: MoveWish) -> Plan:
    """Plan a move by what the catalog says now.

    Raises:
        NotFoundError: There is no such bundle.
    """
    bundle = tx.bundles.get_by_digest(wish.application, digest=wish.bundle)
    members = snapshots_of(tx, BundleIndex.parse(bundle.index))
    placings = tx.placings.find(wish.application, wish.channel)
    if wish.standby:
        members = kept_beside(members, placings)
    return make_plan(members, placings, _known(tx, members, placings))


def snapshots_of(tx: Transaction, index: BundleIndex) -> Sequence[Member]:
    """List the snapshots that a bundle pins."""
    pinned = [one for one in index.members if one.slot.kind is Kind.SNAPSHOT]
    stored = tx.artifacts.find_all_by_digest(index.application.namespace, digests=[one.digest for one in pinned])
    found = []
    for one in pinned:
        artifact = stored[one.digest]
        told = one.descriptor.annotations
        if CONTENT_ROOT not in told or COUNT not in told:
            raise DocumentError(
                f'the bundle does not tell the content of "{one.slot}"', hint="make the bundle again: reg bundle create"
            )
        sizes = {layer.digest: layer.size_bytes for layer in Manifest.parse(artifact.manifest).layers}
        found.append(
            Member(
                slot=one.slot,
                digest=one.digest,
                name=artifact.artifact.name,
                version=artifact.version,
                content_root=Digest.parse(told[CONTENT_ROOT]),
                rows=int(told[COUNT]),
                size_bytes=sum(sizes.values()),
            )
        )
    return found


def kept_beside(members: Sequence[Member], placings: ChannelPlacings) -> Sequence[Member]:
    """Give those of which a channel keeps a sealed copy beside its live collection."""
    return [one for one in members if (placing := placings.of(one.slot)) is not None and placing.standby]


def _known(tx: Transaction, members: Sequence[Member], placings: ChannelPlacings) -> Known:
    ready = {}
    rates = {}
    for member in members:
        placing = placings.of(member.slot)
        if placing is None:
            continue
        target = placing.target
        ready[target, member.content_root] = tx.collections.find_ready(target, content_root=member.content_root)
        last = tx.collections.newest(target)
        if last is not None and last.rows:
            rates[target] = last.rows / last.seconds
    is_asked = any(one.mode is Mode.LIVE for one in placings.placings)
    taken = taken_collections(tx) if is_asked else frozenset()
    ids = {one.id for found in ready.values() for one in found if (one.target, one.name) in taken}
    return Known(ready, frozenset(ids), rates)
