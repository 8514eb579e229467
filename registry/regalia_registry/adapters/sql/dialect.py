"""What one database needs of its own; nothing else in this room knows which one it is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from sqlalchemy import URL, Connection, Engine
from sqlalchemy.exc import DBAPIError

from regalia.core.errors import RegaliaError


class Begin(Enum):
    """What a transaction is for, which decides how it opens."""

    READ = "read"
    WRITE = "write"
    WORK = "work"  # a writer that changes the activity alone
    SILENT = "silent"  # a writer that changes neither
    MIGRATE = "migrate"


@dataclass(frozen=True, slots=True)
class Finding:
    """What a look at a database found; a hint says that it should be otherwise, and fatal that it must be."""

    name: str
    told: str
    hint: str = ""
    is_fatal: bool = False

    @property
    def state(self) -> str:
        """Give `ok`, `warning` or `failed`."""
        return "failed" if self.is_fatal else "warning" if self.hint else "ok"


class Changes(Protocol):
    """Whether anything was committed."""

    def version(self) -> int:
        """Give a number that differs once anything but WORK and SILENT was committed, by any process.

        Raises:
            UnavailableError: The database does not answer.
        """
        ...

    def activity(self) -> int:
        """Give a number that differs once anything but SILENT was committed, by any process.

        Raises:
            UnavailableError: The database does not answer.
        """
        ...

    def close(self) -> None:
        """Let go of the connection; the next look opens another."""
        ...


class Dialect(Protocol):
    """One kind of database."""

    @property
    def begins(self) -> Mapping[Begin, Sequence[str]]:
        """The statements that open each transaction; writers queue in them, so that none reads what another changes."""
        ...

    @property
    def clock(self) -> str | None:
        """The statement that tells the time of the database's host; None where that is this host."""
        ...

    def make_engine(self, url: URL) -> Engine:
        """Make an engine; nothing is connected yet.

        Raises:
            ConfigurationError: The URL is none of this database.
        """
        ...

    def require_there(self, url: URL) -> None:
        """Refuse a database that a mere look would make.

        Raises:
            UnavailableError: It is not there.
        """
        ...

    def is_refused_write(self, error: DBAPIError) -> bool:
        """Say whether a statement was refused because its transaction may only read."""
        ...

    def translated(self, error: DBAPIError) -> RegaliaError | None:
        """Turn an error into one of ours, or None where a statement of ours is wrong: no retry makes that right."""
        ...

    def examine(self, connection: Connection) -> Sequence[Finding]:
        """Say what this database is, and what of it does not suit a registry; in a transaction that reads."""
        ...

    def changes(self, engine: Engine) -> Changes:
        """Watch for commits."""
        ...
