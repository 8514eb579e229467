"""Connections with pinned settings: a value's text must not depend on who reads it."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg.conninfo import make_conninfo

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
from regalia_registry.adapters.vectors.pgvector.address import guarded, parse_address

_CONNECT_S = 10
_OLDEST = 14
_MAX_TOLD = 1000
_VERSION_STEP = 10_000
_PINNED = {
    "TimeZone": "UTC",
    "DateStyle": "ISO, YMD",
    "IntervalStyle": "iso_8601",
    "bytea_output": "hex",
    "extra_float_digits": "1",
    "client_encoding": "UTF8",
    "row_security": "off",  # a policy that hides rows is an error, not a smaller snapshot
    "search_path": "public",  # behind pg_catalog, which is not named: no user's function is taken for the server's
    "lock_timeout": "10s",
}
_BY_STATE: dict[str, tuple[type[RegaliaError], str]] = {
    "28": (AccessError, "check the user and the password of the target: reg target check"),
    "42501": (AccessError, "grant the target's role the right: reg target check"),
    "53100": (StorageFullError, "make room on the database server"),
    "42P01": (NotFoundError, "reg collection list TARGET"),
    "3F000": (NotFoundError, "reg collection list TARGET"),
    "42P06": (ConflictError, "choose another name"),
    "42P07": (ConflictError, "choose another name"),
    "42710": (ConflictError, "choose another name"),
    "2BP01": (ConflictError, "drop first what depends on it"),
    "55000": (ConflictError, "resolve the channel again, and write where it leads"),
    "42601": (UnsupportedError, "the database does not read a type's name"),
    "42704": (UnsupportedError, "install what the type belongs to on the target: CREATE EXTENSION"),
    "22": (DocumentError, "the value is not one of the column's type"),
    "23": (ConflictError, "two rows clash"),
}
# What passes: connection lost, deadlock, resources, in use, ended or starting, the server's disk. Nothing else does.
_PASSING = ("08", "25P03", "40", "53", "55", "57", "58")

# A connection that fails has no state, only words: libpq's, and those of the server's FATAL.
_BY_WORDS: tuple[tuple[str, type[RegaliaError], str], ...] = (
    (
        "no encryption",
        AccessError,
        "the server wants TLS, or another address of yours: add ?sslmode=require to the URL",
    ),
    ("cleartext password", AccessError, "let the server prove its name first: add ?sslmode=verify-full to the URL"),
    ("no pg_hba.conf entry", AccessError, "let this machine in: pg_hba.conf of the server"),
    ("password supplied", AccessError, "say where the password is: reg target add --credential"),
    ("authentication", AccessError, "check the user and the password of the target: reg target check"),
    ("permission denied", AccessError, "grant the target's role CONNECT on the database"),
    ('role "', AccessError, "check the user of the target's URL"),
    ('database "', NotFoundError, "check the database of the target's URL"),
    ("does not support SSL", ConfigurationError, "turn TLS on at the server, or take ?sslmode= from the URL"),
    ("certificate", ConfigurationError, "name the file of its authority: ?sslmode=verify-full&sslrootcert=/path"),
    ("resolve host", UnavailableError, "check the host of the target's URL"),
    ("SSL negotiation", ConfigurationError, "is that a PostgreSQL? check host and port of the target's URL"),
)


def connect(url: str, *, password: str | None = None, application: str = "regalia") -> psycopg.Connection:
    """Open a connection.

    Raises:
        ConfigurationError: The URL is none, or the server's TLS is not what it asks for.
        UnavailableError: Nothing answers.
        AccessError: It does not let us in.
        UnsupportedError: It is too old.
    """
    given = guarded(parse_address(url))
    with translated():
        connection = psycopg.connect(
            # An empty password keeps the worker's PGPASSWORD from a server that it is not meant for.
            make_conninfo("", **given, password=password or ""),
            connect_timeout=_CONNECT_S,
            application_name=application,
            autocommit=True,
        )
        version = connection.info.server_version // _VERSION_STEP
        if version < _OLDEST:
            connection.close()
            raise UnsupportedError(
                f"the database is PostgreSQL {version}, expected {_OLDEST} or newer", hint="upgrade the database server"
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
    told = str(error.diag.message_primary or _sentence(str(error)))
    other = UnavailableError if not state or state.startswith(_PASSING) else UnsupportedError
    kind, hint = _BY_STATE.get(state) or _BY_STATE.get(state[:2]) or (other, "reg target check tells more")
    if not state:
        found = ((kind, hint) for words, kind, hint in _BY_WORDS if words in told)
        kind, hint = next(found, (kind, hint))
    return kind(f"the database says: {_printable(told)}", hint=hint)


def _printable(told: str) -> str:
    """Keep a server's words from steering the terminal that they are shown on."""
    return "".join(letter if letter.isprintable() else " " for letter in told[:_MAX_TOLD])


def _sentence(told: str) -> str:
    """Take the one line of libpq's that says what happened: of several attempts, the last one's, else the first."""
    lines = [line.strip() for line in told.splitlines() if line.strip()] or ["nothing"]
    line = next((line for line in reversed(lines) if " failed: " in line), lines[0])
    return line.rpartition("connection failed: ")[2]
