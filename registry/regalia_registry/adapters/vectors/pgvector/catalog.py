"""Describing a table from the catalog: what a snapshot records, what it refuses, what it does not keep."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, LiteralString, NamedTuple

import psycopg
from psycopg.rows import namedtuple_row

from regalia.core.errors import NotFoundError
from regalia.core.kinds.snapshot import VectorSpace
from regalia_registry.adapters.vectors.pgvector.connection import translated
from regalia_registry.adapters.vectors.pgvector.grammar import VECTOR, Column, Index, Table
from regalia_registry.domain.snapshots.schema import Family, KeyKind, Property, Schema
from regalia_registry.ports.vectors import Description

SEAL, SEAL_OF_ROWS = "regalia_sealed", "regalia_sealed_rows"  # our triggers; the first is their function's name too
KEY_TYPES = {
    "uuid": KeyKind.UUID,
    "smallint": KeyKind.INTEGER,
    "integer": KeyKind.INTEGER,
    "bigint": KeyKind.INTEGER,
    "text": KeyKind.TEXT,
}
_METRICS = {"vector_cosine_ops": "cosine", "vector_l2_ops": "l2", "vector_ip_ops": "dot", "vector_l1_ops": "l1"}
_RESERVED = re.compile(r"(?:public\.)?(vector|halfvec|sparsevec)\b")
_LITERAL = re.compile(r"'((?:[^']|'')*)'(?:::[\w .\"()\[\],]+)?\Z|(-?[0-9]+(?:\.[0-9]+)?|true|false)\Z")
_DOCUMENT = re.compile(  # as grammar.Column writes it, and PostgreSQL gives it back
    r"CASE WHEN \(strpos\((?P<column>\w+), '\\u0000'::text\) = 0\) THEN \((?P=column)\)::jsonb ELSE NULL::jsonb END\Z"
)
_SPOKEN = {"now()": "now", "CURRENT_TIMESTAMP": "now", "gen_random_uuid()": "uuid"}

_VECTOR_TABLES = """
SELECT n.nspname, c.relname, c.reltuples, coalesce(obj_description(n.oid, 'pg_namespace'), ''),
  has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT'), row_security_active(c.oid)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'regalia')
  AND EXISTS (SELECT FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
              WHERE a.attrelid = c.oid AND t.typname = 'vector' AND NOT a.attisdropped)
ORDER BY 1, 2
"""
_FIND = """
SELECT c.oid, n.nspname AS schema, c.relname AS table, c.relkind AS kind
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = %s AND c.relname = %s
"""
_COLUMNS = """
SELECT a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type, a.attnotnull AS not_null,
       pg_get_expr(d.adbin, d.adrelid) AS default, a.attidentity AS identity, a.attgenerated AS generated
FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE a.attrelid = %s AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum
"""
_INDEXES = """
SELECT i.relname AS name, m.amname AS method, x.indisunique AS unique, x.indisprimary AS primary,
       x.indpred IS NOT NULL OR x.indexprs IS NOT NULL AS is_special, i.reloptions AS options,
       ARRAY(SELECT a.attname::text FROM unnest(x.indkey) WITH ORDINALITY k(number, place)
             JOIN pg_attribute a ON a.attrelid = x.indrelid AND a.attnum = k.number ORDER BY k.place) AS columns,
       ARRAY(SELECT CASE WHEN o.opcdefault THEN '' ELSE o.opcname::text END
             FROM unnest(x.indclass) WITH ORDINALITY c(oid, place) JOIN pg_opclass o ON o.oid = c.oid
             ORDER BY c.place) AS opclasses,
       ARRAY(SELECT o.opcname::text FROM unnest(x.indclass) WITH ORDINALITY c(oid, place)
             JOIN pg_opclass o ON o.oid = c.oid ORDER BY c.place) AS all_opclasses
FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_am m ON m.oid = i.relam
WHERE x.indrelid = %s ORDER BY i.relname
"""
_OBSTACLES = """
SELECT 'it is partitioned, or a partition' WHERE EXISTS (
    SELECT FROM pg_inherits WHERE inhrelid = %(oid)s OR inhparent = %(oid)s)
