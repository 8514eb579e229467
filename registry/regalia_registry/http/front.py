"""The front door, as plain ASGI: request ids, hosts, caps, the hot path, and one log line a request."""

import re
import time
from collections.abc import Callable
from typing import cast

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from regalia.core.errors import MisdirectedError, RegaliaError, TooLargeError
from regalia_registry.http.errors import STATUS, Answer, Headers, failure, problem_of
from regalia_registry.http.health import Health
from regalia_registry.http.looking import SharedLook
from regalia_registry.http.meter import Meter
from regalia_registry.http.resolve import answer, is_resolve, path_of
from regalia_registry.services.resolve import Resolver
from regalia_registry.services.sightings import Sightings

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}\Z")
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})
_MAX_JSON = 8 * 1024 * 1024
_PROBES = frozenset({"/healthz", "/readyz"})  # asked every few seconds: nobody reads them in a log
_MAX_MANIFEST = 16 * 1024 * 1024

log = structlog.get_logger("regalia.http")


class Front:
    """Wraps the routes; everything that comes in passes here first."""

    def __init__(
        self,
        routes: ASGIApp,
        *,
        resolver: Resolver,
        sightings: Sightings,
        meter: Meter,
        health: Health,
        new_id: Callable[[], str],
        allowed_hosts: tuple[str, ...],
        max_blob_bytes: int,
    ) -> None:
        """Keep what it asks."""
        self._routes = routes
        self._resolver = resolver
        self._look = SharedLook(resolver.look)
        self.sightings = sightings
        self._meter = meter
        self._health = health
        self._parting: Headers = []
        self._new_id = new_id
        self._hosts = _LOOPBACK | {host.lower() for host in allowed_hosts}
        self._max_blob_bytes = max_blob_bytes

    def stop(self) -> None:
        """Tell that the process stops, and let whoever keeps a connection open end it with the next answer."""
        self._health.is_stopping = True
        self._parting = [(b"connection", b"close")]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._routes(scope, receive, send)
            return
        headers = dict(scope["headers"])
        request_id = self._request_id(headers.get(b"x-request-id"))
        if not self._is_ours(headers.get(b"host")):
            refused = MisdirectedError(
                "the request names another host", hint="add it to allowed_hosts in the registry's server.toml"
            )
            self._meter.requested(scope["method"], None, STATUS[MisdirectedError], 0.0)
            await self._send(send, problem_of(refused, request_id=request_id), request_id)
            return
        if is_resolve(scope):
            began = time.perf_counter()
            answered = answer(scope, self._resolver, self.sightings, look=self._look.take, request_id=request_id)
            self._meter.resolved(answered[0], time.perf_counter() - began)
            await self._send(send, answered, request_id)
            if answered[0] >= 400:
                log.info("request", method=scope["method"], path=path_of(scope), status=answered[0], request=request_id)
            return
        await self._route(scope, receive, send, request_id)

    async def _route(self, scope: Scope, receive: Receive, send: Send, request_id: str) -> None:
        scope.setdefault("state", {})["request_id"] = request_id
        started, status, is_whole = time.perf_counter(), 0, False

        async def send_marked(message: Message) -> None:
            nonlocal status, is_whole
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = self._marked(message["headers"], request_id)
            await send(message)
            is_whole = message["type"] == "http.response.body" and not message.get("more_body", False)

        capped = _Capped(receive, self._cap(scope))
        try:
            capped.check(dict(scope["headers"]).get(b"content-length"))
            await self._routes(scope, capped, send_marked)
        except RegaliaError as error:
            if status == 0:
                await self._send(send, problem_of(error, request_id=request_id), request_id)
            status = status or 413
        except Exception:
            log.exception("request failed", method=scope["method"], path=path_of(scope), request=request_id)
            if status != 0 and not is_whole:
                raise  # a cut body must not look whole
            if status == 0:
                await self._send(send, failure(request_id=request_id), request_id)
            status = 500
        finally:
            spent_s = time.perf_counter() - started
            self._meter.requested(scope["method"], scope.get("route"), status, spent_s)
            spent_ms = round(spent_s * 1000, 1)
            tell = log.debug if path_of(scope) in _PROBES else log.info
            tell("request", method=scope["method"], path=path_of(scope), status=status, ms=spent_ms, request=request_id)

    async def _send(self, send: Send, answered: Answer, request_id: str) -> None:
        status, headers, body = answered
        await send({"type": "http.response.start", "status": status, "headers": self._marked(headers, request_id)})
        await send({"type": "http.response.body", "body": body})

    def _marked(self, headers: Headers, request_id: str) -> Headers:
        return [*headers, (b"x-request-id", request_id.encode("ascii")), *self._parting]

    def _request_id(self, given: bytes | None) -> str:
        return given.decode("ascii") if given is not None and _REQUEST_ID.match(given) else self._new_id()

    def _is_ours(self, host: bytes | None) -> bool:
        if host is None:
            return False
        text = host.decode("latin-1").lower()
        name = text if text.endswith("]") else text.rsplit(":", 1)[0] if ":" in text else text
        return name in self._hosts

    def _cap(self, scope: Scope) -> int:
        path = path_of(scope)
        if "/blobs/sha256:" in path:
            return self._max_blob_bytes
        return _MAX_MANIFEST if "/manifests/" in path else _MAX_JSON


class _Capped:
    """A receive that stops a body at its cap, however it is sent."""

    def __init__(self, receive: Receive, cap: int) -> None:
        self._receive = receive
        self._cap = cap
        self._received = 0

    def check(self, content_length: bytes | None) -> None:
        if content_length is not None and content_length.isdigit():
            self._count(int(content_length))
            self._received = 0

    async def __call__(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request":
            self._count(len(cast("bytes", message.get("body", b""))))
        return message

    def _count(self, size_bytes: int) -> None:
        self._received += size_bytes
        if self._received > self._cap:
            raise TooLargeError(f"the body has more than {self._cap} bytes", hint="send less at once")
