"""How requests leave: a protocol with one method, so that another HTTP library can be handed in."""

from collections.abc import Mapping
from typing import BinaryIO, Protocol

from regalia.core.values import field, frozen


@frozen
class Request:
    """One request to the registry.

    `path` starts with `/` and holds the query; `timeout_s` is for everything, retries included; an answer with more
    than `max_bytes` is refused while it is read. A body that is a file is sent from its start, as often as it takes,
    with the Content-Length that stands in the headers.
    """

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict, hash=False)
    body: bytes | BinaryIO | None = field(default=None, repr=False, hash=False)
    max_bytes: int = 4 * 1024 * 1024
    timeout_s: float = 20.0


@frozen
class Response:
    """An answer; the names of headers are lower case."""

    status: int
    headers: Mapping[str, str] = field(hash=False)
    body: bytes = field(repr=False)


class Transport(Protocol):
    """Sends requests; safe to use from many threads."""

    def send(self, request: Request) -> Response:
        """Send a request and read its answer, whatever its status.

        Raises:
            UnavailableError: Nothing answered in time.
            TooLargeError: The answer is over the request's cap.
        """
        ...
