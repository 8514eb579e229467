"""Locks that keep nobody waiting: behind who waits for one everybody waits, so he does for 100 ms at a time."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import psycopg

from regalia.core.errors import UnavailableError
from regalia_registry.adapters.vectors.pgvector.connection import translated

_WAIT = "SET LOCAL lock_timeout = '100ms'"
_ONE_AT_A_TIME = "SELECT pg_advisory_xact_lock(hashtext('regalia.serving'))"
_PAUSES_S = (0.0, 0.1, 0.2, 0.4, 0.8)  # before each try
# What anybody may see of another's connection; never what it asks.
_HOLDERS = """
SELECT DISTINCT coalesce(format('process %%s of "%%s"%%s', l.pid, coalesce(a.usename, '?'),
                                ' (' || nullif(a.application_name, '') || ')'), 'a prepared transaction')
FROM pg_locks l LEFT JOIN pg_stat_activity a ON a.pid = l.pid
WHERE l.locktype = 'relation' AND l.granted AND l.relation = ANY(%s) AND l.pid IS DISTINCT FROM pg_backend_pid()
  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
ORDER BY 1 LIMIT 5
"""

Result = TypeVar("Result")


def patiently(connection: psycopg.Connection, step: Callable[[], Result], *, on: Sequence[int]) -> Result:
    """Run a step in a transaction of its own, again where a lock is not free; `on` are the tables and views it locks.

    Of all steps in a database one runs at a time.

    Raises:
        UnavailableError: Somebody's transaction holds one for seconds, and who; nothing was changed.
    """
    with translated():
        for pause_s in _PAUSES_S:
            connection.execute("SELECT pg_sleep(%s)", (pause_s,))  # which another thread can end
            try:
                with connection.transaction():
                    connection.execute(_WAIT)
                    connection.execute(_ONE_AT_A_TIME)
                    return step()
            except (psycopg.errors.LockNotAvailable, psycopg.errors.InternalError_) as error:
                # Somebody else's GRANT at this very moment is an internal error of the server, in English always.
                if isinstance(error, psycopg.errors.InternalError_) and "tuple concurrently" not in str(error):
                    raise
                found = [row[0] for row in connection.execute(_HOLDERS, ([*on],)).fetchall()]
    who = ", ".join(found) or "somebody, who is gone by now"
    raise UnavailableError(
        f"the database waits for the open transaction of {who}", hint="let it end, or end it: pg_terminate_backend()"
    )
