"""Whether a PostgreSQL suits a registry, in words: its version, its settings, and what the role may do."""

from collections.abc import Iterator, Sequence

from sqlalchemy import Connection, RowMapping, text

from regalia_registry.adapters.sql import tables
from regalia_registry.adapters.sql.dialect import Finding

_OLDEST = 14
_SERVER = text("""
    SELECT current_setting('server_version_num')::int / 10000 AS major, current_setting('server_version') AS version,
        current_setting('server_encoding') AS encoding, current_setting('fsync') AS fsync,
        current_setting('synchronous_commit') AS synchronous_commit, pg_is_in_recovery() AS is_standby,
        current_setting('default_transaction_read_only') = 'on' AS is_read_only,
        current_user AS role, current_schema() AS schema,
        coalesce(has_schema_privilege(current_schema(), 'CREATE'), false) AS may_create,
        inet_server_addr() IS NULL OR host(inet_server_addr()) IN ('127.0.0.1', '::1') AS is_local,
        coalesce((SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()), false) AS is_encrypted
""")
_DENIED = text("""
    SELECT relname FROM pg_class
    WHERE relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = current_schema())
        AND (relname = 'alembic_version' AND NOT has_table_privilege(oid, 'SELECT')
            OR relname = ANY(:tables) AND NOT (has_table_privilege(oid, 'SELECT') AND has_table_privilege(oid, 'INSERT')
                AND has_table_privilege(oid, 'UPDATE') AND has_table_privilege(oid, 'DELETE')))
    ORDER BY relname
""")


def examine(connection: Connection) -> Sequence[Finding]:
    """Look at the server, and at what the registry's role may do."""
    server = connection.execute(_SERVER).mappings().one()
    names = list(tables.Artifact.metadata.tables)
    denied = list(connection.execute(_DENIED, {"tables": names}).scalars())
    return [*_about_server(server), *_about_rights(server, denied)]


def _about_server(server: RowMapping) -> Iterator[Finding]:
    version = f"PostgreSQL {server['version']}"
    if server["major"] < _OLDEST:
        yield Finding("version", f"{version}, expected {_OLDEST} or newer", "upgrade the server", is_fatal=True)
    else:
        yield Finding("version", version)
    if server["encoding"] != "UTF8":
        told = f"the database keeps texts as {server['encoding']}, expected UTF8"
        yield Finding("encoding", told, "make the database with ENCODING 'UTF8' TEMPLATE template0", is_fatal=True)
    else:
        yield Finding("encoding", "UTF8")
    lax = [f"{name} is off" for name in ("fsync", "synchronous_commit") if server[name] == "off"]
    if lax:
        yield Finding("durability", " and ".join(lax), "an acknowledged change may be lost: turn it on")
    else:
        yield Finding("durability", "a change is on disk before it is acknowledged")
    if server["is_standby"] or server["is_read_only"]:
        told = "it is a standby" if server["is_standby"] else "default_transaction_read_only is on"
        yield Finding("writing", told, "agents resolve, and nothing else goes: name the primary in the URL")
    if not (server["is_local"] or server["is_encrypted"]):
        yield Finding("encryption", "the connection is not encrypted", "add ?sslmode=verify-full to the URL")


def _about_rights(server: RowMapping, denied: Sequence[str]) -> Iterator[Finding]:
    role, schema = server["role"], server["schema"]
    if schema is None:
        hint = "make the schema public, or set the role's search_path"
        yield Finding("rights", f'the role "{role}" finds no schema', hint, is_fatal=True)
    elif denied:
        hint = f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO {role}"
        yield Finding("rights", f'the role "{role}" may not read and write {", ".join(denied)}', hint, is_fatal=True)
    else:
        yield Finding("rights", f'the role "{role}" reads and writes the schema "{schema}"')
    if schema is not None and not server["may_create"]:
        hint = f"GRANT CREATE ON SCHEMA {schema} TO {role}, or let its owner run reg admin migrate"
        yield Finding("migrating", f'the role "{role}" makes no tables', hint)