UNION ALL SELECT format('the table %%s refers to it (foreign key %%s)', conrelid::regclass, conname)
    FROM pg_constraint WHERE confrelid = %(oid)s AND contype = 'f' AND conrelid <> confrelid
UNION ALL SELECT format('it has the trigger %%s', tgname) FROM pg_trigger WHERE tgrelid = %(oid)s AND NOT tgisinternal
    AND NOT (tgname IN (%(seal)s, %(seal_of_rows)s) AND EXISTS (
        SELECT FROM pg_proc p JOIN pg_class c ON c.relnamespace = p.pronamespace
        WHERE p.oid = tgfoid AND p.proname = %(seal)s AND c.oid = tgrelid))
UNION ALL SELECT format('it has the rule %%s', rulename) FROM pg_rewrite WHERE ev_class = %(oid)s
"""
_UNKEPT = """
SELECT format('the check %%s is not rebuilt', conname) FROM pg_constraint WHERE conrelid = %(oid)s AND contype = 'c'
UNION ALL SELECT format('the foreign key %%s is not rebuilt', conname) FROM pg_constraint
    WHERE conrelid = %(oid)s AND contype = 'f'
UNION ALL SELECT 'row-level security is not rebuilt' FROM pg_class WHERE oid = %(oid)s AND relrowsecurity
"""


class VectorTable(NamedTuple):
    """A table with a column of vectors.

    `rows` is less than 0 where PostgreSQL has not counted, `comment` is its schema's.
    """

    schema: str
    table: str
    rows: float
    comment: str
    may_read: bool
    is_filtered: bool

    @property
    def name(self) -> str:
        """Its collection's name."""
        return f"{self.schema}.{self.table}"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a table is."""

    oid: int
    schema: str
    table: str
    kind: str


def vector_tables(connection: psycopg.Connection) -> Sequence[VectorTable]:
    """List what can be a snapshot, by name."""
    with translated():
        return [VectorTable(*row) for row in connection.execute(_VECTOR_TABLES).fetchall()]


def find(connection: psycopg.Connection, name: str) -> Place:
    """Find the table that a collection's name means: `schema.table`, `table`, or a schema of ours.

    Raises:
        NotFoundError: There is none.
    """
    schema, _, table = name.rpartition(".")
    if not schema:
        ours = records(connection, "SELECT tablename FROM pg_tables WHERE schemaname = %s", (name,))
        schema, table = (name, ours[0].tablename) if len(ours) == 1 else ("public", name)
    row = next(iter(records(connection, _FIND, (schema, table))), None)
    if row is None:
        raise NotFoundError(f'there is no collection "{name}"', hint="reg collection list TARGET")
    return Place(row.oid, row.schema, row.table, row.kind)


def describe(connection: psycopg.Connection, place: Place) -> Description:
    """Describe a table."""
    columns, indexes = records(connection, _COLUMNS, (place.oid,)), records(connection, _INDEXES, (place.oid,))
    given = {"oid": place.oid, "seal": SEAL, "seal_of_rows": SEAL_OF_ROWS}
    refusals = [row[0] for row in records(connection, _OBSTACLES, given)]
    unkept = [row[0] for row in records(connection, _UNKEPT, {"oid": place.oid})]
    if place.kind != "r":
        refusals.append("it is no ordinary table: snapshot the table that it reads from")
    key, told = _key(columns, indexes)
    refusals += told
    kept, told_columns, lost = _columns(columns)
    refusals += told_columns
    spaces = tuple(sorted(_spaces(kept, indexes), key=lambda space: space.name))
    if not spaces:
        refusals.append("it has no column of type vector with its dimensions, as vector(384)")
    named = {key.name, *(space.name for space in spaces), *(column.name for column in kept if column.is_generated)}
    properties = [Property(column.name, column.type) for column in kept if column.name not in named]
    plain = sorted(_index(index) for index in indexes if not index.is_special and not index.primary)
    unkept += lost + [f"the index {index.name} is not rebuilt" for index in indexes if index.is_special]
    table = Table(place.table, tuple(kept), tuple(plain))
    schema = Schema(
        family=Family.POSTGRESQL,
        key=Property(key.name, key.type),
        key_kind=_kind(key.type),
        vectors=spaces,
        properties=tuple(sorted(properties, key=lambda one: one.name)),
        engine=table.written(),
    )
    return Description(schema, tuple(refusals), tuple(unkept))


def records(
    connection: psycopg.Connection, query: LiteralString, given: Mapping[str, Any] | Sequence[Any]
) -> list[Any]:
    """Ask the catalog; the columns are the answers' fields."""
    with translated(), connection.cursor(row_factory=namedtuple_row) as cursor:
        return list(cursor.execute(query, given).fetchall())


