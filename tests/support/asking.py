"""Plain requests, each on a connection of its own, without the SDK's second tries."""

import http.client
from collections.abc import Mapping
from contextlib import closing


def get(port: int, path: str, token: str = "") -> tuple[int, bytes]:
    """Ask a service of this machine; gives the status and the body."""
    status, body, _ = ask(port, path, token)
    return status, body


def ask(port: int, path: str, token: str = "") -> tuple[int, bytes, Mapping[str, str]]:
    """Ask a service of this machine; gives the status, the body and the headers."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=20)) as connection:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read(), dict(answer.getheaders())
