"""Tokens in SQL, by the hash of their secrets."""

import json
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, RowMapping, select, update

from regalia.core import times
from regalia_registry.adapters.sql.engine import insert_new
from regalia_registry.adapters.sql.statements import TOKEN
from regalia_registry.domain.access import Grant
from regalia_registry.domain.records import Token
from regalia_registry.domain.refusals import no_token, token_exists


class SqlAccess:
    """An `AccessRepository` over one transaction."""

    def __init__(self, connection: Connection) -> None:
        """Keep the transaction."""
        self._connection = connection

    def add(self, token: Token) -> None:
        """Store a token."""
        row = {
            "id": token.id,
            "name": token.name,
            "secret_sha256": token.secret_sha256,
            "grants": json.dumps([[grant.namespace, sorted(grant.rights)] for grant in token.grants]),
            "created_at": times.write(token.created_at),
            "expires_at": None if token.expires_at is None else times.write(token.expires_at),
            "revoked_at": None if token.revoked_at is None else times.write(token.revoked_at),
        }
        if not insert_new(self._connection, TOKEN, row):
            raise token_exists(token.name)

    def find(self, secret_sha256: str) -> Token | None:
        """Find a token by its hash."""
        row = self._connection.execute(select(TOKEN).where(TOKEN.c.secret_sha256 == secret_sha256)).mappings().first()
        return None if row is None else _read_token(row)

    def get(self, token_id: str) -> Token:
        """Get a token by its id."""
        row = self._connection.execute(select(TOKEN).where(TOKEN.c.id == token_id)).mappings().first()
        if row is None:
            raise no_token(token_id)
        return _read_token(row)

    def list(self, *, after: str | None, limit: int) -> Sequence[Token]:
        """List tokens by id, oldest first."""
        query = select(TOKEN) if after is None else select(TOKEN).where(TOKEN.c.id > after)
        return [
            _read_token(row) for row in self._connection.execute(query.order_by(TOKEN.c.id).limit(limit)).mappings()
        ]

    def revoke(self, token_id: str, *, at: datetime) -> None:
        """End a token."""
        self.get(token_id)
        is_open = (TOKEN.c.id == token_id) & TOKEN.c.revoked_at.is_(None)
        self._connection.execute(update(TOKEN).where(is_open).values(revoked_at=times.write(at)))


def _read_token(row: RowMapping) -> Token:
    """Read a row."""
    return Token(
        id=row["id"],
        name=row["name"],
        secret_sha256=row["secret_sha256"],
        grants=tuple(Grant.of(namespace, rights) for namespace, rights in json.loads(row["grants"])),
        created_at=times.parse(row["created_at"], what="created_at"),
        expires_at=None if row["expires_at"] is None else times.parse(row["expires_at"], what="expires_at"),
        revoked_at=None if row["revoked_at"] is None else times.parse(row["revoked_at"], what="revoked_at"),
    )
