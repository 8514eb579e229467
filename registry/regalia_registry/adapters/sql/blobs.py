"""Which namespace may see which blob, and which blobs are kept or removed, in SQL; taking is a compare-and-set."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from sqlalchemy import Connection, and_, delete, or_, select, update

from regalia.core import times
from regalia.core.digest import Digest
from regalia_registry.adapters.sql.engine import insert_missing, insert_new, replace_older
from regalia_registry.adapters.sql.statements import BLOB, CLAIM, batches


class SqlBlobs:
    """A `BlobRepository` over one transaction."""

    def __init__(self, connection: Connection) -> None:
        """Keep the transaction."""
        self._connection = connection

    def link(self, namespace: str, *, sizes: Mapping[Digest, int]) -> None:
        """Let the namespace see these blobs."""
        for digest, size_bytes in sizes.items():
            insert_new(self._connection, BLOB, {"namespace": namespace, "digest": digest.hex, "size_bytes": size_bytes})

    def find_sizes(self, namespace: str, *, digests: Collection[Digest]) -> Mapping[Digest, int]:
        """Find which of these blobs the namespace may see."""
        found = {}
        for batch in batches([digest.hex for digest in digests]):
            query = select(BLOB.c.digest, BLOB.c.size_bytes).where(
                BLOB.c.namespace == namespace, BLOB.c.digest.in_(batch)
            )
            found.update({Digest(row.digest): row.size_bytes for row in self._connection.execute(query)})
        return found

    def claim(self, *, digests: Collection[Digest], until: datetime) -> frozenset[Digest]:
        """Keep these until then, but for those that are being removed."""
        end, removed = times.write(until), set()
        for batch in batches([digest.hex for digest in digests]):
            replace_older(self._connection, CLAIM, _claims(batch, end), by="until", where=CLAIM.c.operation.is_(None))
            is_removed = and_(CLAIM.c.digest.in_(batch), CLAIM.c.operation.is_not(None))
            rows = self._connection.execute(select(CLAIM.c.digest).where(is_removed))
            removed |= {Digest(row.digest) for row in rows}
        return frozenset(removed)

    def find_claimed(self, *, digests: Collection[Digest], at: datetime) -> frozenset[Digest]:
        """Find which of these are kept at a time, or being removed."""
        found = set()
        for batch in batches([digest.hex for digest in digests]):
            is_kept = or_(CLAIM.c.until > times.write(at), CLAIM.c.operation.is_not(None))
            query = select(CLAIM.c.digest).where(and_(CLAIM.c.digest.in_(batch), is_kept))
            found |= {Digest(row.digest) for row in self._connection.execute(query)}
        return frozenset(found)

    def take(self, *, digests: Collection[Digest], at: datetime, operation: str) -> frozenset[Digest]:
        """Take those that nobody keeps at a time, and let no namespace see them any more."""
        end, taken = times.write(at), set()
        for batch in batches([digest.hex for digest in digests]):
            insert_missing(self._connection, CLAIM, _claims(batch, end))
            is_free = and_(CLAIM.c.digest.in_(batch), CLAIM.c.operation.is_(None), CLAIM.c.until <= end)
            self._connection.execute(update(CLAIM).where(is_free).values(operation=operation))
            is_ours = and_(CLAIM.c.digest.in_(batch), CLAIM.c.operation == operation)
            ours = [row.digest for row in self._connection.execute(select(CLAIM.c.digest).where(is_ours))]
            self._connection.execute(delete(BLOB).where(BLOB.c.digest.in_(ours)))
            taken |= set(map(Digest, ours))
        return frozenset(taken)

    def taken(self, *, after: Digest | None, limit: int) -> Sequence[tuple[Digest, str]]:
        """List what is being removed, and by which operation."""
        is_taken = CLAIM.c.operation.is_not(None)
        where = is_taken if after is None else and_(is_taken, CLAIM.c.digest > after.hex)
        query = select(CLAIM.c.digest, CLAIM.c.operation).where(where).order_by(CLAIM.c.digest).limit(limit)
        return [(Digest(row.digest), row.operation) for row in self._connection.execute(query)]

    def forget(self, *, digests: Collection[Digest]) -> None:
        """Forget those that are removed."""
        for batch in batches([digest.hex for digest in digests]):
            is_taken = and_(CLAIM.c.digest.in_(batch), CLAIM.c.operation.is_not(None))
            self._connection.execute(delete(CLAIM).where(is_taken))

    def end_claims(self, *, at: datetime) -> None:
        """Forget the claims that are over."""
        is_over = and_(CLAIM.c.operation.is_(None), CLAIM.c.until <= times.write(at))
        self._connection.execute(delete(CLAIM).where(is_over))


def _claims(batch: Sequence[str], until: str) -> list[dict[str, str | None]]:
    return [{"digest": digest, "until": until, "operation": None} for digest in batch]
