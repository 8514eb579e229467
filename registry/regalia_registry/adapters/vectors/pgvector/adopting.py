"""Adopting a table in use: it moves into a schema of ours, and a view takes its place, in one moment."""

import psycopg
from psycopg import sql

from regalia.core.errors import AccessError, ConflictError, UnsupportedError
from regalia_registry.adapters.vectors.pgvector import catalog
from regalia_registry.adapters.vectors.pgvector.catalog import Place, records
from regalia_registry.adapters.vectors.pgvector.connection import translated
from regalia_registry.adapters.vectors.pgvector.fence import Fence
from regalia_registry.adapters.vectors.pgvector.grants import Grant, grant, grants_of, let_in
from regalia_registry.adapters.vectors.pgvector.locks import patiently
from regalia_registry.adapters.vectors.pgvector.marks import comment_of, mark_of
from regalia_registry.adapters.vectors.pgvector.views import OLDEST, PgvectorAliases

_ALWAYS = (
    "COPY {table} fails: COPY (SELECT * FROM {table}) TO, and INSERT",
    "TRUNCATE {table} fails: DELETE FROM {table}",
    "ALTER TABLE {table} fails: columns change with the next collection",
    "CREATE INDEX ON {table} fails: indexes come with the next collection",
    "a foreign key can't refer to {table}: it is a view",
    "ctid, xmin and the other system columns of {table} are gone",
)
_OWNER = """
SELECT relowner = to_regrole(quote_ident(current_user)) AS is_ours, pg_get_userbyid(relowner)::text AS name,
  pg_has_role(relowner, 'USAGE') AS is_lent, current_user::text AS role, relpersistence = 'p' AS is_kept,
  has_schema_privilege(relnamespace, 'CREATE') AS may_replace
FROM pg_class WHERE oid = %s
"""
_SEQUENCES = """
SELECT d.objid, c.relname::text FROM pg_depend d JOIN pg_class c ON c.oid = d.objid AND c.relkind = 'S'
WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = %s
  AND d.deptype IN ('a', 'i') ORDER BY 2
"""
_BESIDE = """
SELECT DISTINCT format('the %%s %%s goes on reading this table when {table} leads to another',
                       CASE v.relkind WHEN 'm' THEN 'materialized view' ELSE 'view' END, v.oid::regclass)
FROM pg_depend d JOIN pg_rewrite r ON d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid
JOIN pg_class v ON v.oid = r.ev_class
WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = %(oid)s AND v.oid <> %(oid)s
UNION ALL
SELECT DISTINCT format('the function %%s takes rows of this table, and none of {table}', d.objid::regprocedure)
FROM pg_depend d JOIN pg_class c ON c.reltype = d.refobjid
WHERE d.classid = 'pg_proc'::regclass AND d.refclassid = 'pg_type'::regclass AND c.oid = %(oid)s
UNION ALL
SELECT format('the foreign key %%s stays on this table, and other collections have none', conname)
FROM pg_constraint WHERE conrelid = %(oid)s AND contype = 'f'
ORDER BY 1
"""
# An index's owner computes it, at every ANALYZE: whoever may change such a function would have our rights.
_CALLED = """
SELECT DISTINCT format('its index %%s calls %%s, which "%%s" may change', x.indexrelid::regclass,
                       p.oid::regprocedure, r.rolname)
FROM pg_index x
JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = x.indexrelid AND d.refclassid = 'pg_proc'::regclass
JOIN pg_proc p ON p.oid = d.refobjid JOIN pg_roles r ON r.oid = p.proowner
WHERE x.indrelid = %s AND NOT r.rolsuper AND r.rolname <> current_user
ORDER BY 1
"""
_WRITES = ("SELECT", "INSERT", "UPDATE", "DELETE")


