"""Our mark: the comment on a schema that says whose collection it holds. What has none is only ever read."""

import psycopg

from regalia.core.errors import ConflictError, NotFoundError
from regalia_registry.adapters.vectors.pgvector import catalog
from regalia_registry.adapters.vectors.pgvector.catalog import Place
from regalia_registry.adapters.vectors.pgvector.connection import translated

_PREFIX = "regalia: "
_COMMENT = "SELECT coalesce(obj_description(oid, 'pg_namespace'), '') FROM pg_namespace WHERE nspname = %s"


def comment_of(mark: str) -> str:
    """Spell a mark as the comment that bears it."""
    return f"{_PREFIX}{mark}"


def mark_in(comment: str) -> str:
    """Read a mark; empty where the comment is none of ours."""
    return comment.removeprefix(_PREFIX) if comment.startswith(_PREFIX) else ""


def mark_of(connection: psycopg.Connection, name: str) -> str | None:
    """Give the mark on a schema, empty where it has none; None where there is no such schema."""
    with translated():
        row = connection.execute(_COMMENT, (name,)).fetchone()
    return None if row is None else mark_in(row[0])


def require_ours(connection: psycopg.Connection, name: str, *, mark: str | None = None) -> Place:
    """Find the table of a collection with this mark; where none is given, with any.

    Raises:
        NotFoundError: There is none of this name.
        ConflictError: It has another mark, or its schema holds something else than one table.
    """
    there = mark_of(connection, name)
    if there is None:
        raise NotFoundError(f'there is no collection "{name}"', hint="reg collection list TARGET")
    if not there or mark not in {None, there}:
        raise ConflictError(f'the schema "{name}" is not ours', hint="it is left as it is")
    place = catalog.find(connection, name)
    if place.schema != name:
        raise ConflictError(f'the schema "{name}" holds more than its one table', hint="drop what is not ours in it")
    return place
