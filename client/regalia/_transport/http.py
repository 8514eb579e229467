"""The transport on the standard library: one kept connection a thread, caps and deadlines while reading, retries."""

import http.client
import os
import random
import select
import socket
import ssl
import threading
import time
import weakref
from collections.abc import Callable, Mapping
from urllib.parse import urljoin, urlsplit

from regalia._transport import Request, Response
from regalia._transport.routes import Origin, proxy_for
from regalia.core.errors import ConfigurationError, RegaliaError, TooLargeError, UnavailableError
from regalia.core.values import field, frozen, replace

_CONNECT_S = 3.0
_READ_S = 10.0
_KEEP_S = 120.0  # for the answer to a file, which the registry has on its disk by then
_ATTEMPTS = 3
_FIRST_PAUSE_S = 0.2
_MAX_PROBLEM = 64 * 1024  # of an error, however short the answer was to be
_CHUNK = 256 * 1024
_REPEATABLE = frozenset({"GET", "HEAD", "PUT", "DELETE"})
_PERHAPS_LATER = frozenset({429, 502, 503, 504})
_NOT_BEGUN = frozenset({429, 503})  # the registry says so before it does anything
_MOVED = frozenset({301, 302, 303, 307, 308})

_Deadline = Callable[[], float]


@frozen
class Way:
    """How to reach a registry: its address, who we are, and what vouches for both; paths are files in PEM."""

    url: str
    user_agent: str
    token: Callable[[], str | None] = field(repr=False)
    environment: Mapping[str, str] = field(repr=False, hash=False)
    ca_bundle: str | None = None
    client_certificate: tuple[str, str | None] | None = None


class _Connections:
    """Open connections by origin, closed when their thread or the transport ends."""

    def __init__(self) -> None:
        self.open: dict[Origin, http.client.HTTPConnection] = {}
        weakref.finalize(self, _close, self.open)  # in a cycle a __del__ may come after that of the sockets, which warn

    def close(self) -> None:
        _close(self.open)


def _close(connections: dict[Origin, http.client.HTTPConnection]) -> None:
    for connection in connections.values():
        connection.close()
    connections.clear()


class _Kept(threading.local):
    """This thread's open connections; a forked child drops those of its parent."""

    def __init__(self) -> None:
        self.process = os.getpid()
        self.connections = _Connections()