class PgvectorAdoption:
    """`Adoption` of tables that applications made."""

    def __init__(self, connection: psycopg.Connection, fence: Fence, aliases: PgvectorAliases) -> None:
        """Share the provider's connection, fence and views."""
        self._connection = connection
        self._fence = fence
        self._aliases = aliases

    def consequences(self, name: str) -> tuple[str, ...]:
        """Say what a view can't do, and what of this very table names it."""
        place = self._require_adoptable(name)
        with translated():
            return self._consequences(place)

    def renamed(self, name: str, *, into: str) -> str:  # noqa: ARG002 # a table can be moved
        """Give the schema that it moves into."""
        return into

    def adopt(self, name: str, *, into: str, mark: str) -> None:
        """Move the table into a new schema and put a view in its place, as one transaction."""
        there = mark_of(self._connection, into)
        if there and there == mark:
            return
        if there is not None:
            raise ConflictError(f'the schema "{into}" is taken', hint="choose another name")
        place = self._require_adoptable(name)
        self._fence.prepare()
        patiently(self._connection, lambda: self._move(place, into, mark), on=[place.oid])

    def _consequences(self, place: Place) -> tuple[str, ...]:
        [owner] = records(self._connection, _OWNER, (place.oid,))
        table = place.table if place.schema == "public" else f"{place.schema}.{place.table}"
        sequences = self._connection.execute(_SEQUENCES, (place.oid,)).fetchall()
        beside = [row[0] for row in self._connection.execute(_BESIDE, {"oid": place.oid}).fetchall()]
        grants = grants_of(self._connection, place.oid)
        everywhere = {one.role for one in grants if not one.column and one.privilege == "SELECT"}
        told = [
            *_ALWAYS,
            *(
                f"the sequence {sequence} moves along: it is found in the collection's schema"
                for _, sequence in sequences
            ),
            *beside,
            *(
                f"{role} may read some columns of {{table}} only, and will read none: the view names all"
                for role in sorted(
                    {one.role for one in grants if one.column and one.privilege == "SELECT"} - everywhere
                )
            ),
        ]
        if not owner.is_ours:
            told.append(f"{owner.name} owns {{table}} no more: it reads and writes rows, and changes nothing else")
        return tuple(one.replace("{table}", table) for one in told)

    def _move(self, place: Place, into: str, mark: str) -> None:
        [owner] = records(self._connection, _OWNER, (place.oid,))
        sequences = self._connection.execute(_SEQUENCES, (place.oid,)).fetchall()
        kept = grants_of(self._connection, place.oid)
        if not owner.is_ours:
            kept |= {Grant(owner.name, one) for one in _WRITES}
        moved, schema = Place(place.oid, into, place.table, place.kind), sql.Identifier(into)
        self._fence.begin(into)
        for statement in (
            sql.SQL("CREATE SCHEMA {}").format(schema),
            sql.SQL("COMMENT ON SCHEMA {} IS {}").format(schema, sql.Literal(comment_of(mark))),
            sql.SQL("ALTER TABLE {} SET SCHEMA {}").format(sql.Identifier(place.schema, place.table), schema),
            sql.SQL("ALTER TABLE {} OWNER TO CURRENT_USER").format(sql.Identifier(into, place.table)),
        ):
            self._connection.execute(statement)
        grant(self._connection, into, place.table, grants=kept - grants_of(self._connection, place.oid))
        if not owner.is_ours:
            for _, sequence in sequences:
                self._connection.execute(
                    sql.SQL("GRANT ALL ON SEQUENCE {} TO {}").format(
                        sql.Identifier(into, sequence), sql.Identifier(owner.name)
                    )
                )
        let_in(self._connection, into, grants=kept)
        self._aliases.create(place.schema, place.table, moved, frozenset(one for one in kept if not one.column))

    def _require_adoptable(self, name: str) -> Place:
        """Find a table that can be adopted.

        Raises:
            NotFoundError: There is none of this name.
            ConflictError: It is ours.
            UnsupportedError: It can't be a collection of ours, and why.
            AccessError: The target's role may not.
        """
        place = catalog.find(self._connection, name)
        if mark_of(self._connection, place.schema):
            raise ConflictError(f'"{name}" is ours already', hint="name a table that an application made")
        refusals = [*catalog.describe(self._connection, place).refusals]
        [owner] = records(self._connection, _OWNER, (place.oid,))
        refusals += [row[0] for row in records(self._connection, _CALLED, (place.oid,))]
        if not owner.is_kept:
            refusals.append("it is unlogged, and empty after a crash: ALTER TABLE … SET LOGGED")
        if self._connection.info.server_version < OLDEST:
            refusals.append("the view in its place needs PostgreSQL 15 or newer")
        if refusals:
            raise UnsupportedError(f'"{name}" can\'t be adopted: {"; ".join(refusals)}', hint="reg collection show")
        if not owner.is_lent:
            raise AccessError(
                f'"{name}" belongs to "{owner.name}", as whom "{owner.role}" may not act',
                hint=f'for the time of the adoption: GRANT "{owner.name}" TO "{owner.role}"',
            )
        if not owner.may_replace:
            raise AccessError(
                f'"{owner.role}" may put no view in the place of "{name}"',
                hint=f'GRANT CREATE ON SCHEMA "{place.schema}" TO "{owner.role}"',
            )
        return place
