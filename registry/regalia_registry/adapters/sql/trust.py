"""Trust roots in SQL."""

from collections.abc import Sequence

from sqlalchemy import Connection, Select, select

from regalia.core.digest import Digest
from regalia_registry.adapters.sql.engine import insert_new
from regalia_registry.adapters.sql.statements import ROOT
from regalia_registry.domain.records import StoredRoot
from regalia_registry.domain.refusals import root_exists


class SqlRoots:
    """A `RootRepository` over one transaction."""

    def __init__(self, connection: Connection) -> None:
        """Keep the transaction."""
        self._connection = connection

    def add(self, root: StoredRoot) -> None:
        """Append the next version."""
        row = {"version": root.version, "identity": root.identity.hex, "envelope": root.envelope}
        if not insert_new(self._connection, ROOT, row):
            raise root_exists(root.version)

    def newest(self) -> StoredRoot | None:
        """Find the newest version."""
        return self._first(select(ROOT).order_by(ROOT.c.version.desc()).limit(1))

    def find(self, version: int) -> StoredRoot | None:
        """Find a version."""
        return self._first(select(ROOT).where(ROOT.c.version == version))

    def find_by_identity(self, identity: Digest) -> StoredRoot | None:
        """Find a version by the digest of its payload."""
        return self._first(select(ROOT).where(ROOT.c.identity == identity.hex))

    def after(self, version: int, *, limit: int) -> Sequence[StoredRoot]:
        """List the versions after one, oldest first."""
        query = select(ROOT).where(ROOT.c.version > version).order_by(ROOT.c.version).limit(limit)
        rows = self._connection.execute(query)
        return [StoredRoot(row.version, Digest(row.identity), row.envelope) for row in rows]

    def _first(self, query: Select[tuple[object, ...]]) -> StoredRoot | None:
        row = self._connection.execute(query).mappings().first()
        return None if row is None else StoredRoot(row["version"], Digest(row["identity"]), row["envelope"])
