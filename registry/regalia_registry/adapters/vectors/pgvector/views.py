"""Aliases: views that show one collection's table with the rights of whoever reads, under a name that stays."""

import hashlib
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from uuid import uuid4

import psycopg
from psycopg import sql

from regalia.core.errors import ConflictError, InvalidNameError, NotFoundError, UnsupportedError
from regalia_registry.adapters.vectors.pgvector import catalog
from regalia_registry.adapters.vectors.pgvector.catalog import Place
from regalia_registry.adapters.vectors.pgvector.connection import translated
from regalia_registry.adapters.vectors.pgvector.fence import Fence
from regalia_registry.adapters.vectors.pgvector.grammar import Table
from regalia_registry.adapters.vectors.pgvector.grants import (
    Grant,
    carry_policies,
    grant,
    grants_of,
    let_in,
    reaches,
    require_readable,
)
from regalia_registry.adapters.vectors.pgvector.hosting import MAX_IDENTIFIER
from regalia_registry.adapters.vectors.pgvector.locks import patiently
from regalia_registry.adapters.vectors.pgvector.marks import comment_of, mark_in, require_ours
from regalia_registry.domain.snapshots.schema import Schema

OLDEST = 150_000  # whose views can leave rights and row-level security to who reads
_SCHEMA = "public"
_MARK = re.compile(r"alias [0-9a-f]{64} (.+)\Z")
_INVOKER = "security_invoker=true"
_FIND = """
SELECT c.oid, c.relkind AS kind, coalesce(obj_description(c.oid, 'pg_class'), '') AS comment, c.reloptions AS options,
  CASE WHEN c.relkind = 'v' THEN pg_get_viewdef(c.oid) ELSE '' END AS definition,
  pg_has_role(c.relowner, 'USAGE') AS is_owned
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = %s AND c.relname = %s
"""
_ALIASES = """
SELECT n.nspname AS schema, c.relname AS name
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'v' AND obj_description(c.oid, 'pg_class') ~ %s ORDER BY 1, 2
"""
_COLUMNS = """
SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute
WHERE attrelid = %s AND attnum > 0 AND NOT attisdropped ORDER BY attnum
"""
_MAY_CREATE = """
SELECT has_schema_privilege(oid, 'CREATE') AND has_schema_privilege(oid, 'USAGE') FROM pg_namespace WHERE nspname = %s
"""


@dataclass(frozen=True, slots=True)
class Alias:
    """An alias as it stands; `led` is where it was made to lead to, and `is_whole` whether it is as we made it."""

    oid: int
    led: Place | None
    is_whole: bool
    is_owned: bool


