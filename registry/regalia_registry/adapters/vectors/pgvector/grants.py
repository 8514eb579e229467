"""Who may read and write a table or a view, and carrying that over, with the rules that hide rows from some."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

import psycopg
from psycopg import sql

from regalia.core.errors import AccessError, ConflictError
from regalia_registry.adapters.vectors.pgvector.catalog import Place

# No right to truncate, to refer to or to put triggers on what is ours.
_GRANTS = """
SELECT coalesce(r.rolname, ''), g.privilege_type, g.attname, g.is_grantable
FROM pg_class c
CROSS JOIN LATERAL (
  SELECT x.*, ''::name AS attname FROM aclexplode(c.relacl) x
  UNION ALL
  SELECT x.*, a.attname FROM pg_attribute a, aclexplode(a.attacl) x WHERE a.attrelid = c.oid AND NOT a.attisdropped) g
LEFT JOIN pg_roles r ON r.oid = g.grantee
WHERE c.oid = %s AND g.grantee <> c.relowner AND r.rolname IS DISTINCT FROM current_user
  AND g.privilege_type IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE')
"""
_POLICIES = """
SELECT polname, polpermissive, polcmd::text,
  ARRAY(SELECT coalesce(r.rolname, '')::text FROM unnest(polroles) g LEFT JOIN pg_roles r ON r.oid = g ORDER BY 1),
  coalesce(pg_get_expr(polqual, polrelid), ''), coalesce(pg_get_expr(polwithcheck, polrelid), '')
