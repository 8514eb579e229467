"""The store on SQLAlchemy connections: one transaction a context, small repositories over it."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection

from regalia_registry.adapters.sql.access import SqlAccess
from regalia_registry.adapters.sql.agents import SqlAgents
from regalia_registry.adapters.sql.artifacts import SqlArtifacts
from regalia_registry.adapters.sql.audit import SqlAudit
from regalia_registry.adapters.sql.blobs import SqlBlobs
from regalia_registry.adapters.sql.bundles import SqlBundles, SqlHolds
from regalia_registry.adapters.sql.channels import SqlChannels
from regalia_registry.adapters.sql.clock import DatabaseClock
from regalia_registry.adapters.sql.dialect import Begin
from regalia_registry.adapters.sql.engine import Database, open_database, transaction
from regalia_registry.adapters.sql.operations import SqlOperations, SqlTargets
from regalia_registry.adapters.sql.placing import SqlCollections, SqlPlacings
from regalia_registry.adapters.sql.provenance import SqlProvenance
from regalia_registry.adapters.sql.trust import SqlRoots
from regalia_registry.domain.access import Actor
from regalia_registry.ports.store import Told
from regalia_registry.ports.system import Clock

_NOTES = {Told.ALL: Begin.WRITE, Told.WORKERS: Begin.WORK, Told.NOBODY: Begin.SILENT}


class SqlTransaction:
    """The repositories over one connection."""

    def __init__(self, connection: Connection) -> None:
        """Open nothing; the connection is in its transaction."""
        self.artifacts = SqlArtifacts(connection)
        self.bundles = SqlBundles(connection)
        self.channels = SqlChannels(connection)
        self.holds = SqlHolds(connection)
        self.roots = SqlRoots(connection)
        self.blobs = SqlBlobs(connection)
        self.access = SqlAccess(connection)
        self.operations = SqlOperations(connection)
        self.targets = SqlTargets(connection)
        self.collections = SqlCollections(connection)
        self.placings = SqlPlacings(connection)
        self.agents = SqlAgents(connection)
        self.provenance = SqlProvenance(connection)
        self.audit = SqlAudit(connection)


class SqlStore:
    """A `Store` on a database."""

    def __init__(self, database: Database) -> None:
        """Keep the database, whose connections belong to this process."""
        self._database = database
        self._changes = database.changes()

    @classmethod
    def open(cls, url: str) -> "SqlStore":
        """Open a store on a migrated database."""
        return cls(open_database(url))

    @contextmanager
    def read(self) -> Iterator[SqlTransaction]:
        """Open a consistent view."""
        with transaction(self._database, Begin.READ) as connection:
            yield SqlTransaction(connection)

    @contextmanager
    def write(self, actor: Actor) -> Iterator[SqlTransaction]:
        """Open the one writer at a time."""
        with transaction(self._database, Begin.WRITE) as connection:
            opened = SqlTransaction(connection)
            yield opened
            if actor.id not in opened.audit.actors:
                raise RuntimeError(f"a change by {actor.id} left its transaction without an audit entry")

    @contextmanager
    def note(self, *, to: Told = Told.ALL) -> Iterator[SqlTransaction]:
        """Open a transaction for what is no change."""
        with transaction(self._database, _NOTES[to]) as connection:
            yield SqlTransaction(connection)

    def version(self) -> int:
        """Give a number that differs once anything was committed that all are told."""
        return self._changes.version()

    def activity(self) -> int:
        """Give a number that differs once anything was committed that workers are told."""
        return self._changes.activity()

    def clock(self, own: Clock) -> Clock:
        """Give the clock that all who open this database have in common; this host's own where it is on no other."""
        question = self._database.dialect.clock
        return own if question is None else DatabaseClock(self._database, question, own)

    def close(self) -> None:
        """Let go of connections."""
        self._changes.close()
        self._database.engine.dispose()
