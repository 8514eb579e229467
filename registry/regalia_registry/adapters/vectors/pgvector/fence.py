"""Fencing in the target: what a worker that was taken over still wants to do there, PostgreSQL refuses.

A row of `regalia.fence` says which worker of which operation may change a collection of ours, and how much of it is
loaded. Every change takes that row first, in its own transaction.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from regalia.core.errors import ConflictError, UnavailableError
from regalia_registry.adapters.vectors.pgvector.connection import translated
from regalia_registry.domain.operations import Holder

_PREFIX = "regalia"
_END_MS = 30_000
_THERE = "SELECT to_regclass('regalia.fence')"
_MAKE = """
SELECT pg_advisory_xact_lock(hashtext('regalia.fence'));
CREATE SCHEMA IF NOT EXISTS regalia;
CREATE TABLE IF NOT EXISTS regalia.fence (
    collection text PRIMARY KEY, operation text NOT NULL, epoch integer NOT NULL,
    groups integer NOT NULL, rows bigint NOT NULL)
"""
_BACKENDS = """
SELECT pid, application_name FROM pg_stat_activity WHERE usename = current_user AND backend_type = 'client backend'
"""
_BEGIN = """
INSERT INTO regalia.fence VALUES (%(collection)s, %(operation)s, %(epoch)s, 0, 0)
ON CONFLICT (collection) DO UPDATE SET operation = excluded.operation, epoch = excluded.epoch, groups = 0, rows = 0
WHERE fence.operation <> excluded.operation OR fence.epoch <= excluded.epoch
"""
_MINE = "collection = %(collection)s AND operation = %(operation)s AND epoch = %(epoch)s"
_TAKE = """
UPDATE regalia.fence SET epoch = %(epoch)s
WHERE collection = %(collection)s AND operation = %(operation)s AND epoch <= %(epoch)s
"""
_HOLD = f"SELECT groups FROM regalia.fence WHERE {_MINE} FOR SHARE"  # noqa: S608 # our own words
_ADVANCE = f"UPDATE regalia.fence SET groups = %(groups)s, rows = %(rows)s WHERE {_MINE}"  # noqa: S608 # our own words
_OWNER = "SELECT operation, epoch FROM regalia.fence WHERE collection = %(collection)s FOR UPDATE"
_FORGET = "DELETE FROM regalia.fence WHERE collection = %(collection)s"


def application_name(holder: Holder) -> str:
    """Name a worker's connections, so that the next worker finds those that outlived it."""
    return f"{_PREFIX} {holder.operation} {holder.epoch}"


class Fence:
    """The fence as one worker of one operation meets it."""

    def __init__(self, connection: psycopg.Connection, holder: Holder) -> None:
        """Ask nothing yet."""
        self._connection = connection
        self._holder = holder

    def end_predecessors(self) -> None:
        """End what earlier workers of the operation left running: a server goes on when its client is killed.

        Raises:
            UnavailableError: A statement of theirs does not end.
        """
        with translated():
            for pid, name in self._connection.execute(_BACKENDS).fetchall():
                if self._is_predecessor(name):
                    ended = self._connection.execute("SELECT pg_terminate_backend(%s, %s)", (pid, _END_MS)).fetchone()
                    if ended != (True,):
                        raise UnavailableError(
                            f"process {pid} of the database still works for an earlier worker",
                            hint="it was told to end, and does so at its next step",
                        )

    def prepare(self) -> None:
        """Make the fence's table where there is none."""
        with translated():
            if self._connection.execute(_THERE).fetchone() == (None,):
                with self._connection.transaction():
                    self._connection.execute(_MAKE)

    def begin(self, collection: str) -> None:
        """Own a collection that this transaction makes; nothing of it is loaded."""
        _require(owned=self._connection.execute(_BEGIN, self._given(collection)).rowcount == 1)

    def take(self, collection: str) -> None:
        """Own a collection that an earlier worker of the operation made; from here on it changes nothing there.

        Raises:
            ConflictError: A later worker owns it.
        """
        with translated():
            _require(owned=self._connection.execute(_TAKE, self._given(collection)).rowcount == 1)

    def groups(self, collection: str) -> int:
        """Say how many groups are loaded."""
        with translated():
            row = self._connection.execute(_HOLD, self._given(collection)).fetchone()
        _require(owned=row is not None)
        return 0 if row is None else int(row[0])

    @contextmanager
    def held(self, collection: str) -> Iterator[None]:
        """Run a transaction that commits only while no later worker owns the collection."""
        with translated(), self._connection.transaction():
            _require(owned=self._connection.execute(_HOLD, self._given(collection)).fetchone() is not None)
            yield

    @contextmanager
    def advanced(self, collection: str, *, groups: int, rows: int) -> Iterator[None]:
        """Run a transaction that loads a group, and counts it."""
        with translated(), self._connection.transaction():
            given = {**self._given(collection), "groups": groups, "rows": rows}
            _require(owned=self._connection.execute(_ADVANCE, given).rowcount == 1)
            yield

    def touch(self, collection: str) -> None:
        """Change a collection in this transaction, whichever operation made it; no later worker of this one has it."""
        given = self._given(collection)
        row = self._connection.execute(_OWNER, given).fetchone()
        _require(owned=row is None or row[0] != self._holder.operation or row[1] <= self._holder.epoch)
        self._connection.execute(_TAKE, given)

    def forget(self, collection: str) -> None:
        """Let go of a collection that this transaction drops, whoever loads it: his next change is refused."""
        self.touch(collection)
        self._connection.execute(_FORGET, self._given(collection))

    def _is_predecessor(self, name: str) -> bool:
        words = name.split(" ")
        return (
            len(words) == 3
            and words[:2] == [_PREFIX, self._holder.operation]
            and words[2].isascii()
            and words[2].isdigit()
            and int(words[2]) < self._holder.epoch
        )

    def _given(self, collection: str) -> dict[str, str | int]:
        return {"collection": collection, "operation": self._holder.operation, "epoch": self._holder.epoch}


def _require(*, owned: bool) -> None:
    if not owned:
        raise ConflictError(
            "another worker has taken the operation over", hint="nothing more was done: reg operation list"
        )
