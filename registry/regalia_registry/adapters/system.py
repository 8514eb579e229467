"""This machine's clock and randomness."""

import secrets
import time
from datetime import UTC, datetime

import uuid_utils


class SystemClock:
    """A `Clock` on the system's."""

    def now(self) -> datetime:
        """Give the time, aware and in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Give seconds that never go back."""
        return time.monotonic()


class SystemIds:
    """An `Ids` on the system's randomness."""

    def new(self) -> str:
        """Give a UUID of version 7."""
        return str(uuid_utils.uuid7())

    def secret(self, size_bytes: int) -> bytes:
        """Give random bytes fit for a secret."""
        return secrets.token_bytes(size_bytes)
