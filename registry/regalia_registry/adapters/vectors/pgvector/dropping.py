"""Dropping a collection: the schema and what we made in it, and nothing that anybody else has built on it."""

import psycopg
from psycopg import sql

from regalia.core.errors import ConflictError
from regalia_registry.adapters.vectors.pgvector.catalog import SEAL
from regalia_registry.adapters.vectors.pgvector.connection import translated
from regalia_registry.adapters.vectors.pgvector.fence import Fence

_TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = %s"
_TOLD = 500  # characters of what depends on it


def drop_schema(connection: psycopg.Connection, fence: Fence, name: str) -> None:
    """Drop a schema of ours with its one table, and the function of its seal.

    Raises:
        ConflictError: Something depends on it: somebody's view, foreign key or table, or an alias that leads to it.
    """
    fence.prepare()
    with translated():
        try:
            with connection.transaction():
                fence.forget(name)
                _drop(connection, name)
        except psycopg.errors.DependentObjectsStillExist as error:
            told = " ".join(str(error.diag.message_detail or error.diag.message_primary).split())[:_TOLD]
            raise ConflictError(
                f'"{name}" is not dropped, something depends on it: {told}',
                hint="let whoever made that drop it, or point it elsewhere; then collect garbage again",
            ) from error


def _drop(connection: psycopg.Connection, name: str) -> None:
    tables = [table for (table,) in connection.execute(_TABLES, (name,)).fetchall()]
    if len(tables) == 1:
        connection.execute(sql.SQL("DROP TABLE {}").format(sql.Identifier(name, tables[0])))
    connection.execute(sql.SQL("DROP FUNCTION IF EXISTS {}()").format(sql.Identifier(name, SEAL)))
    connection.execute(sql.SQL("DROP SCHEMA {}").format(sql.Identifier(name)))