def _key(columns: Sequence[Any], indexes: Sequence[Any]) -> tuple[Property, list[str]]:
    """Find the one column of the primary key."""
    primary = next((index for index in indexes if index.primary), None)
    if primary is None:
        return Property("", "text"), ["it has no primary key: ALTER TABLE … ADD PRIMARY KEY (id)"]
    names = list(primary.columns)
    if len(names) != 1:
        return Property("", "text"), [f"its primary key has {len(names)} columns: one of its own is needed"]
    kind = next(column.type for column in columns if column.name == names[0])
    if kind not in KEY_TYPES and not kind.startswith("character varying"):
        return Property(names[0], "text"), [f"its key is of type {kind}: uuid, an integer or text is needed"]
    return Property(names[0], kind), []


def _kind(type_name: str) -> KeyKind:
    return KEY_TYPES.get(type_name, KeyKind.TEXT)


def _columns(columns: Sequence[Any]) -> tuple[list[Column], list[str], list[str]]:
    """Give the columns that are kept, what refuses the table, and what is not kept."""
    kept, refusals, lost = [], [], []
    for column in columns:
        name, type_name = column.name, column.type
        document = _DOCUMENT.match(" ".join((column.default or "").split())) if column.generated else None
        if document is not None and type_name == "jsonb":
            kept.append(Column(name, type_name, column.not_null, "json", document.group("column")))
            continue
        if column.generated:
            lost.append(f"the generated column {name} is not rebuilt")
            continue
        if _RESERVED.match(type_name) and not VECTOR.match(type_name):
            refusals.append(f"the column {name} is of type {type_name}: dense vector(n) is what this version stores")
            continue
        default, literal, told = _default(column)
        refusals += told
        kept.append(Column(name, type_name, column.not_null, default, literal))
    return kept, refusals, lost


def _default(column: Any) -> tuple[str, str, list[str]]:
    name, told = column.name, column.default
    if column.identity or (told or "").startswith("nextval("):
        return "identity", "", []
    if told is None or told.startswith("NULL"):
        return "none", "", []
    if told in _SPOKEN:
        return _SPOKEN[told], "", []
    matched = _LITERAL.match(told)
    if matched is None:
        return "none", "", [f"the default of {name} is {told[:60]}: a literal, now() or gen_random_uuid() is kept"]
    text = matched.group(2) if matched.group(1) is None else matched.group(1).replace("''", "'")
    return "literal", text, []


def _spaces(columns: Sequence[Column], indexes: Sequence[Any]) -> list[VectorSpace]:
    """Name the vectors; the metric is the index's, or L2, which is what an unindexed search means by `<->`."""
    found = []
    for column in columns:
        matched = VECTOR.match(column.type)
        if matched is not None:
            classes = [
                _METRICS[opclass]
                for index in indexes
                if column.name in index.columns
                for opclass in index.all_opclasses
                if opclass in _METRICS
            ]
            found.append(VectorSpace(column.name, int(matched.group(1)), classes[0] if classes else "l2"))
    return found


def _index(index: Any) -> Index:
    options = dict(option.split("=", 1) for option in index.options or [])
    return Index(
        method=index.method,
        columns=tuple(index.columns),
        opclasses=tuple(index.opclasses),
        options=tuple(sorted(options.items())),
        unique=index.unique,
    )
