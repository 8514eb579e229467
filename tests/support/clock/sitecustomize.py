"""A process whose PYTHONPATH names this folder has a clock that is wrong by CLOCK_OFF_S seconds: Python begins here."""

import os
from datetime import UTC, datetime, timedelta

from regalia_registry.adapters.system import SystemClock


def _wrong(self: SystemClock) -> datetime:  # noqa: ARG001 # a method, once it is there
    return datetime.now(UTC) + timedelta(seconds=int(os.environ["CLOCK_OFF_S"]))


if "CLOCK_OFF_S" in os.environ:  # and not where this module is imported for its doctests
    SystemClock.now = _wrong  # type: ignore[method-assign] # for the whole process
