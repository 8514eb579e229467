"""What the embedded PostgreSQL holds before anybody uses it: an owner and a reader, neither a superuser."""

import hashlib
import os
import secrets
from pathlib import Path

import psycopg
from psycopg import sql

from regalia_registry.adapters.vectors.pgvector.places import DATABASE, OWNER, PASSWORD_FILE, READER

_READERS = 48  # of 64 connections: agents leave some to the worker
_LOCK = 0x7265676C  # one process prepares at a time: PostgreSQL refuses two changes of one role
_STAMP = "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = %s"
_ROLES = f"""
ALTER ROLE {OWNER} LOGIN NOSUPERUSER NOCREATEROLE NOCREATEDB;
ALTER ROLE {READER} LOGIN NOSUPERUSER NOCREATEROLE NOCREATEDB CONNECTION LIMIT {_READERS};
ALTER ROLE {READER} SET default_transaction_read_only = on;
REVOKE TEMPORARY ON DATABASE {DATABASE} FROM PUBLIC;
GRANT CONNECT ON DATABASE {DATABASE} TO {READER};
"""
# The registry's own schema has the owner's name: by default, tables without a schema would land in it.
_DATABASE = f"""
ALTER DATABASE {DATABASE} SET search_path = public;
CREATE EXTENSION IF NOT EXISTS vector;
GRANT USAGE ON SCHEMA public TO {READER};
GRANT SELECT ON ALL TABLES IN SCHEMA public TO {READER};
ALTER DEFAULT PRIVILEGES FOR ROLE postgres IN SCHEMA public GRANT SELECT ON TABLES TO {READER};
ALTER DEFAULT PRIVILEGES FOR ROLE {OWNER} GRANT SELECT ON TABLES TO {READER};
ALTER DEFAULT PRIVILEGES FOR ROLE {OWNER} GRANT USAGE ON SCHEMAS TO {READER};
"""
_OURS = "SELECT nspname FROM pg_namespace WHERE nspowner = to_regrole(%s) AND nspname <> 'public'"


def reader_password(folder: Path) -> str:
    """Read the reader's password, which is made once, in a file that only its owner reads."""
    path = folder / PASSWORD_FILE
    if not path.exists():
        beside = folder / f".{PASSWORD_FILE}.{secrets.token_hex(6)}"
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "w") as file:
                file.write(secrets.token_urlsafe(32))
                file.flush()
                os.fsync(file.fileno())
            beside.replace(path)  # of two that make one at once, the file's is prepared at the next start
        finally:
            beside.unlink(missing_ok=True)
    return path.read_text().strip()


def prepare(superuser: psycopg.Connection, database_url: str, *, password: str) -> None:
    """See to roles, database, extension and grants; `superuser` is connected elsewhere, the URL is of the database.

    What was prepared with this text and this password is left alone.
    """
    stamp = f"regalia: {hashlib.sha256(f'{_ROLES}{_DATABASE}{password}'.encode()).hexdigest()}"
    if superuser.execute(_STAMP, (DATABASE,)).fetchone() == (stamp,):
        return
    superuser.execute("SELECT pg_advisory_lock(%s)", (_LOCK,))
    for role in (OWNER, READER):
        if superuser.execute("SELECT FROM pg_roles WHERE rolname = %s", (role,)).fetchone() is None:
            superuser.execute(f"CREATE ROLE {role}")
    if superuser.execute("SELECT FROM pg_database WHERE datname = %s", (DATABASE,)).fetchone() is None:
        superuser.execute(f"CREATE DATABASE {DATABASE} OWNER {OWNER}")
    superuser.execute(_ROLES)
    # Hashed here: the server, and so its log, never sees the password itself.
    hashed = superuser.pgconn.encrypt_password(password.encode(), READER.encode(), b"scram-sha-256").decode()
    superuser.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(READER), sql.Literal(hashed)))
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(_DATABASE)
        for (schema,) in connection.execute(_OURS, (OWNER,)).fetchall():
            grant = sql.SQL("GRANT USAGE ON SCHEMA {0} TO {1}; GRANT SELECT ON ALL TABLES IN SCHEMA {0} TO {1}")
            connection.execute(grant.format(sql.Identifier(schema), sql.Identifier(READER)))
    superuser.execute(sql.SQL("COMMENT ON DATABASE {} IS {}").format(sql.Identifier(DATABASE), sql.Literal(stamp)))
