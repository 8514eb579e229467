"""Whether anything was committed, by anybody: the marks that writers replace."""

import select
from collections.abc import Mapping
from threading import Lock, Thread
from typing import Any

import psycopg
from psycopg import pq

from regalia.core.errors import UnavailableError
from regalia_registry.adapters.sql.postgresql.errors import LATER, SILENT, translated

_VERSION = b"SELECT mark FROM last_change WHERE id = 1"
_ACTIVITY = b"SELECT bit_xor(mark) FROM last_change WHERE id IN (1, 2)"
_LOOK_MS = 1000
_REOPEN_S = 0.25


class PostgresqlChanges:
    """Whether anything was committed: one row, read on a connection of its own, in some 20 µs.

    Web processes ask in their event loop, so a look waits for a second at most, and nobody waits for a connection
    that does not come: another thread opens it meanwhile.
    """

    def __init__(self, connecting: Mapping[str, Any]) -> None:
        """Open nothing yet; these are the driver's words for a connection."""
        self._connecting = connecting
        self._lock = Lock()
        self._look: _Look | None = None
        self._opening: _Opening | None = None

    def version(self) -> int:
        """Give a number that differs once anything was committed that all are told, by any process."""
        return self._take(_VERSION)

    def activity(self) -> int:
        """Give a number that differs once anything was committed that workers are told, by any process."""
        return self._take(_ACTIVITY)

    def _take(self, question: bytes) -> int:
        with self._lock:
            if self._look is not None:
                try:
                    return self._look.take(question)
                except psycopg.Error:  # cut, or too slow: a look that was asked twice does no harm
                    self._look.close()
                    self._look = None
            look = self._reopened()
            try:
                found = look.take(question)
            except psycopg.Error as error:
                look.close()
                raise _unavailable(error) from error
            self._look = look
            return found

    def close(self) -> None:
        """Let go of the connection, and of one that is being opened."""
        with self._lock:
            if self._opening is not None:
                self._opening.join()
                if self._opening.look is not None:
                    self._opening.look.close()
            if self._look is not None:
                self._look.close()
            self._look = self._opening = None

    def _reopened(self) -> "_Look":
        if self._opening is None:
            self._opening = _Opening(self._connecting)
            self._opening.start()
            self._opening.join(_REOPEN_S)
        if self._opening.is_alive():
            raise UnavailableError(SILENT, hint=LATER)
        opened, self._opening = self._opening, None
        if opened.look is None:
            raise _unavailable(opened.error)
        return opened.look


class _Opening(Thread):
    """Opens one connection."""

    def __init__(self, connecting: Mapping[str, Any]) -> None:
        super().__init__(name="database", daemon=True)
        self._connecting = connecting
        self.look: _Look | None = None
        self.error: psycopg.Error | None = None

    def run(self) -> None:
        try:
            self.look = _Look(psycopg.connect(**self._connecting))
        except psycopg.Error as error:
            self.error = error


class _Look:
    """A question of one number, asked through libpq itself: with a limit that holds when server or network hangs."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self._connection = connection
        self._libpq = connection.pgconn
        self._poll = select.poll()
        self._poll.register(self._libpq.socket, select.POLLIN)

    def take(self, question: bytes) -> int:
        """Read a mark; 0 before the first change.

        Raises:
            psycopg.Error: It is cut, or did not answer in time; this connection is of no use any more.
        """
        self._libpq.send_query_params(question, None, result_format=1)
        self._libpq.flush()
        result = self._answer()
        if result.status != pq.ExecStatus.TUPLES_OK:
            raise psycopg.OperationalError(result.error_message.decode("utf-8", "replace"))
        value = result.get_value(0, 0) if result.ntuples else b""
        return int.from_bytes(value or b"", "big", signed=True)

    def close(self) -> None:
        self._connection.close()

    def _answer(self) -> pq.abc.PGresult:
        first = self._next()
        if first is None:
            raise psycopg.OperationalError("the database ended the connection")
        while self._next() is not None:
            pass
        return first

    def _next(self) -> pq.abc.PGresult | None:
        while self._libpq.is_busy():
            if not self._poll.poll(_LOOK_MS):
                raise psycopg.OperationalError("the database takes too long")
            self._libpq.consume_input()
        return self._libpq.get_result()


def _unavailable(error: BaseException | None) -> UnavailableError:
    """Say why nobody can look."""
    told = translated(error, is_ours=False)
    return told if isinstance(told, UnavailableError) else UnavailableError(SILENT, hint=LATER)