class PgvectorAliases:
    """`Aliases` as views in the schema `public`, or in that which the alias names, as `app.docs`."""

    def __init__(self, connection: psycopg.Connection, fence: Fence) -> None:
        """Share the provider's connection and fence."""
        self._connection = connection
        self._fence = fence

    def get(self, alias: str) -> str | None:
        """Name the schema whose table the view shows, if it is as we made it."""
        with translated():
            there = self._find(*place_of(alias))
        return there.led.schema if there is not None and there.led is not None and there.is_whole else None

    def set(self, alias: str, collection: str) -> None:
        """See to rights, read under another name as everybody who may, then replace the view in one moment."""
        if self._connection.info.server_version < OLDEST:
            raise UnsupportedError("aliases need PostgreSQL 15 or newer", hint="use the resolver, or upgrade")
        schema, name = place_of(alias)
        new = require_ours(self._connection, collection)
        with translated():
            there = self._find(schema, name)
            faults = [] if there is None else _faults(self._columns(there.oid), dict(self._columns(new.oid)))
        if faults:
            raise ConflictError(
                f'the alias "{alias}" shows other columns: {"; ".join(faults)}', hint="use the resolver"
            )
        old = None if there is None else there.led
        self._fence.prepare()
        locked = [one.oid for one in (there, old, new) if one is not None]
        grants = patiently(self._connection, lambda: self._see_to_rights(there, new), on=locked)
        if there is not None and there.is_whole and old == new:
            return
        with translated(), self._connection.transaction(force_rollback=True):
            self._rehearse(schema, new, grants)
        patiently(self._connection, lambda: self._replace(schema, name, new, grants), on=locked)

    def leading_to(self, collection: str) -> tuple[str, ...]:
        """Look through the views that have our mark; one that was changed by hand is somebody's by now."""
        with translated():
            rows = catalog.records(self._connection, _ALIASES, (rf"^{comment_of('alias')} [0-9a-f]{{64}} ",))
            there = [(row.schema, row.name, self._find(row.schema, row.name)) for row in rows]
        ours = [(schema, name) for schema, name, one in there if one is not None and _leads(one, collection)]
        return tuple(name if schema == _SCHEMA else f"{schema}.{name}" for schema, name in ours)

    def refusals(self, alias: str, schema: Schema) -> tuple[str, ...]:
        """Compare columns and vectors with those that it shows, and ask for the rights that it takes."""
        if self._connection.info.server_version < OLDEST:
            return ("aliases need PostgreSQL 15 or newer",)
        where, name = place_of(alias)
        try:
            with translated():
                there = self._find(where, name)
                may_create = self._connection.execute(_MAY_CREATE, (where,)).fetchone()
                columns = [] if there is None else self._columns(there.oid)
        except ConflictError as error:
            return (error.message,)
        refusals = _faults(columns, {one.name: one.type for one in Table.of(schema).columns}) if columns else []
        if there is not None and there.led is not None:
            shown = catalog.describe(self._connection, there.led)
            refusals += [f"what it shows can't be left: {one}" for one in shown.refusals]
            metrics = {space.name: space.metric for space in shown.schema.vectors}
            refusals += [
                f"{space.name} is compared by {metrics[space.name]}, and would be by {space.metric}"
                for space in schema.vectors
                if metrics.get(space.name, space.metric) != space.metric
            ]
        if may_create is None:
            refusals.append(f'there is no schema "{where}"')
        elif may_create != (True,):
            refusals.append(f'the target\'s role may not make it: GRANT USAGE, CREATE ON SCHEMA "{where}"')
        if there is not None and not there.is_owned:
            refusals.append(f'another role owns the view "{alias}"')
        return tuple(refusals)

    def remove(self, alias: str) -> bool:
        """Drop the view; what other views read stays."""
        schema, name = place_of(alias)
        with translated():
            there = self._find(schema, name)
        if there is None:
            return False
        statement = sql.SQL("DROP VIEW {}").format(sql.Identifier(schema, name))
        patiently(self._connection, lambda: self._connection.execute(statement), on=[there.oid])
        return True

    def create(self, schema: str, name: str, new: Place, grants: Collection[Grant]) -> None:
        """Make the view, or replace the one that is there, in the transaction that is open."""
        there = self._find(schema, name)
        columns = self._columns(new.oid if there is None else there.oid)
        view = sql.Identifier(schema, name)
        self._connection.execute(
            sql.SQL("CREATE {}VIEW {} WITH ({}) AS SELECT {} FROM {}").format(
                sql.SQL("" if there is None else "OR REPLACE "),
                view,
                sql.SQL(_INVOKER),
                sql.SQL(", ").join([sql.Identifier(column) for column, _ in columns]),
                sql.Identifier(new.schema, new.table),
            )
        )
        [(definition,)] = self._connection.execute(
            "SELECT pg_get_viewdef(%s::regclass)", (view.as_string(self._connection),)
        ).fetchall()
        self._connection.execute(
            sql.SQL("COMMENT ON VIEW {} IS {}").format(view, sql.Literal(comment_of(_sign(definition, new.schema))))
        )
        if there is None:
            grant(self._connection, schema, name, grants=grants)

    def _see_to_rights(self, there: Alias | None, new: Place) -> frozenset[Grant]:
        """Give everybody on the new table what he has on the old one and on the view; gives what the view has.

        Who may read some columns only reads none through the view, which names them all.
        """
        self._fence.touch(new.schema)
        has = grants_of(self._connection, new.oid)
        if there is None:
            let_in(self._connection, new.schema, grants=has)
            return frozenset(one for one in has if not one.column)
        on_view = frozenset(one for one in grants_of(self._connection, there.oid) if not one.column)
        wanted = on_view
        if there.led is not None and there.led != new:
            wanted |= grants_of(self._connection, there.led.oid)
            carry_policies(self._connection, there.led, new)
        grant(self._connection, new.schema, new.table, grants=wanted - has)
        let_in(self._connection, new.schema, grants=wanted)
        return on_view

    def _rehearse(self, schema: str, new: Place, grants: frozenset[Grant]) -> None:
        """Read a view like the one that is to be, in a transaction that leaves nothing behind."""
        side = f"regalia_{uuid4().hex}"
        self.create(schema, side, new, grants)
        roles = {one.role for one in grants if one.role and one.privilege == "SELECT"}
        readers = {role for role in roles if reaches(self._connection, role, schema)}
        require_readable(self._connection, sql.Identifier(schema, side), new, roles=readers)

    def _replace(self, schema: str, name: str, new: Place, grants: frozenset[Grant]) -> None:
        self._fence.touch(new.schema)
        self.create(schema, name, new, grants)

    def _columns(self, oid: int) -> list[tuple[str, str]]:
        return [(str(name), str(kind)) for name, kind in self._connection.execute(_COLUMNS, (oid,)).fetchall()]

    def _find(self, schema: str, name: str) -> Alias | None:
        """Find an alias of ours.

        Raises:
            ConflictError: Something else has the name.
        """
        row = next(iter(catalog.records(self._connection, _FIND, (schema, name))), None)
        if row is None:
            return None
        mark = mark_in(row.comment)
        ours = _MARK.match(mark)
        if row.kind != "v" or ours is None:
            raise ConflictError(f'"{schema}.{name}" is no alias of ours', hint="choose another alias")
        try:
            led = require_ours(self._connection, ours.group(1))
        except (NotFoundError, ConflictError):
            led = None
        is_whole = mark == _sign(row.definition, ours.group(1)) and _INVOKER in (row.options or [])
        return Alias(row.oid, led, is_whole, row.is_owned)


