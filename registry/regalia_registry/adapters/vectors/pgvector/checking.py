"""A look at a PostgreSQL before somebody relies on it: versions, rights, room, and settings that lose or hide rows."""

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import psycopg

from regalia_registry.adapters.vectors.pgvector.catalog import VectorTable, vector_tables
from regalia_registry.adapters.vectors.pgvector.connection import translated
from regalia_registry.ports.vectors import Checked, EngineRight

_OLDEST, _ADVISED = (0, 8, 0), (0, 8, 4)
_SPARE_CONNECTIONS = 5
_SHOWN = 5
_SERVER = """
SELECT current_setting('server_version') AS version, current_database() AS database, current_user AS role,
  (SELECT extversion FROM pg_extension WHERE extname = 'vector') AS pgvector,
  current_setting('fsync')::boolean AS fsync,
  current_setting('full_page_writes')::boolean AS full_pages,
  current_setting('transaction_read_only')::boolean AS read_only,
  current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
    - (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend') AS spare,
  pg_database_size(current_database()) AS size_bytes,
  has_database_privilege(current_database(), 'CREATE') AS may_create,
  has_database_privilege(current_database(), 'TEMPORARY') AS may_stage,
  coalesce((SELECT has_schema_privilege(oid, 'USAGE') AND has_schema_privilege(oid, 'CREATE')
            FROM pg_namespace WHERE nspname = 'regalia'), true) AS may_note,
  coalesce((SELECT has_schema_privilege(oid, 'USAGE') AND has_schema_privilege(oid, 'CREATE')
            FROM pg_namespace WHERE nspname = 'public'), false) AS may_alias,
  current_setting('server_version_num')::int >= 150000 AS has_aliases,
  has_function_privilege('pg_terminate_backend(integer, bigint)', 'EXECUTE') AS may_end,
  (SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid())
    OR coalesce(inet_server_addr() << '127.0.0.0/8' OR inet_server_addr() = '::1', true) AS is_private
"""


_ENGINE = """
SELECT current_setting('server_version'), (SELECT extversion FROM pg_extension WHERE extname = 'vector')
"""


class _Server(NamedTuple):
    version: str
    database: str
    role: str
    pgvector: str | None
    fsync: bool
    full_pages: bool
    read_only: bool
    spare: int
    size_bytes: int
    may_create: bool
    may_stage: bool
    may_note: bool
    may_alias: bool
    has_aliases: bool
    may_end: bool
    is_private: bool


def engine(connection: psycopg.Connection) -> str:
    """Name the server and its extension with their versions."""
    with translated():
        [row] = connection.execute(_ENGINE).fetchall()
    return _spelled(*row)


def check(connection: psycopg.Connection, *, folder: Path | None) -> Checked:
    """Look, and change nothing; `folder` is where the data lies, where that is this machine's own disk."""
    with translated():
        [row] = connection.execute(_SERVER).fetchall()
        server = _Server(*row)
    tables = vector_tables(connection)
    return Checked(
        version=_spelled(server.version, server.pgvector),
        warnings=(*_of_versions(server), *_of_rights(server, tables), *_of_settings(server)),
        rights=frozenset(_rights(server, tables)),
        aliases=server.has_aliases,
        size_bytes=server.size_bytes,
        free_bytes=None if folder is None else shutil.disk_usage(folder).free,
    )


def _rights(server: _Server, tables: Sequence[VectorTable]) -> Iterator[EngineRight]:
    may_write = not server.read_only
    if all(table.may_read and not table.is_filtered for table in tables):
        yield EngineRight.READ
    if may_write and server.may_create and server.may_stage and server.may_note:
        yield EngineRight.CREATE
    if may_write and server.may_alias and server.has_aliases:
        yield EngineRight.ALIAS
    if may_write and server.may_end:
        yield EngineRight.FENCE


def _spelled(version: str, pgvector: str | None) -> str:
    return f"PostgreSQL {version}, pgvector {pgvector or 'absent'}"


def _of_versions(server: _Server) -> Iterator[str]:
    if server.pgvector is None:
        yield "pgvector is not installed: CREATE EXTENSION vector"
        return
    found = tuple(int(part) for part in server.pgvector.split(".") if part.isdigit())
    if found < _OLDEST:
        yield f"pgvector {server.pgvector} is too old: ALTER EXTENSION vector UPDATE (0.8.4 or newer)"
    elif found < _ADVISED:
        yield f"pgvector {server.pgvector} has known faults: ALTER EXTENSION vector UPDATE (0.8.4 or newer)"


def _of_rights(server: _Server, tables: Sequence[VectorTable]) -> Iterator[str]:
    unread = [table.name for table in tables if not table.may_read]
    if unread:
        yield f'"{server.role}" may not read {_named(unread)}: GRANT SELECT ON … TO "{server.role}"'
    filtered = [table.name for table in tables if table.may_read and table.is_filtered]
    if filtered:
        yield f'row security hides rows of {_named(filtered)}, which is refused: ALTER ROLE "{server.role}" BYPASSRLS'
    if server.read_only:
        yield "it can only be read: a standby, or default_transaction_read_only is on"
        return
    if not server.may_create:
        yield f'nothing can be loaded here: GRANT CREATE ON DATABASE "{server.database}" TO "{server.role}"'
    if not server.may_stage:
        yield f'nothing can be loaded here: GRANT TEMPORARY ON DATABASE "{server.database}" TO "{server.role}"'
    if not server.may_note:
        yield f'the schema "regalia" is another role\'s: GRANT USAGE, CREATE ON SCHEMA regalia TO "{server.role}"'
    if not server.may_end:
        yield "late workers can't be ended: GRANT EXECUTE ON FUNCTION pg_terminate_backend(integer, bigint)"


def _of_settings(server: _Server) -> Iterator[str]:
    if not server.fsync:
        yield "fsync is off: a crash of the machine loses or damages what was loaded"
    if not server.full_pages:
        yield "full_page_writes is off: a crash of the machine can damage what was loaded"
    if server.spare < _SPARE_CONNECTIONS:
        yield f"{max(server.spare, 0)} connections are left of max_connections"
    if not server.is_private:
        yield "the connection is not encrypted: add ?sslmode=verify-full to the URL"


def _named(tables: list[str]) -> str:
    more = f" and {len(tables) - _SHOWN} more" if len(tables) > _SHOWN else ""
    return ", ".join(tables[:_SHOWN]) + more