class HttpTransport:
    """Sends requests with http.client. Thread-safe; safe after a fork."""

    def __init__(self, way: Way) -> None:
        """Open nothing yet."""
        self._way = way
        self._origin = Origin.parse(way.url)
        self._prefix = urlsplit(way.url).path.rstrip("/")
        self._kept = _Kept()
        self._tls: dict[bool, ssl.SSLContext] = {}  # by whether it is for the registry itself

    def send(self, request: Request) -> Response:
        """Send a request; see `Transport`."""
        ends_at = time.monotonic() + request.timeout_s
        attempts = range(_ATTEMPTS)
        for attempt in attempts:
            response = self._follow(request, lambda: ends_at - time.monotonic())
            is_last = attempt == attempts[-1]
            if is_last or not _may_repeat(request.method, response.status):
                return response
            pause_s = _pause_s(attempt, response.headers.get("retry-after"))
            if time.monotonic() + pause_s >= ends_at:
                return response
            time.sleep(pause_s)
        raise UnavailableError("nothing was sent")

    def close(self) -> None:
        """Close this thread's connections."""
        self._kept.connections.close()

    def _follow(self, request: Request, left_s: _Deadline) -> Response:
        """Send once, and follow one redirect of a read; a token goes to its own origin only."""
        path = self._prefix + request.path
        response = self._exchange(self._origin, replace(request, path=path), left_s)
        location = response.headers.get("location")
        if response.status not in _MOVED or location is None or request.method not in {"GET", "HEAD"}:
            return response
        origin, target = self._target(path, location)
        kept = request.headers if origin == self._origin else _kept_elsewhere(request.headers)
        moved = self._exchange(origin, replace(request, path=target, headers=kept), left_s)
        if moved.status in _MOVED:
            raise UnavailableError(f"{self._origin} redirects in circles", hint="check REGALIA_URL")
        if origin != self._origin and moved.status >= 400 and moved.status not in _PERHAPS_LATER:
            raise UnavailableError(
                f"{origin}, where {self._origin} keeps it, answers {moved.status}",
                hint="ask again; if it stays so, tell the registry's operator: its clock, its rights, or redirect=off",
            )
        return moved

    def _target(self, path: str, location: str) -> tuple[Origin, str]:
        """Read where a redirect leads: with TLS where the registry has it, and to a server."""
        try:
            target = urljoin(f"{self._origin}{path}", location)
            origin, parts = Origin.parse(target), urlsplit(target)
        except (ConfigurationError, ValueError) as error:
            raise UnavailableError(
                f"{self._origin} redirects to what is no address", hint="is it a registry? reg doctor"
            ) from error
        if self._origin.scheme == "https" and origin.scheme != "https":
            raise UnavailableError(
                f"{self._origin} redirects to an address without TLS, which is not followed",
                hint="tell the registry's operator: redirect=off, or redirect=https://…, in its address of blobs",
            )
        return origin, (parts.path or "/") + (f"?{parts.query}" if parts.query else "")

    def _exchange(self, origin: Origin, request: Request, left_s: _Deadline) -> Response:
        connection, is_used = self._connection(origin)
        try:
            try:
                return self._speak(connection, origin, request, left_s)
            except (ConnectionError, http.client.RemoteDisconnected, http.client.BadStatusLine):
                # A kept connection may be closed by the other side at any moment; a read may be sent again.
                if not is_used or request.method not in {"GET", "HEAD"}:
                    raise
                self._drop(origin)
                connection, _ = self._connection(origin)
                return self._speak(connection, origin, request, left_s)
        except TimeoutError as error:
            self._drop(origin)
            raise _unreachable(origin, "it did not answer in time") from error
        except ssl.SSLCertVerificationError as error:
            self._drop(origin)
            raise _unreachable(
                origin,
                f"its certificate is not trusted ({error.verify_message})",
                hint="name the authority: REGALIA_CA_BUNDLE=FILE",
            ) from error
        except (OSError, http.client.HTTPException) as error:
            self._drop(origin)
            raise _unreachable(origin, str(error).lower() or type(error).__name__) from error
        except RegaliaError:
            self._drop(origin)  # its body was not read to the end
            raise

    def _speak(
        self, connection: http.client.HTTPConnection, origin: Origin, request: Request, left_s: _Deadline
    ) -> Response:
        if connection.sock is None:
            connection.timeout = _within(_CONNECT_S, left_s)
            connection.connect()
        sock: socket.socket = connection.sock
        sock.settimeout(_within(_READ_S, left_s))
        if request.body is not None and not isinstance(request.body, bytes):
            request.body.seek(0)
            sock.settimeout(_within(_KEEP_S, left_s))
        target = request.path if not _is_plainly_proxied(connection, origin) else f"{origin}{request.path}"
        connection.request(request.method, target, request.body, self._headers(connection, origin, request))
        response = connection.getresponse()
        headers = {name.lower(): value for name, value in response.getheaders()}
        cap = request.max_bytes if response.status < 400 else max(request.max_bytes, _MAX_PROBLEM)
        body = _read(response, cap, sock, left_s)
        if response.will_close:
            self._drop(origin)
        return Response(response.status, headers, body)

    def _headers(self, connection: http.client.HTTPConnection, origin: Origin, request: Request) -> dict[str, str]:
        headers = {"Accept": "application/json", "User-Agent": self._way.user_agent, **request.headers}
        token = self._way.token() if origin == self._origin else None
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        if _is_plainly_proxied(connection, origin):
            proxy = proxy_for(origin, self._way.environment)
            headers |= {} if proxy is None else proxy.headers
        return headers

    def _connection(self, origin: Origin) -> tuple[http.client.HTTPConnection, bool]:
        """Give this thread's connection to an origin, and whether it was used before."""
        if self._kept.process != os.getpid():
            self._kept.connections = _Connections()  # our copies close; the parent's stay open
            self._kept.process = os.getpid()
        found = self._kept.connections.open.get(origin)
        if found is not None and found.sock is not None and not _is_stale(found.sock):
            return found, True
        if found is not None:
            found.close()
        made = self._kept.connections.open[origin] = self._open(origin)
        return made, False

    def _open(self, origin: Origin) -> http.client.HTTPConnection:
        proxy = proxy_for(origin, self._way.environment)
        host, port = (origin.host, origin.port) if proxy is None else (proxy.host, proxy.port)
        if origin.scheme == "http":
            return http.client.HTTPConnection(host, port, blocksize=_CHUNK)
        is_home = origin == self._origin
        if is_home not in self._tls:
            self._tls[is_home] = _tls_context(self._way, is_home=is_home)
        connection = http.client.HTTPSConnection(host, port, context=self._tls[is_home], blocksize=_CHUNK)
        if proxy is not None:
            connection.set_tunnel(origin.host, origin.port, dict(proxy.headers))
        return connection

    def _drop(self, origin: Origin) -> None:
        connection = self._kept.connections.open.pop(origin, None)
        if connection is not None:
            connection.close()


