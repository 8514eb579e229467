"""One look at the store for all requests that came before it."""

import asyncio
from collections.abc import Callable

from regalia.core.errors import UnavailableError


class SharedLook:
    """A look that requests share which the event loop runs in one go, as they do when many come at once.

    It is as good for each of them as a look of its own: the loop begins requests in the order in which it has read
    them, and forgets the look behind those that it had read by then. What is read later is looked for anew, so that an
    answer is never older than what was committed before its request came.
    """

    def __init__(self, look: Callable[[], int]) -> None:
        """Look at nothing yet."""
        self._look = look
        self._found: int | UnavailableError | None = None

    def take(self) -> int:
        """Give what the look of this go found, which is the first one's.

        Raises:
            UnavailableError: The store does not tell.
        """
        if self._found is None:
            try:
                self._found = self._look()
            except UnavailableError as error:
                self._found = error
            asyncio.get_running_loop().call_soon(self._forget)
        if isinstance(self._found, UnavailableError):
            raise self._found
        return self._found

    def _forget(self) -> None:
        self._found = None
