"""The time of the database's host, by which several hosts compare times, whatever their own clocks say."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from regalia.core.errors import UnavailableError
from regalia_registry.adapters.sql.dialect import Begin
from regalia_registry.adapters.sql.engine import Database, transaction
from regalia_registry.ports.system import Clock

_KNOWN_S = 10.0


class _Told(NamedTuple):
    """What the database told, and when that was by the monotonic clock of this host."""

    time: datetime
    at_s: float


class DatabaseClock:
    """A `Clock` that asks the database every ten seconds, and counts on from there."""

    def __init__(self, database: Database, question: str, own: Clock) -> None:
        """Ask nothing yet; `own` is this host's."""
        self._database = database
        self._own = own
        self._question = question
        self._told: _Told | None = None

    def now(self) -> datetime:
        """Give the time, aware and in UTC, to the half of a round trip.

        Raises:
            UnavailableError: The database has never told, and does not answer.
        """
        told = self._told
        if told is None:
            told = self._asked()
        elif self.monotonic() - told.at_s > _KNOWN_S:
            with suppress(UnavailableError):  # what it told before is right for hours
                told = self._asked()
        return told.time + timedelta(seconds=self.monotonic() - told.at_s)

    def monotonic(self) -> float:
        """Give seconds of this host that never go back."""
        return self._own.monotonic()

    def _asked(self) -> _Told:
        with transaction(self._database, Begin.READ) as connection:
            before_s = self.monotonic()
            answered = connection.exec_driver_sql(self._question).scalar_one()
            after_s = self.monotonic()
        self._told = told = _Told(answered.astimezone(UTC), (before_s + after_s) / 2)
        return told
