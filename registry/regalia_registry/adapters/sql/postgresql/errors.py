"""What the server and its driver say, in our words; none of it holds a password."""

import psycopg

from regalia.core.errors import ConflictError, InvalidError, RegaliaError, StorageFullError, UnavailableError

SILENT = "the registry's database did not answer"
LATER = "try again in a moment"
_MAX_TOLD = 500
_ADDRESS = "check REGALIA_SERVER_DATABASE: reg admin check"
_GRANT = "grant the registry's role what it lacks: reg admin check"
# What the server's codes mean here, the longest that fits: https://www.postgresql.org/docs/current/errcodes-appendix.html
_BY_STATE: dict[str, tuple[type[RegaliaError], str, str]] = {
    "22": (InvalidError, "the registry's database can't keep what was given", "leave out what is no text or too long"),
    "23": (ConflictError, "the registry's database refused", "look at what is there and try again"),
    "25006": (UnavailableError, "the registry's database is read-only", "reading goes on; writing needs the primary"),
    "28": (UnavailableError, "the registry's database lets nobody in with this user and password", _ADDRESS),
    "3D000": (UnavailableError, "the registry's database does not exist", _ADDRESS),
    "42501": (UnavailableError, "the registry's database denies a right", _GRANT),
    "53100": (StorageFullError, "the disk of the registry's database is full", "make room on the database server"),
    "53300": (
        UnavailableError,
        "the registry's database has no connection left",
        "raise max_connections, or run fewer processes",
    ),
    "55P03": (UnavailableError, "the registry's database is kept by another change", LATER),
    "57014": (UnavailableError, "the registry's database takes too long", LATER),
    "away": (UnavailableError, "the registry's database can't be reached", f"is it started? {_ADDRESS}"),
    "url": (UnavailableError, "the database's URL says what it can't", _ADDRESS),
}
# A connection that is refused has no code, only words: libpq's, and those of the server's FATAL.
_BY_WORDS = (
    ("too many clients", "53300"),
    ("too many connections", "53300"),
    ("remaining connection slots", "53300"),
    ("authentication failed", "28"),
    ("no password supplied", "28"),
    ("no pg_hba.conf entry", "28"),
    ('role "', "28"),
    ('database "', "3D000"),
    ("Connection refused", "away"),
    ("No such file or directory", "away"),
    ("resolve host", "away"),
    ("timeout expired", "away"),
    ("invalid ", "url"),
)
_OTHER = (UnavailableError, SILENT, LATER)


def translated(error: BaseException | None, *, is_ours: bool) -> RegaliaError | None:
    """Turn an error of the driver into one of ours, or None where a statement of ours is wrong.

    Args:
        error: The driver's.
        is_ours: Whether the driver calls it a wrong statement.
    """
    state, told = state_of(error), _sentence(error)
    if not state:
        state = next((found for words, found in _BY_WORDS if words in told), "")
    elif is_ours and state != "42501":
        return None
    kind, what, hint = _BY_STATE.get(state) or _BY_STATE.get(state[:2]) or _OTHER
    return kind(f"{what}: {told}", hint=hint)


def state_of(error: BaseException | None) -> str:
    """Give the server's code; empty where it said none."""
    if isinstance(error, psycopg.DataError):
        return error.sqlstate or "22"  # the driver itself refuses a NUL in a text
    return (error.sqlstate or "") if isinstance(error, psycopg.Error) else ""


def _sentence(error: BaseException | None) -> str:
    """Take the one line that says what happened; libpq's own lines never hold a password."""
    primary = error.diag.message_primary if isinstance(error, psycopg.Error) else None
    lines = [line.strip() for line in (primary or str(error)).splitlines() if line.strip()] or ["nothing was said"]
    line = next((line for line in reversed(lines) if " failed: " in line), lines[0])
    told = line.rpartition("failed: ")[2]
    return "".join(letter if letter.isprintable() else " " for letter in told[:_MAX_TOLD])