def _may_repeat(method: str, status: int) -> bool:
    return status in (_PERHAPS_LATER if method in _REPEATABLE else _NOT_BEGUN)


def _pause_s(attempt: int, retry_after: str | None) -> float:
    wished_s = float(retry_after) if retry_after is not None and retry_after.isdigit() and len(retry_after) < 6 else 0.0
    backoff_s = _FIRST_PAUSE_S * float(2**attempt)
    return max(wished_s, backoff_s) * random.uniform(1.0, 1.5)  # noqa: S311 # spreads retries, guards nothing


def _within(wished_s: float, left_s: _Deadline) -> float:
    left = left_s()
    if left <= 0:
        raise TimeoutError
    return min(wished_s, left)


def _is_stale(sock: socket.socket) -> bool:
    """Say whether the other side hung up: a connection at rest has nothing to read."""
    asked = select.poll()
    asked.register(sock, select.POLLIN)
    return bool(asked.poll(0))


def _is_plainly_proxied(connection: http.client.HTTPConnection, origin: Origin) -> bool:
    return origin.scheme == "http" and (connection.host, connection.port) != (origin.host, origin.port)


def _read(response: http.client.HTTPResponse, max_bytes: int, sock: socket.socket, left_s: _Deadline) -> bytes:
    """Read a body under its cap and the deadline, however slowly it comes."""
    declared = response.length
    if declared is not None and declared > max_bytes:
        raise TooLargeError(f"the answer has {declared} bytes, the cap is {max_bytes}")
    found = bytearray()
    while True:
        sock.settimeout(_within(_READ_S, left_s))
        chunk = response.read1(_CHUNK)
        if not chunk:
            break
        found += chunk
        if len(found) > max_bytes:
            raise TooLargeError(f"the answer has more than {max_bytes} bytes")
    if response.length:
        raise http.client.IncompleteRead(b"", response.length)
    response.close()  # its last read does not, and the connection waits for it
    return bytes(found)


def _kept_elsewhere(headers: Mapping[str, str]) -> dict[str, str]:
    """Give what is meant for whoever holds the bytes, and not for the registry alone."""
    return {name: value for name, value in headers.items() if name.lower() == "range"}


def _tls_context(way: Way, *, is_home: bool) -> ssl.SSLContext:
    """Trust the system's authorities (or `SSL_CERT_FILE`, which OpenSSL reads), or only those of the given file.

    Elsewhere, both are trusted, since what comes from there is hashed, and nobody is shown our certificate.
    """
    try:
        context = ssl.create_default_context(cafile=way.ca_bundle if is_home else None)
        if not is_home and way.ca_bundle is not None:
            context.load_verify_locations(way.ca_bundle)
        if is_home and way.client_certificate is not None:
            context.load_cert_chain(*way.client_certificate)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(
            f"the certificates can't be loaded: {error}",
            hint="check REGALIA_CA_BUNDLE, REGALIA_CLIENT_CERT and REGALIA_CLIENT_KEY",
        ) from error
    return context


def _unreachable(origin: Origin, why: str, *, hint: str = "") -> UnavailableError:
    return UnavailableError(f"{origin} can't be reached: {why}", hint=hint or "is it running? reg serve, or reg doctor")
