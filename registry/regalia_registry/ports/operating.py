"""The repositories of what works on vector engines: operations, collections, where channels place them, targets.

As in `repositories`: lists go by keyset, and an error leaves the transaction, which rolls it back.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Protocol

from regalia.core.digest import Digest
from regalia.core.names import ApplicationName
from regalia.core.strict_json import JsonObject
from regalia_registry.domain.operations import EVERY_KIND, Operation, OperationEvent, OperationKind, Target
from regalia_registry.domain.placing import ChannelPlacings, CollectionState
from regalia_registry.domain.placing import Collection as MadeCollection


class OperationRepository(Protocol):
    """The journal of operations. What a worker writes counts only while its epoch is the operation's."""

    def add(self, operation: Operation) -> None:
        """Insert an operation.

        Raises:
            ConflictError: Another is open of the channel that it keeps others from.
        """
        ...

    def get(self, operation_id: str) -> Operation:
        """Get an operation.

        Raises:
            NotFoundError: There is none.
        """
        ...

    def list(self, namespace: str, *, after: str | None, limit: int) -> Sequence[Operation]:
        """List a namespace's operations, newest first; `after` is an id."""
        ...

    def list_open(self) -> Sequence[Operation]:
        """List the operations of all namespaces that are not over, oldest first."""
        ...

    def find_open(self, channel: str) -> Operation | None:
        """Find the operation that keeps others from moving a channel."""
        ...

    def is_waiting(self, *, now: datetime, kinds: Collection[OperationKind] = EVERY_KIND) -> bool:
        """Say whether there is an operation of these kinds that may be claimed."""
        ...

    def claim(
        self, *, now: datetime, until: datetime, kinds: Collection[OperationKind] = EVERY_KIND
    ) -> Operation | None:
        """Take the oldest operation that may be claimed: at work, one epoch higher, nobody else's until then."""
        ...

    def update(self, operation: Operation, *, epoch: int) -> bool:
        """Replace all of it that may change; False where the stored epoch is another."""
        ...

    def append(self, operation_id: str, *, time: datetime, body: JsonObject) -> OperationEvent:
        """Append an event."""
        ...

    def events(self, operation_id: str, *, after: int, limit: int) -> Sequence[OperationEvent]:
        """List events behind a number, oldest first."""
        ...


class CollectionRepository(Protocol):
    """The collections that were made on targets, those that are dropped among them."""

    def add(self, collection: MadeCollection) -> None:
        """Insert a collection.

        Raises:
            ConflictError: Its name was used on this target before.
        """
        ...

    def get(self, collection_id: str) -> MadeCollection:
        """Get a collection by its id.

        Raises:
            NotFoundError: There is none.
        """
        ...

    def find(self, target: str, name: str) -> MadeCollection | None:
        """Find a collection by its name."""
        ...

    def find_ready(self, target: str, *, content_root: Digest) -> Sequence[MadeCollection]:
        """Find those on a target that are ready and were made of this content, the newest first."""
        ...

    def of_operation(self, operation: str) -> Sequence[MadeCollection]:
        """List what an operation made, oldest first."""
        ...

    def list(self, *, after: str | None, limit: int) -> Sequence[MadeCollection]:
        """List the collections that are not dropped, of all namespaces, by id: oldest first."""
        ...

    def newest(self, target: str) -> MadeCollection | None:
        """Find the collection that was built last on a target: how long it took tells what the next one will.

        One that was adopted took no time, and tells nothing.
        """
        ...

    def update(self, collection: MadeCollection, *, expected: CollectionState) -> bool:
        """Replace all of it that may change; False where its state is another."""
        ...


class PlacingRepository(Protocol):
    """Where channels place their snapshots."""

    def find(self, application: ApplicationName, channel: str) -> ChannelPlacings:
        """Find what a channel places; nothing, where nobody said."""
        ...

    def put(self, placings: ChannelPlacings) -> None:
        """Store what a channel places, in place of what it did.

        Raises:
            ConflictError: Another channel moves one of its aliases.
        """
        ...

    def list(self) -> Sequence[ChannelPlacings]:
        """List all channels that place anything."""
        ...


class TargetRepository(Protocol):
    """Named connections to vector engines."""

    def add(self, target: Target) -> bool:
        """Insert a target; False where the name is taken."""
        ...

    def find(self, name: str) -> Target | None:
        """Find a target."""
        ...

    def list(self) -> Sequence[Target]:
        """List targets by name."""
        ...

    def put(self, target: Target) -> None:
        """Store a target, in place of the one of its name if there is one."""
        ...

    def remove(self, name: str) -> bool:
        """Remove a target; False where there is none."""
        ...
