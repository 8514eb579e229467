"""Seals: triggers that refuse every writer, and a marker that tells when they were off."""

import hashlib
from typing import Any

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from regalia.core.errors import ConflictError
from regalia_registry.adapters.vectors.pgvector.catalog import SEAL, SEAL_OF_ROWS, Place, records
from regalia_registry.adapters.vectors.pgvector.connection import translated
from regalia_registry.adapters.vectors.pgvector.fence import Fence
from regalia_registry.adapters.vectors.pgvector.locks import patiently
from regalia_registry.adapters.vectors.pgvector.marks import require_ours
from regalia_registry.ports.serving import Standing

_BODY = "BEGIN RAISE EXCEPTION 'sealed: resolve the channel again' USING ERRCODE = '55000'; END"
_FUNCTION = "CREATE OR REPLACE FUNCTION {seal}() RETURNS trigger LANGUAGE plpgsql AS {body}"
# Row by row too: a subscription to another server's table fires no trigger of statements.
_TRIGGERS = {
    SEAL: "BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON {table} FOR EACH STATEMENT",
    SEAL_OF_ROWS: "BEFORE INSERT OR UPDATE OR DELETE ON {table} FOR EACH ROW",
}
# As tgtype of pg_trigger says it: 1 each row, 2 before, 4 insert, 8 delete, 16 update, 32 truncate.
_TYPES = {SEAL: 62, SEAL_OF_ROWS: 31}
# Whoever takes a seal off and puts it on again leaves another xmin in its row. Of columns and indexes counts what they
# are: rights may change, and what vacuuming notes.
_STANDING = """
SELECT c.oid, pg_relation_filenode(c.oid) AS file, c.relowner AS owner, c.relpersistence AS persistence,
  c.relowner = to_regrole(quote_ident(current_user)) AS is_ours,
  ARRAY(SELECT inhrelid::bigint FROM pg_inherits WHERE c.oid IN (inhparent, inhrelid) ORDER BY 1) AS relatives,
  ARRAY(SELECT format('%%s %%s %%s %%s %%s', t.tgname, t.oid, t.xmin, p.oid, p.xmin)
        FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid JOIN pg_language l ON l.oid = p.prolang
        WHERE t.tgrelid = c.oid AND t.tgenabled = 'A' AND t.tgqual IS NULL AND t.tgattr::text = ''
          AND t.tgtype = (%(types)s::jsonb ->> t.tgname)::int
          AND l.lanname = 'plpgsql' AND p.prosrc = %(body)s AND p.proowner = c.relowner ORDER BY 1) AS seals,
  ARRAY(SELECT format('%%s %%s %%s %%s %%s %%s', attnum, attname, atttypid, atttypmod, attgenerated, attmissingval)
        FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0 ORDER BY attnum) AS columns,
  ARRAY(SELECT format('%%s %%s', indisvalid, pg_get_indexdef(indexrelid))
        FROM pg_index WHERE indrelid = c.oid ORDER BY 1) AS indexes
FROM pg_class c WHERE c.oid = %(oid)s
"""


class PgvectorSeals:
    """`Seals` of collections that are schemas of ours."""

    def __init__(self, connection: psycopg.Connection, fence: Fence) -> None:
        """Share the provider's connection and fence."""
        self._connection = connection
        self._fence = fence

    def seal(self, name: str, *, mark: str) -> None:
        """Make the triggers, or switch them on again; it waits for writers, and no reader waits for it."""
        place = require_ours(self._connection, name, mark=mark)
        self._fence.prepare()

        def step() -> None:
            self._fence.touch(name)
            if not self._look(place).sealed:
                self._put_on(place)
                if not self._look(place).sealed:
                    raise ConflictError(
                        f'"{name}" can\'t be sealed: another role owns it, or tables inherit from it',
                        hint="load the snapshot into another collection",
                    )

        patiently(self._connection, step, on=[place.oid])

    def unseal(self, name: str, *, mark: str) -> None:
        """Switch the triggers off: to drop them would make readers wait."""
        place = require_ours(self._connection, name, mark=mark)
        self._fence.prepare()

        def step() -> None:
            self._fence.touch(name)
            for trigger in self._there(place):
                self._connection.execute(
                    sql.SQL("ALTER TABLE {} DISABLE TRIGGER {}").format(
                        sql.Identifier(place.schema, place.table), sql.Identifier(trigger)
                    )
                )

        patiently(self._connection, step, on=[place.oid])

    def standing(self, name: str, *, mark: str) -> Standing:
        """Read the catalog; no row is looked at."""
        with translated():
            return self._look(require_ours(self._connection, name, mark=mark))

    def _look(self, place: Place) -> Standing:
        given = {"oid": place.oid, "body": _BODY, "types": Jsonb(_TYPES)}
        [row] = records(self._connection, _STANDING, given)
        return Standing(_is_sealed(row), hashlib.sha256(repr(tuple(row)).encode()).hexdigest())

    def _there(self, place: Place) -> list[str]:
        query = "SELECT tgname FROM pg_trigger WHERE tgrelid = %s AND tgname = ANY(%s) AND tgenabled <> 'D'"
        return [row[0] for row in self._connection.execute(query, (place.oid, [*_TRIGGERS])).fetchall()]

    def _put_on(self, place: Place) -> None:
        table, seal = sql.Identifier(place.schema, place.table), sql.Identifier(place.schema, SEAL)
        self._connection.execute(sql.SQL(_FUNCTION).format(seal=seal, body=sql.Literal(_BODY)))
        for name, when in _TRIGGERS.items():
            trigger = sql.Identifier(name)
            self._connection.execute(
                sql.SQL("CREATE OR REPLACE TRIGGER {} {} EXECUTE FUNCTION {}()").format(
                    trigger, sql.SQL(when).format(table=table), seal
                )
            )
            self._connection.execute(sql.SQL("ALTER TABLE {} ENABLE ALWAYS TRIGGER {}").format(table, trigger))


def _is_sealed(row: Any) -> bool:
    return bool(row.is_ours and not row.relatives and len(row.seals) == len(_TRIGGERS))
