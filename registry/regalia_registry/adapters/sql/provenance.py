"""How the versions of snapshots came to be, in SQL."""

import json

from sqlalchemy import Connection, select

from regalia.core.digest import Digest
from regalia_registry.adapters.sql.engine import insert_new
from regalia_registry.adapters.sql.statements import PROVENANCE
from regalia_registry.domain.provenance import Provenance


class SqlProvenance:
    """A `ProvenanceRepository` over one transaction."""

    def __init__(self, connection: Connection) -> None:
        """Keep the transaction."""
        self._connection = connection

    def add(self, namespace: str, manifest: Digest, provenance: Provenance) -> None:
        """Keep how a version came to be, unless that is told."""
        row = {"namespace": namespace, "digest": manifest.hex, "body": json.dumps(provenance.written())}
        insert_new(self._connection, PROVENANCE, row)

    def find(self, namespace: str, manifest: Digest) -> Provenance | None:
        """Find how a version came to be."""
        columns = PROVENANCE.c
        query = select(columns.body).where(columns.namespace == namespace, columns.digest == manifest.hex)
        body = self._connection.execute(query).scalar_one_or_none()
        return None if body is None else Provenance.parse(json.loads(body))
