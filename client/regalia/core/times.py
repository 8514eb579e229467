"""Times in documents: aware UTC, whole seconds, one spelling."""

import re
from datetime import UTC, datetime

from regalia.core.errors import DocumentError

_SHAPE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z\Z")


def parse(text: str, *, what: str) -> datetime:
    """Read exactly `YYYY-MM-DDTHH:MM:SSZ`; the inverse of `write`."""
    if not _SHAPE.match(text):
        raise DocumentError(f"{what} is {text[:40]!r}, expected a time as YYYY-MM-DDTHH:MM:SSZ")
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise DocumentError(f"{what} is {text!r}, which is no date") from error


def write(moment: datetime) -> str:
    """Spell a moment; fractions of a second are dropped."""
    return moment.astimezone(UTC).replace(microsecond=0, tzinfo=None).isoformat() + "Z"


def whole_second(moment: datetime) -> datetime:
    """Drop what a document can't hold."""
    return moment.astimezone(UTC).replace(microsecond=0)
