"""Audit entries in SQL: appended in the transaction of the change, never changed."""

from collections.abc import Sequence

from sqlalchemy import Connection, Select, insert, select

from regalia.core.digest import Digest
from regalia.core.names import ApplicationName
from regalia_registry.adapters.sql.statements import DEPLOYMENT, ENTRY, TEXT, batches
from regalia_registry.domain.entries import Entry, StoredEntry


class SqlAudit:
    """An `AuditRepository` over one transaction; `actors` are those who recorded something in it."""

    def __init__(self, connection: Connection) -> None:
        """Keep the transaction."""
        self._connection = connection
        self.actors: set[str] = set()

    def record(self, entry: Entry) -> None:
        """Append an entry."""
        self._connection.execute(insert(ENTRY).values(id=entry.id, body=entry.body()))
        texts = [
            {"entry": entry.id, "name": name, "text": text, "salt": entry.salt.hex()}
            for name, text in entry.all_texts().items()
        ]
        if texts:
            self._connection.execute(insert(TEXT), texts)
        deployment = entry.event.record
        if deployment is not None:
            row = {
                "application": str(deployment.application),
                "channel": deployment.environment,
                "entry": entry.id,
                "refused": None if deployment.success or entry.event.after is None else entry.event.after.hex,
            }
            self._connection.execute(insert(DEPLOYMENT).values(row))
        self.actors.add(entry.actor)

    def list(self, *, after: str | None, limit: int) -> Sequence[StoredEntry]:
        """List entries, newest first."""
        query = select(ENTRY.c.id, ENTRY.c.body)
        if after is not None:
            query = query.where(ENTRY.c.id < after)
        return self._with_texts(query.order_by(ENTRY.c.id.desc()).limit(limit))

    def deployments(
        self, application: ApplicationName, *, channel: str | None, after: str | None, limit: int
    ) -> Sequence[StoredEntry]:
        """List the entries that hold a deployment record, newest first."""
        query = select(ENTRY.c.id, ENTRY.c.body).select_from(DEPLOYMENT).join(ENTRY, ENTRY.c.id == DEPLOYMENT.c.entry)
        query = query.where(DEPLOYMENT.c.application == str(application))
        if channel is not None:
            query = query.where(DEPLOYMENT.c.channel == channel)
        if after is not None:
            query = query.where(DEPLOYMENT.c.entry < after)
        return self._with_texts(query.order_by(DEPLOYMENT.c.entry.desc()).limit(limit))

    def is_void(self, pointer: Digest) -> bool:
        """Say whether this pointer was refused."""
        query = select(DEPLOYMENT.c.entry).where(DEPLOYMENT.c.refused == pointer.hex).limit(1)
        return self._connection.execute(query).first() is not None

    def _with_texts(self, query: Select[tuple[object, ...]]) -> Sequence[StoredEntry]:
        rows = self._connection.execute(query).mappings().all()
        texts: dict[str, dict[str, str]] = {row["id"]: {} for row in rows}
        for batch in batches(texts):
            for found in self._connection.execute(select(TEXT).where(TEXT.c.entry.in_(batch))):
                texts[found.entry][found.name] = found.text
        return [StoredEntry(row["id"], row["body"], texts[row["id"]]) for row in rows]