FROM pg_policy WHERE polrelid = %s
"""
_IS_FILTERED = "SELECT relrowsecurity FROM pg_class WHERE oid = %s"
_LACKING = """
SELECT format('the schema %%I', n.nspname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.oid = %(oid)s AND NOT has_schema_privilege(%(role)s, n.oid, 'USAGE')
UNION ALL SELECT format('the table %%s', oid::regclass) FROM pg_class
WHERE oid = %(oid)s AND NOT has_table_privilege(%(role)s, oid, 'SELECT')
UNION ALL SELECT format('the function %%s', d.refobjid::regprocedure) FROM pg_policy p
JOIN pg_depend d ON d.classid = 'pg_policy'::regclass AND d.objid = p.oid AND d.refclassid = 'pg_proc'::regclass
WHERE p.polrelid = %(oid)s AND NOT has_function_privilege(%(role)s, d.refobjid, 'EXECUTE')
"""
_REACHES = "SELECT has_schema_privilege(%s, %s, 'USAGE')"
_COMMANDS = {"*": "ALL", "r": "SELECT", "a": "INSERT", "w": "UPDATE", "d": "DELETE"}


@dataclass(frozen=True, slots=True, order=True)
class Grant:
    """One right of one role, empty for everybody; of a column, where one is named."""

    role: str
    privilege: str
    column: str = ""
    with_option: bool = False


@dataclass(frozen=True, slots=True, order=True)
class Policy:
    """A rule that says which rows some roles see or write."""

    name: str
    is_permissive: bool
    command: str
    roles: tuple[str, ...]
    using: str
    check: str


def grants_of(connection: psycopg.Connection, oid: int) -> frozenset[Grant]:
    """Read who may read and write it, but for its owner and us."""
    return frozenset(Grant(*row) for row in connection.execute(_GRANTS, (oid,)).fetchall())


def grant(connection: psycopg.Connection, schema: str, name: str, *, grants: Collection[Grant]) -> None:
    """Grant rights on a table or a view."""
    for one in sorted(grants):
        connection.execute(
            sql.SQL("GRANT {}{} ON {} TO {}{}").format(
                sql.SQL(one.privilege),
                sql.SQL(" ({})").format(sql.Identifier(one.column)) if one.column else sql.SQL(""),
                sql.Identifier(schema, name),
                _role(one.role),
                sql.SQL(" WITH GRANT OPTION" if one.with_option else ""),
            )
        )


def let_in(connection: psycopg.Connection, schema: str, *, grants: Collection[Grant]) -> None:
    """Let all who have a right in a schema of ours into it."""
    for role in sorted({one.role for one in grants}):
        if not reaches(connection, role, schema):
            connection.execute(sql.SQL("GRANT USAGE ON SCHEMA {} TO {}").format(sql.Identifier(schema), _role(role)))


def reaches(connection: psycopg.Connection, role: str, schema: str) -> bool:
    """Say whether a role gets into a schema."""
    return connection.execute(_REACHES, (role or "public", schema)).fetchone() == (True,)


def carry_policies(connection: psycopg.Connection, old: Place, new: Place) -> None:
    """Hide of the new table's rows from everybody what the old one's rules hide.

    Raises:
        ConflictError: The new one has other rules, or one of the old names its table: either would show other rows.
    """
    if connection.execute(_IS_FILTERED, (old.oid,)).fetchone() != (True,):
        return
    wanted, there = _policies(connection, old.oid), _policies(connection, new.oid)
    is_filtered = connection.execute(_IS_FILTERED, (new.oid,)).fetchone() == (True,)
    if is_filtered and there == wanted:
        return
    if is_filtered or there:
        raise ConflictError(
            f'"{old.schema}" and "{new.schema}" have different row-level policies', hint="make them equal: \\d+ in psql"
        )
    table = sql.Identifier(new.schema, new.table)
    spelled = [f"{old.schema}.", f"{sql.Identifier(old.schema).as_string(connection)}."]
    for one in wanted:
        if any(word in one.using + one.check for word in spelled):
            raise ConflictError(
                f'the row-level policy "{one.name}" names its own table, and can\'t be carried over',
                hint=f'make it on "{new.schema}" by hand',
            )
        connection.execute(_ddl(one, table))
    connection.execute(sql.SQL("ALTER TABLE {} ENABLE ROW LEVEL SECURITY").format(table))


def require_readable(
    connection: psycopg.Connection, view: sql.Identifier, table: Place, *, roles: Collection[str]
) -> None:
    """Read a view of a table as each of these roles, in the transaction that is open.

    Where policies filter it, or we may not become a role, its rights are only looked up: a policy's function that ran
    here could become us again.

    Raises:
        AccessError: One of them can't.
    """
    is_filtered = connection.execute(_IS_FILTERED, (table.oid,)).fetchone() == (True,)
    for role in sorted(roles):
        lacking = connection.execute(_LACKING, {"oid": table.oid, "role": role}).fetchone()
        if lacking is not None:
            raise _unreadable(role, f"it has no right to {lacking[0]}")
        if not is_filtered and _becomes(connection, role):
            try:
                connection.execute(sql.SQL("SELECT FROM {} LIMIT 1").format(view))
            except psycopg.errors.InsufficientPrivilege as error:
                raise _unreadable(role, str(error.diag.message_primary)) from error
            connection.execute("RESET ROLE")


def _unreadable(role: str, told: str) -> AccessError:
    return AccessError(
        f'the role "{role}" could not read it: {told}',
        hint="grant it what it lacks, or revoke its right to read the alias",
    )


def _becomes(connection: psycopg.Connection, role: str) -> bool:
    """Become a role for the rest of the transaction, where we may."""
    try:
        with connection.transaction():
            connection.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(role)))
    except psycopg.errors.InsufficientPrivilege:
        return False
    return True


def _policies(connection: psycopg.Connection, oid: int) -> list[Policy]:
    rows = connection.execute(_POLICIES, (oid,)).fetchall()
    return sorted(
        Policy(name, is_permissive, command, tuple(roles), using, check)
        for name, is_permissive, command, roles, using, check in rows
    )


def _ddl(policy: Policy, table: sql.Identifier) -> sql.Composed:
    parts: Iterator[sql.Composable] = (
        sql.SQL("{} ({})").format(sql.SQL(word), sql.SQL(text))  # as the server itself wrote the expression
        for word, text in (("USING", policy.using), ("WITH CHECK", policy.check))
        if text
    )
    return sql.SQL("CREATE POLICY {} ON {} AS {} FOR {} TO {} {}").format(
        sql.Identifier(policy.name),
        table,
        sql.SQL("PERMISSIVE" if policy.is_permissive else "RESTRICTIVE"),
        sql.SQL(_COMMANDS[policy.command]),
        sql.SQL(", ").join([*map(_role, policy.roles)]),
        sql.SQL(" ").join([*parts]),
    )


def _role(name: str) -> sql.Composable:
    return sql.Identifier(name) if name else sql.SQL("PUBLIC")
