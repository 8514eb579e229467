"""The store in memory: a writer works on a copy, and leaving makes it the truth."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

from regalia_registry.adapters.memory.agents import MemoryAgents
from regalia_registry.adapters.memory.blob_links import MemoryLinks
from regalia_registry.adapters.memory.catalog import MemoryArtifacts, MemoryBundles, MemoryChannels, MemoryHolds
from regalia_registry.adapters.memory.journal import (
    MemoryAccess,
    MemoryAudit,
    MemoryProvenance,
    MemoryRoots,
)
from regalia_registry.adapters.memory.operations import MemoryOperations, MemoryTargets
from regalia_registry.adapters.memory.placing import MemoryCollections, MemoryPlacings
from regalia_registry.adapters.memory.tables import Tables
from regalia_registry.domain.access import Actor
from regalia_registry.ports.store import Told


class MemoryTransaction:
    """The repositories over one copy of the tables."""

    def __init__(self, tables: Tables) -> None:
        """Share the copy among the repositories."""
        self.artifacts = MemoryArtifacts(tables)
        self.bundles = MemoryBundles(tables)
        self.channels = MemoryChannels(tables)
        self.holds = MemoryHolds(tables)
        self.roots = MemoryRoots(tables)
        self.blobs = MemoryLinks(tables)
        self.access = MemoryAccess(tables)
        self.operations = MemoryOperations(tables)
        self.targets = MemoryTargets(tables)
        self.collections = MemoryCollections(tables)
        self.placings = MemoryPlacings(tables)
        self.agents = MemoryAgents(tables)
        self.provenance = MemoryProvenance(tables)
        self.audit = MemoryAudit(tables)


class MemoryStore:
    """A `Store` in memory."""

    def __init__(self) -> None:
        """Start empty."""
        self._tables = Tables()
        self._writer = Lock()
        self._version = self._activity = 0

    @contextmanager
    def read(self) -> Iterator[MemoryTransaction]:
        """Open a consistent view."""
        committed = self._tables
        view = committed.copy()
        yield MemoryTransaction(view)
        if view != committed:
            raise RuntimeError("a read transaction wrote")

    @contextmanager
    def write(self, actor: Actor) -> Iterator[MemoryTransaction]:
        """Open the one writer at a time."""
        with self.note() as opened:
            yield opened
            if actor.id not in opened.audit.actors:
                raise RuntimeError(f"a change by {actor.id} left its transaction without an audit entry")

    @contextmanager
    def note(self, *, to: Told = Told.ALL) -> Iterator[MemoryTransaction]:
        """Open a transaction for what is no change."""
        with self._writer:
            changed = self._tables.copy()
            yield MemoryTransaction(changed)
            if to is not Told.ALL and not changed.answers_as(self._tables):
                raise RuntimeError(f"a note to {to.value} changed what answers depend on")
            self._tables = changed
            self._version += to is Told.ALL
            self._activity += to is not Told.NOBODY

    def version(self) -> int:
        """Give a number that differs once anything was committed that all are told."""
        return self._version

    def activity(self) -> int:
        """Give a number that differs once anything was committed that workers are told."""
        return self._activity

    def close(self) -> None:
        """Hold nothing that could be let go of."""
