"""The provider: collections of PostgreSQL, read in one transaction and loaded group by group."""

import struct
from collections.abc import Collection, Generator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import LiteralString

import psycopg
from psycopg import sql

from regalia.core.errors import (
    ConflictError,
    DocumentError,
    InvalidNameError,
    NotFoundError,
    RegaliaError,
    UnsupportedError,
)
from regalia_registry.adapters.vectors.pgvector import catalog, checking, hosting, places
from regalia_registry.adapters.vectors.pgvector.address import require_foreign
from regalia_registry.adapters.vectors.pgvector.adopting import PgvectorAdoption
from regalia_registry.adapters.vectors.pgvector.catalog import Place
from regalia_registry.adapters.vectors.pgvector.connection import connect, translated
from regalia_registry.adapters.vectors.pgvector.copying import read_blocks, read_rows, write_rows
from regalia_registry.adapters.vectors.pgvector.definition import define
from regalia_registry.adapters.vectors.pgvector.dropping import drop_schema
from regalia_registry.adapters.vectors.pgvector.fence import Fence, application_name
from regalia_registry.adapters.vectors.pgvector.grammar import Table
from regalia_registry.adapters.vectors.pgvector.marks import comment_of, mark_in, mark_of
from regalia_registry.adapters.vectors.pgvector.sealing import PgvectorSeals
from regalia_registry.adapters.vectors.pgvector.views import PgvectorAliases
from regalia_registry.domain.operations import Holder
from regalia_registry.domain.snapshots.origin import Origin
from regalia_registry.domain.snapshots.rows import Row, decode_key, encode_key, encode_properties
from regalia_registry.domain.snapshots.schema import Family, KeyKind, Schema
from regalia_registry.domain.snapshots.translation import Hosted
from regalia_registry.ports.vectors import Checked, CollectionEntry, Consistency, Description, Hit, Ledger

_OPERATORS = {"cosine": "<=>", "l2": "<->", "dot": "<#>", "l1": "<+>"}
_FLOAT_BYTES = 4
_MAX_LOOKED_FOR = 1000  # the highest that hnsw.ef_search takes
# A scan of an HNSW index gives no more rows than it looks for: 40, where the database says nothing else.
_LOOK_FOR = """
SELECT set_config('hnsw.ef_search',
                  greatest(%s, coalesce(nullif(current_setting('hnsw.ef_search', true), '')::int, 40))::text, true)
"""
_CANCEL_S = 5.0


class CopyReading:
    """One repeatable-read transaction: what was committed when it began, whatever is written meanwhile."""

    consistency = Consistency.POINT_IN_TIME

    def __init__(self, connection: psycopg.Connection, place: Place, schema: Schema) -> None:
        """Read nothing yet."""
        self._connection = connection
        self._place = place
        self._schema = schema
        self._stream: Generator[Sequence[Row], None, None] | None = None

    def batches(self) -> Iterator[Sequence[Row]]:
        """Read all rows by COPY."""
        self._stream = self._read()
        return self._stream

    def moved(self) -> int:
        """Say that nothing did: the transaction saw one moment."""
        return 0

    def unindexed(self) -> int:
        """Say that none is: what is stored stands in its indexes."""
        return 0

    def close(self) -> None:
        """End a COPY that nobody reads on."""
        if self._stream is not None:
            self._stream.close()

    def _read(self) -> Generator[Sequence[Row], None, None]:
        schema = self._schema
        key = sql.SQL("{}::bigint") if schema.key_kind is KeyKind.INTEGER else sql.SQL("{}")
        columns = [
            key.format(sql.Identifier(schema.key.name)),
            *(sql.Identifier(space.name) for space in schema.vectors),
            *(sql.SQL("{}::text").format(sql.Identifier(one.name)) for one in schema.properties),
        ]
        query = sql.SQL("COPY (SELECT {} FROM {}) TO STDOUT (FORMAT BINARY)").format(
            sql.SQL(", ").join(columns), sql.Identifier(self._place.schema, self._place.table)
        )
        with translated(), self._connection.cursor() as cursor, cursor.copy(query) as copy:
            yield from read_rows(read_blocks(self._connection.pgconn, copy), schema)


