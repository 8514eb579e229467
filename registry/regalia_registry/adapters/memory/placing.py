"""Collections, and where channels place their snapshots, in memory."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from regalia.core import times
from regalia.core.digest import Digest
from regalia.core.names import ApplicationName
from regalia_registry.adapters.memory.tables import Tables, page
from regalia_registry.domain.placing import ChannelPlacings, Collection, CollectionState
from regalia_registry.domain.refusals import alias_taken, collection_taken, no_collection


class MemoryCollections:
    """A `CollectionRepository` in memory."""

    def __init__(self, tables: Tables) -> None:
        """Keep the tables."""
        self._tables = tables

    def add(self, collection: Collection) -> None:
        """Insert a collection."""
        if collection.id in self._tables.collections or self.find(collection.target, collection.name) is not None:
            raise collection_taken(collection.target, collection.name)
        self._tables.collections[collection.id] = _whole(collection)

    def get(self, collection_id: str) -> Collection:
        """Get a collection by its id."""
        found = self._tables.collections.get(collection_id)
        if found is None:
            raise no_collection(collection_id)
        return found

    def find(self, target: str, name: str) -> Collection | None:
        """Find a collection by its name."""
        return next((one for one in self._all() if (one.target, one.name) == (target, name)), None)

    def find_ready(self, target: str, *, content_root: Digest) -> Sequence[Collection]:
        """Find those of this content, the newest first."""
        found = [one for one in self._ready(target) if one.content_root == content_root]
        return found[::-1]

    def of_operation(self, operation: str) -> Sequence[Collection]:
        """List what an operation made."""
        return [one for one in self._all() if one.operation == operation]

    def list(self, *, after: str | None, limit: int) -> Sequence[Collection]:
        """List what is not dropped, by id."""
        found = [one for one in self._all() if one.state is not CollectionState.DROPPED]
        return page(found, key=lambda one: one.id, after=after, limit=limit)

    def newest(self, target: str) -> Collection | None:
        """Find the one that was made last."""
        return next((one for one in reversed(self._ready(target)) if one.seconds > 0), None)

    def update(self, collection: Collection, *, expected: CollectionState) -> bool:
        """Replace it, if its state is the expected one."""
        there = self._tables.collections.get(collection.id)
        if there is None or there.state is not expected:
            return False
        self._tables.collections[collection.id] = _whole(_changed(there, collection))
        return True

    def _ready(self, target: str) -> Sequence[Collection]:
        return [one for one in self._all() if one.target == target and one.state is CollectionState.READY]

    def _all(self) -> Sequence[Collection]:
        return [self._tables.collections[one] for one in sorted(self._tables.collections)]


class MemoryPlacings:
    """A `PlacingRepository` in memory."""

    def __init__(self, tables: Tables) -> None:
        """Keep the tables."""
        self._tables = tables

    def find(self, application: ApplicationName, channel: str) -> ChannelPlacings:
        """Find what a channel places."""
        nothing = ChannelPlacings(application, channel, ())
        return self._tables.placings.get((application, channel), nothing)

    def put(self, placings: ChannelPlacings) -> None:
        """Store what a channel places."""
        key = placings.application, placings.channel
        others = [one for there, found in self._tables.placings.items() if there != key for one in found.placings]
        taken = {(one.target, one.alias) for one in others if one.alias is not None}
        for one in placings.placings:
            if (one.target, one.alias) in taken:
                raise alias_taken(one.target, str(one.alias))
            if one.alias is not None:
                taken.add((one.target, one.alias))
        self._tables.placings.pop(key, None)
        if placings.placings or placings.require_warm:
            self._tables.placings[key] = placings

    def list(self) -> Sequence[ChannelPlacings]:
        """List all channels that place anything."""
        found = [one for one in self._tables.placings.values() if one.placings]
        return sorted(found, key=lambda one: (str(one.application), one.channel))


def _changed(there: Collection, collection: Collection) -> Collection:
    """Take over what may change; what it was made of stays."""
    return replace(
        there,
        state=collection.state,
        table=collection.table,
        sealed=collection.sealed,
        marker=collection.marker,
        seconds=collection.seconds,
        verified_at=collection.verified_at,
        bound_at=collection.bound_at,
        unbound_at=collection.unbound_at,
        leftover=collection.leftover,
    )


def _whole(collection: Collection) -> Collection:
    return replace(
        collection,
        made_at=times.whole_second(collection.made_at),
        verified_at=_second(collection.verified_at),
        bound_at=_second(collection.bound_at),
        unbound_at=_second(collection.unbound_at),
    )


def _second(time: datetime | None) -> datetime | None:
    return None if time is None else times.whole_second(time)
