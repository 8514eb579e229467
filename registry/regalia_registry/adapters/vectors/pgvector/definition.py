"""A table in the words of PostgreSQL itself, for people to read: nothing ever executes or parses it."""

import psycopg

from regalia_registry.adapters.vectors.pgvector.catalog import Place
from regalia_registry.adapters.vectors.pgvector.connection import translated

_PARTS = """
SELECT format('    %%I %%s', a.attname, format_type(a.atttypid, a.atttypmod))
  || CASE WHEN a.attgenerated <> '' THEN format(' GENERATED ALWAYS AS (%%s)%%s', pg_get_expr(d.adbin, d.adrelid),
                                                CASE a.attgenerated WHEN 's' THEN ' STORED' ELSE '' END)
          WHEN a.attidentity <> '' THEN
            format(' GENERATED %%s AS IDENTITY', CASE a.attidentity WHEN 'a' THEN 'ALWAYS' ELSE 'BY DEFAULT' END)
          ELSE coalesce(' DEFAULT ' || pg_get_expr(d.adbin, d.adrelid), '') END
  || CASE WHEN a.attnotnull THEN ' NOT NULL' ELSE '' END
FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE a.attrelid = %(oid)s AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum
"""
_RULES = """
SELECT format('    CONSTRAINT %%I %%s', conname, pg_get_constraintdef(oid)) FROM pg_constraint
WHERE conrelid = %(oid)s AND contype <> 'n' ORDER BY contype <> 'p', conname
"""
_REST = """
SELECT pg_get_indexdef(indexrelid) FROM pg_index x
WHERE indrelid = %(oid)s AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = x.indexrelid) ORDER BY 1
"""


def define(connection: psycopg.Connection, place: Place) -> str:
    """Spell a table with its rules and indexes."""
    with translated():
        [parts, rules, rest] = (
            [str(row[0]) for row in connection.execute(query, {"oid": place.oid}).fetchall()]
            for query in (_PARTS, _RULES, _REST)
        )
        [named] = connection.execute("SELECT format('%%I.%%I', %s::text, %s::text)", (place.schema, place.table))
    body = ",\n".join([*parts, *rules])
    return "\n".join([f"CREATE TABLE {named[0]} (\n{body}\n);", *(f"{one};" for one in rest), ""])