class PgvectorProvider:
    """A `Provider` over one connection; its ports are all itself."""

    def __init__(self, connection: psycopg.Connection, holder: Holder, *, folder: Path | None = None) -> None:
        """Keep the connection; `folder` is where the server's data lies, where that is this machine's own disk."""
        self._connection = connection
        self._fence = Fence(connection, holder)
        self._folder = folder

    @property
    def collections(self) -> "PgvectorProvider":
        """Itself."""
        return self

    @property
    def source(self) -> "PgvectorProvider":
        """Itself."""
        return self

    @property
    def sink(self) -> "PgvectorProvider":
        """Itself."""
        return self

    @property
    def seals(self) -> PgvectorSeals:
        """Its triggers."""
        return PgvectorSeals(self._connection, self._fence)

    @property
    def aliases(self) -> PgvectorAliases:
        """Its views."""
        return PgvectorAliases(self._connection, self._fence)

    @property
    def adoption(self) -> PgvectorAdoption:
        """Moves tables into schemas of ours."""
        return PgvectorAdoption(self._connection, self._fence, self.aliases)

    def physical_name(self, logical: str, suffix: str) -> str:
        """Name a schema; PostgreSQL cuts silently at 63 bytes, so longer names are refused."""
        name = f"{logical}_{suffix}"
        if len(name.encode("utf-8")) > hosting.MAX_IDENTIFIER:
            raise InvalidNameError(f'"{name}" is longer than {hosting.MAX_IDENTIFIER} bytes', hint="use a shorter name")
        return name

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def interrupt(self) -> None:
        """Ask the server to end the statement that runs."""
        with translated():
            self._connection.cancel_safe(timeout=_CANCEL_S)

    def check(self) -> Checked:
        """Look at versions, rights, room and settings."""
        return checking.check(self._connection, folder=self._folder)

    def list(self) -> Sequence[CollectionEntry]:
        """List the tables that have a vector column."""
        return [
            CollectionEntry(
                one.name,
                None if one.rows < 0 else int(one.rows),
                mark_in(one.comment),
            )
            for one in catalog.vector_tables(self._connection)
        ]

    def describe(self, name: str) -> Description:
        """Describe a table."""
        return catalog.describe(self._connection, catalog.find(self._connection, name))

    def version(self) -> str:
        """Name PostgreSQL and its extension."""
        return checking.engine(self._connection)

    def definition(self, name: str) -> str:
        """Spell the table as PostgreSQL does."""
        return define(self._connection, catalog.find(self._connection, name))

    def hosted(self, schema: Schema) -> Hosted:
        """Say as which table a collection is held."""
        return hosting.hosted(schema)

    def create(
        self,
        name: str,
        schema: Schema,
        *,
        mark: str,
        origin: Origin | None = None,  # noqa: ARG002 # a schema's comment is its mark
    ) -> None:
        """Make a schema of this name with our mark, and the empty table in it."""
        if schema.family is not Family.POSTGRESQL:
            raise UnsupportedError(f"a schema of {schema.family} is no table", hint="hosted() gives it as one")
        there = mark_of(self._connection, name)
        if there is not None:
            if there and there == mark:
                self._fence.take(name)
                return
            raise ConflictError(f'the schema "{name}" is taken', hint="choose another name")
        table = Table.of(schema)
        self._fence.prepare()
        with translated(), self._connection.transaction():
            self._fence.begin(name)
            self._require_types(table)
            self._connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(name)))
            self._connection.execute(table.ddl(name, key=schema.key.name))
            self._connection.execute(
                sql.SQL("COMMENT ON SCHEMA {} IS {}").format(sql.Identifier(name), sql.Literal(comment_of(mark)))
            )

    def drop(self, name: str, *, mark: str) -> bool:
        """Drop our schema and what we made in it."""
        there = mark_of(self._connection, name)
        if there is None:
            return False
        if not there or there != mark:
            raise ConflictError(f'the schema "{name}" is not ours', hint="drop it with the database's own tools")
        drop_schema(self._connection, self._fence, name)
        return True

    def writable(self, name: str) -> tuple[str, ...]:  # noqa: ARG002 # no name makes a difference
        """Name nothing: a reading is of one moment anyway."""
        return ()

    def thaw(self, name: str, parts: Collection[str]) -> None:
        """Do nothing: a transaction stops nobody."""

    @contextmanager
    def open(self, name: str, *, freeze: Collection[str] | None = None) -> Iterator[CopyReading]:  # noqa: ARG002 # a transaction needs none
        """Open a transaction that sees one moment."""
        with translated():
            self._connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        try:
            place = catalog.find(self._connection, name)
            described = catalog.describe(self._connection, place)
            if described.refusals:
                raise UnsupportedError(
                    f'"{name}" can\'t be a snapshot: {"; ".join(described.refusals)}',
                    hint="reg collection show tells all",
                )
            with closing(CopyReading(self._connection, place, described.schema)) as reading:
                yield reading
        finally:
            with translated():
                self._connection.execute("ROLLBACK")

    def load(
        self,
        name: str,
        schema: Schema,
        groups: Iterable[Sequence[Row]],
        *,
        ledger: Ledger,  # noqa: ARG002 # the fence's count commits with its group
    ) -> Iterator[int]:
        """Load each group and its count in one transaction: an interrupted load goes on where it was."""
        table = sql.Identifier(name, Table.of(schema).name)
        done, total = self._fence.groups(name), 0
        for number, rows in enumerate(groups, start=1):
            total += len(rows)
            if number > done:
                with self._fence.advanced(name, groups=number, rows=total):
                    self._copy(table, schema, rows)
            yield total

    def build_index(self, name: str, schema: Schema) -> None:
        """Build the recorded indexes that are not there; each is whole or absent."""
        place = catalog.find(self._connection, name)
        there = Table.parse(catalog.describe(self._connection, place).schema.engine).indexes
        with translated():
            self._connection.execute("SET maintenance_work_mem = '512MB'")
        for index in Table.of(schema).indexes:
            if index not in there:
                with self._fence.held(name):
                    self._connection.execute(index.ddl(place.schema, place.table))
        with translated():
            self._connection.execute(sql.SQL("ANALYZE {}").format(sql.Identifier(place.schema, place.table)))

    def search(self, name: str, vector: bytes, *, space: str, limit: int) -> Sequence[Hit]:
        """Order by the metric's operator, which the index serves."""
        place = catalog.find(self._connection, name)
        schema = catalog.describe(self._connection, place).schema
        found = next((one for one in schema.vectors if one.name == space), None)
        if found is None or found.metric not in _OPERATORS:
            known = ", ".join(one.name for one in schema.vectors)
            raise NotFoundError(f'"{name}" has no vector "{space}" that can be searched', hint=f"it has {known}")
        if len(vector) != _FLOAT_BYTES * found.dims:
            raise DocumentError(
                f'the question has {len(vector) // _FLOAT_BYTES} dimensions, "{space}" has {found.dims}',
                hint="ask with the embedder that made the collection",
            )
        names = [one.name for one in schema.properties]
        query = sql.SQL("SELECT {key}, {space} {operator} %s::vector, {properties} FROM {table} ORDER BY 2 LIMIT %s")
        asked = query.format(
            key=sql.Identifier(schema.key.name),
            space=sql.Identifier(space),
            operator=sql.SQL(_OPERATORS[found.metric]),
            properties=sql.SQL(", ").join([sql.SQL("{}::text").format(sql.Identifier(one)) for one in names])
            if names
            else sql.SQL("NULL"),
            table=sql.Identifier(place.schema, place.table),
        )
        spelled = "[" + ",".join(map(repr, struct.unpack(f"<{found.dims}f", vector))) + "]"
        with translated(), self._connection.transaction():
            self._connection.execute(_LOOK_FOR, (min(limit, _MAX_LOOKED_FOR),))
            rows = self._connection.execute(asked, (spelled, limit)).fetchall()
        hits = [
            Hit(encode_key(row[0]), float(row[1]), encode_properties(dict(zip(names, row[2:], strict=False))))
            for row in rows
            if row[1] is not None
        ]
        return sorted(hits, key=lambda hit: (hit.distance, hit.key))  # the index orders by rounded distances

    def unreachable(self, name: str, keys: Collection[bytes]) -> frozenset[bytes]:
        """Name the keys that are not stored: what a transaction of PostgreSQL stored stands in its indexes."""
        place = catalog.find(self._connection, name)
        key = catalog.describe(self._connection, place).schema.key
        query = sql.SQL("SELECT {key} FROM {table} WHERE {key} = ANY(%s)").format(
            key=sql.Identifier(key.name), table=sql.Identifier(place.schema, place.table)
        )
        with translated():
            rows = self._connection.execute(query, ([decode_key(one) for one in keys],)).fetchall()
        return frozenset(keys) - {encode_key(row[0]) for row in rows}

    def _copy(self, table: sql.Identifier, schema: Schema, rows: Sequence[Row]) -> None:
        """COPY into a side table of texts, from which the server casts: a column's text is what its own type reads."""
        columns = [
            sql.SQL("{} {}").format(sql.Identifier("key"), sql.SQL(hosting.KEY_COLUMNS[schema.key_kind])),
            *(sql.SQL("{} vector").format(sql.Identifier(f"v{place}")) for place in range(len(schema.vectors))),
            *(sql.SQL("{} text").format(sql.Identifier(f"p{place}")) for place in range(len(schema.properties))),
        ]
        targets = [schema.key.name, *(one.name for one in schema.vectors), *(one.name for one in schema.properties)]
        sources = [
            sql.SQL("key::{}").format(sql.SQL(schema.key.type)),
            *(sql.Identifier(f"v{place}") for place in range(len(schema.vectors))),
            *(
                sql.SQL("{}::{}").format(sql.Identifier(f"p{place}"), sql.SQL(one.type))
                for place, one in enumerate(schema.properties)
            ),
        ]
        side = sql.Identifier("regalia_group")
        self._connection.execute(
            sql.SQL("CREATE TEMP TABLE {} ({}) ON COMMIT DROP").format(side, sql.SQL(", ").join(columns))
        )
        with (
            self._connection.cursor() as cursor,
            cursor.copy(sql.SQL("COPY {} FROM STDIN (FORMAT BINARY)").format(side)) as copy,
        ):
            for block in write_rows(rows, schema):
                copy.write(block)
        self._connection.execute(
            sql.SQL("INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE SELECT {} FROM {}").format(
                table,
                sql.SQL(", ").join(map(sql.Identifier, targets)),
                sql.SQL(", ").join(sources),
                side,
            )
        )

    def _require_types(self, table: Table) -> None:
        """Look every type up on the target, as the target reads it, before it stands in a statement."""
        for column in table.columns:
            if self._one("SELECT to_regtype(%s)::text", column.type) is None:
                raise UnsupportedError(
                    f'the target has no type "{column.type}", which the column "{column.name}" needs',
                    hint="make it there first: CREATE TYPE or CREATE EXTENSION",
                )

    def _one(self, query: LiteralString, *given: object) -> object:
        with translated():
            row = self._connection.execute(query, given).fetchone()
        return None if row is None else row[0]


def open_pgvector(
    url: str,
    *,
    holder: Holder,
    password: str | None = None,
    data: Path | None = None,
) -> PgvectorProvider:
    """Open a connection as a provider; `data` is the registry's data folder, whose own server is no target by URL."""
    if data is not None:
        for own in (places.embedded_folder(data), places.ROOTS_FOLDER):
            require_foreign(url, own=own)
    return provide(url, holder=holder, password=password)


def provide(url: str, *, holder: Holder, password: str | None = None, folder: Path | None = None) -> PgvectorProvider:
    """Connect, and end the connections of the operation's earlier workers; `folder` is where the server's data is."""
    connection = connect(url, password=password, application=application_name(holder))
    try:
        Fence(connection, holder).end_predecessors()
    except RegaliaError:
        connection.close()
        raise
    return PgvectorProvider(connection, holder, folder=folder)
