"""The time of the database's host, by which several hosts compare times, whatever their own clocks say."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from regalia.core.errors import UnavailableError
from regalia_registry.adapters.sql.dialect import Begin
from regalia_registry.adapters.sql.engine import Database, transaction
from regalia_registry.ports.system import Clock

_KNOWN_S, _SLEPT_S = 10.0, 1.0


class _Told(NamedTuple):
    """What the database told, and when that was by both clocks of this host."""

    time: datetime
    at: datetime
    at_s: float

    def is_old(self, own: Clock) -> bool:
        """Say whether to ask again; a machine that slept shows it by one of its clocks alone."""
        passed_s = own.monotonic() - self.at_s
        slept_s = (own.now() - self.at).total_seconds() - passed_s
        return passed_s > _KNOWN_S or abs(slept_s) > _SLEPT_S


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
        elif told.is_old(self._own):
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
        self._told = told = _Told(answered.astimezone(UTC), self._own.now(), (before_s + after_s) / 2)
        return told
