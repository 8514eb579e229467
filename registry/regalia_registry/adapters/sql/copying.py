"""Copying a catalog into another database, row by row, and proving that both hold the same."""

import hashlib
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Column, Connection, Table, UniqueConstraint, select

from regalia.core.errors import ConflictError
from regalia_registry.adapters.sql.dialect import Begin
from regalia_registry.adapters.sql.engine import Database, insert_missing, open_database, transaction
from regalia_registry.adapters.sql.tables import LastChange

_ROWS = 1000  # a transaction
_TABLES = [one for one in LastChange.metadata.sorted_tables if one.name != LastChange.__tablename__]  # that, each has


@dataclass(frozen=True, slots=True)
class CopiedTable:
    """A table that both databases have, and its rows."""

    name: str
    rows: int


def copy_catalog(source_url: str, target_url: str) -> Generator[CopiedTable, None, None]:
    """Copy every table into a migrated database, in one moment of the source; what is there already is not sent again.

    Raises:
        ConflictError: The target's table holds other rows than the source's; it is told at its table.
        UnavailableError: A database does not answer; what was copied stays, and the next copy goes on.
        StorageFullError: The target has no space left.
    """
    source, target = open_database(source_url), open_database(target_url)
    try:
        with transaction(source, Begin.READ) as reading:
            sent = {table: _send(reading, table, target) for table in _TABLES}
        for table, proof in sent.items():
            with transaction(target, Begin.READ) as reading:
                found = _Proof()
                for rows in _pages(reading, table):
                    found.take(rows)
            if found.told != proof.told:
                raise ConflictError(
                    f'the table "{table.name}" has {found.rows} rows there and {proof.rows} here, or others',
                    hint="copy into an empty database, and serve neither meanwhile",
                )
            yield CopiedTable(table.name, proof.rows)
    finally:
        source.engine.dispose()
        target.engine.dispose()


def _send(reading: Connection, table: Table, target: Database) -> "_Proof":
    proof = _Proof()
    for rows in _pages(reading, table):
        proof.take(rows)
        with transaction(target, Begin.WRITE) as writing:
            insert_missing(writing, table, rows)
    return proof


class _Proof:
    """The number of rows, and a hash over all of them in their order."""

    def __init__(self) -> None:
        self.rows = 0
        self._hash = hashlib.sha256()

    @property
    def told(self) -> tuple[int, str]:
        return self.rows, self._hash.hexdigest()

    def take(self, rows: Sequence[Mapping[str, object]]) -> None:
        self.rows += len(rows)
        for row in rows:
            self._hash.update(repr(sorted(row.items())).encode())


def _pages(connection: Connection, table: Table) -> Iterator[list[dict[str, object]]]:
    """Read a table in the order of its key, which sorts alike on every database; numbers of its own are left out."""
    columns = [column for column in table.columns if column is not table.autoincrement_column]
    query = select(*columns).order_by(*_key(table))
    found = connection.execute(query, execution_options={"yield_per": _ROWS})
    for rows in found.mappings().partitions():
        yield [dict(row) for row in rows]


def _key(table: Table) -> list[Column[object]]:
    if table.autoincrement_column is None:
        return list(table.primary_key.columns)
    unique = [one for one in table.constraints if isinstance(one, UniqueConstraint)]
    return list(min(unique, key=lambda one: str(one.name)).columns)