def _leads(alias: Alias, collection: str) -> bool:
    return alias.is_whole and alias.led is not None and alias.led.schema == collection


def place_of(alias: str) -> tuple[str, str]:
    """Read an alias as its schema and its view.

    Raises:
        InvalidNameError: It names no view, or one whose name the database would cut.
    """
    parts = alias.split(".")
    if len(parts) > 2 or not all(0 < len(part.encode("utf-8")) <= MAX_IDENTIFIER for part in parts):
        raise InvalidNameError(
            f'"{alias[:80]}" is no name of a view', hint="docs, or app.docs, of at most 63 bytes each"
        )
    return (_SCHEMA, alias) if len(parts) == 1 else (parts[0], parts[1])


def _sign(definition: str, collection: str) -> str:
    """Spell the mark of a view that is defined so: one that was changed by hand keeps its comment."""
    return f"alias {hashlib.sha256(definition.encode()).hexdigest()} {collection}"


def _faults(shown: Sequence[tuple[str, str]], columns: Mapping[str, str]) -> list[str]:
    """Say in what the columns differ from those that are shown: a statement that is prepared would fail."""
    faults = [
        f"{name} is {_plain(kind)}, and would be {_plain(columns[name])}"
        if name in columns
        else f"{name} would be gone"
        for name, kind in shown
        if _plain(columns.get(name, "")) != _plain(kind)
    ]
    return faults + [f"{name} would be new" for name in columns if name not in dict(shown)]


def _plain(kind: str) -> str:
    return kind.removeprefix("public.")
