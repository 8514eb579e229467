"""Connections with pinned settings: a value's text must not depend on who reads it."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from regalia.core.errors import (
    AccessError,
    ConfigurationError,
    ConflictError,
    DocumentError,
    NotFoundError,
    RegaliaError,
    StorageFullError,
    UnavailableError,
    UnsupportedError,
)

_CONNECT_S = 10
_PINNED = {
    "TimeZone": "UTC",
    "DateStyle": "ISO, YMD",
    "IntervalStyle": "iso_8601",
    "bytea_output": "hex",
    "extra_float_digits": "1",
    "client_encoding": "UTF8",
    "row_security": "off",  # a policy that hides rows is an error, not a smaller snapshot
    "search_path": "public, pg_catalog",
    "lock_timeout": "10s",
}
_BY_STATE: dict[str, tuple[type[RegaliaError], str]] = {
    "28": (AccessError, "check the user and the password of the target: reg target check"),
    "42501": (AccessError, "grant the target's role the right: reg target check"),
    "53100": (StorageFullError, "make room on the database server"),
    "42P01": (NotFoundError, "reg collection list"),
    "3F000": (NotFoundError, "reg collection list"),
    "42P06": (ConflictError, "choose another name"),
    "42704": (UnsupportedError, "install what the type belongs to on the target: CREATE EXTENSION"),
    "22": (DocumentError, "the value is not one of the column's type"),
    "23": (ConflictError, "two rows clash"),
}
# What passes: connection lost, deadlock, resources, in use, ended or starting, the server's disk. Nothing else does.
_PASSING = ("08", "25P03", "40", "53", "55", "57", "58")


def connect(url: str, *, password: str | None = None, application: str = "regalia") -> psycopg.Connection:
    """Open a connection.

    Raises:
        ConfigurationError: The URL is none.
        UnavailableError: Nothing answers.
        AccessError: It does not let us in.
    """
    try:
        given = conninfo_to_dict(url)
    except psycopg.ProgrammingError as error:
        raise ConfigurationError(
            "the target's URL is no PostgreSQL address", hint="postgresql://user@host:5432/database"
        ) from error
    if password is not None:
        given["password"] = password
    with translated():
        connection = psycopg.connect(
            make_conninfo("", **given),
            connect_timeout=_CONNECT_S,
            application_name=application,
            autocommit=True,
        )
        for name, value in _PINNED.items():
            connection.execute("SELECT set_config(%s, %s, false)", (name, value))
    return connection


@contextmanager
def translated() -> Iterator[None]:
    """Turn the driver's errors into ours; no message holds the connection's password."""
    try:
        yield
    except psycopg.Error as error:
        raise _ours(error) from error


def _ours(error: psycopg.Error) -> RegaliaError:
    state = error.sqlstate or ""
    told = str(error.diag.message_primary or str(error).strip().splitlines()[-1])
    other = UnavailableError if not state or state.startswith(_PASSING) else UnsupportedError
    kind, hint = _BY_STATE.get(state) or _BY_STATE.get(state[:2]) or (other, "reg target check tells more")
    if not state and "authentication" in told:
        kind, hint = _BY_STATE["28"]
    return kind(f"the database says: {told}", hint=hint)
