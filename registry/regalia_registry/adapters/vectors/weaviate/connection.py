"""One connection to a Weaviate: REST as plain JSON, rows by gRPC, every call with a deadline of its own.

The official client's calls retry a server that is gone for a minute, and its batches hide what failed; this adapter
takes its gRPC messages alone.
"""

import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import parse_qsl, quote, urlsplit

import grpc
import httpx
from weaviate.proto.v1 import aggregate_pb2, base_pb2, weaviate_pb2_grpc

from regalia.core.errors import (
    AccessError,
    ConfigurationError,
    ConflictError,
    DocumentError,
    InvalidError,
    NotFoundError,
    RegaliaError,
    StorageFullError,
    TooLargeError,
    UnavailableError,
    UnsupportedError,
)
from regalia_registry.domain.addresses import WEAVIATE

READ_S = 60.0
WRITE_S = 300.0  # a batch may wait that long for its place in the graph
MAX_MESSAGE = 104_858_000  # Weaviate's own cap

_REST_S = 30.0
_CONNECT_S = 10.0
_MAX_ANSWER = 64 * 1024 * 1024
_GRPC_PORT = 50051
_HOST = re.compile(r"[A-Za-z0-9._-]{1,253}\Z|\[[0-9A-Fa-f:.]{2,45}\]\Z")

# A part of what the server says → what it means. Nearly all that it says by gRPC has the code UNKNOWN, what it refuses
# for good and what it can't do yet, just started, alike: what is not known here is waited for.
_BY_TEXT: tuple[tuple[str, type[RegaliaError], str], ...] = (
    ("could not find class", NotFoundError, "reg collection list TARGET"),
    ("class not found", NotFoundError, "reg collection list TARGET"),
    ("extract auth", AccessError, "check the target's credential: it is the API key"),
    ("rbac:", AccessError, "grant the key's role the right: reg target check"),
    ("disk usage too high", StorageFullError, "make room on Weaviate's disk, and make its shards READY again"),
    ("vector lengths don't match", DocumentError, "every vector of one name has the same dimensions"),
    ("read-only", ConflictError, "its shards are READONLY: somebody froze it, or its disk is nearly full"),
    ("not found in schema", NotFoundError, "reg collection list"),
    ("multi-tenancy", UnsupportedError, "collections with tenants are not stored yet"),
    ("not vector-indexed", UnsupportedError, "its index is skipped: search in the snapshot, reg snapshot query"),
    ("no such prop", UnsupportedError, "its properties changed meanwhile: take the snapshot again"),
    ("not enough memory", UnavailableError, "give Weaviate more memory, or ask again later"),
    ("replicas", UnavailableError, "is every node of the cluster up?"),
    ("consistency level", UnavailableError, "is every node of the cluster up?"),
    ("leader not found", UnavailableError, "is every node of the cluster up?"),
    ("connection refused", UnavailableError, "is every node of the cluster up?"),
    ("shutting down", UnavailableError, "is it restarted?"),
    ("shutdown", UnavailableError, "is it restarted?"),
    ("context deadline exceeded", UnavailableError, "ask again when Weaviate has less to do"),
)
_BY_CODE: dict[grpc.StatusCode, type[RegaliaError]] = {
    grpc.StatusCode.UNAUTHENTICATED: AccessError,
    grpc.StatusCode.PERMISSION_DENIED: AccessError,
    grpc.StatusCode.NOT_FOUND: NotFoundError,
    grpc.StatusCode.INVALID_ARGUMENT: InvalidError,
    grpc.StatusCode.UNIMPLEMENTED: UnsupportedError,
}


@dataclass(frozen=True, slots=True)
class Address:
    """Where a Weaviate answers: REST at an origin, gRPC at a port of the same host."""

    origin: str
    host: str
    grpc_port: int
    is_secure: bool

    @classmethod
    def parse(cls, url: str) -> "Address":
        """Read a target's URL.

        Raises:
            ConfigurationError: It is none, or has parts that no target has.
        """
        try:
            parts = urlsplit(url)
            port, query = parts.port, dict(parse_qsl(parts.query, strict_parsing=bool(parts.query)))
            grpc_port = int(query.pop("grpc", _GRPC_PORT))
        except ValueError as error:
            raise ConfigurationError("the target's URL is no Weaviate address", hint=WEAVIATE.example) from error
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
        is_odd = query or not url.isprintable() or parts.path not in {"", "/"} or parts.fragment
        is_placed = parts.scheme in {"http", "https"} and _HOST.match(host) and 0 < grpc_port < 65536
        if is_odd or not is_placed or parts.username is not None:
            raise ConfigurationError("the target's URL is no Weaviate address", hint=WEAVIATE.example)
        is_secure = parts.scheme == "https"
        return cls(f"{parts.scheme}://{host}:{port or (443 if is_secure else 8080)}", host, grpc_port, is_secure)

    @property
    def is_loopback(self) -> bool:
        """Whether it is this machine."""
        return self.host in {"localhost", "[::1]"} or self.host.startswith("127.")


class Connection:
    """REST and gRPC to one server."""

    def __init__(self, url: str, *, key: str | None) -> None:
        """Open nothing yet; `key` is an API key, None for anonymous access.

        Raises:
            ConfigurationError: The URL is none.
        """
        self.address = address = Address.parse(url)
        if key is not None and not (key.isascii() and key.isprintable()):
            raise ConfigurationError(
                "the target's key is none: it holds a control character or a letter that is not ASCII",
                hint="check what its credential names",
            )
        headers = {} if key is None else {"authorization": f"Bearer {key}"}
        self._metadata = tuple(headers.items())
        timeout = httpx.Timeout(_REST_S, connect=_CONNECT_S)
        self._rest = httpx.Client(base_url=address.origin, headers=headers, timeout=timeout, follow_redirects=False)
        place = f"{address.host}:{address.grpc_port}"
        options = [("grpc.max_receive_message_length", 2 * MAX_MESSAGE), ("grpc.max_send_message_length", MAX_MESSAGE)]
        self._channel = (
            grpc.secure_channel(place, grpc.ssl_channel_credentials(), options)
            if address.is_secure
            else grpc.insecure_channel(place, options)
        )
        self._interrupted = threading.Event()
        self._stub = weaviate_pb2_grpc.WeaviateStub(self._channel)  # type: ignore[no-untyped-call] # generated

    def interrupt(self) -> None:
        """End what another thread waits for, and ask for no more rows; REST goes on, to let writers in again."""
        self._interrupted.set()
        self._channel.close()

    def rest(self, seconds: float) -> None:
        """Wait, unless another thread interrupts.

        Raises:
            UnavailableError: One did.
        """
        self._interrupted.wait(seconds)
        self._require_uninterrupted()

    def close(self) -> None:
        """Let go of both."""
        self._rest.close()
        self._channel.close()

    def get(self, path: str) -> Any | None:
        """Get a document; None where there is none.

        Raises:
            UnavailableError: Nothing answers, or what does is starting.
            AccessError: It does not let us in.
        """
        found = self._asked("GET", path, None)
        if found is None:
            self.require_ready()
        return found

    def require_ready(self) -> None:
        """Let nobody conclude from a server that is starting: it answers before it knows all of its classes.

        Raises:
            UnavailableError: It is not ready, or nothing answers.
        """
        try:
            with suppress(AccessError):  # a proxy keeps that to itself
                self._asked("GET", "/v1/.well-known/ready", None)
        except UnavailableError as error:
            raise UnavailableError(
                f"Weaviate is not ready: {error.message}", hint="it may be starting: ask again in a moment"
            ) from error

    def send(self, method: str, path: str, body: object = None) -> Any | None:
        """Change something; None where the server says that it is not there.

        Raises:
            ConflictError: The server refuses, and says why.
            UnavailableError: Nothing answers; whether it was done is unknown.
            AccessError: It does not let us in.
        """
        return self._asked(method, path, body)

    @property
    def is_exposed(self) -> bool:
        """Whether a key travels in clear to another machine."""
        return bool(self._metadata) and not (self.address.is_secure or self.address.is_loopback)

    def version(self) -> tuple[str, tuple[int, ...]]:
        """Give the server's version as it says it, and as numbers."""
        told = str((self.get("/v1/meta") or {}).get("version", "unknown"))
        return told[:60], tuple(int(part) for part in re.findall(r"\d{1,9}", told[:60])[:3])

    def call(self, method: str, request: object, *, timeout_s: float = READ_S) -> Any:
        """Call gRPC once and wait.

        Raises:
            RegaliaError: As `translated` says.
        """
        self._require_uninterrupted()
        with translated():
            return getattr(self._stub, method)(request, timeout=timeout_s, metadata=self._metadata)

    def begin(self, method: str, request: object, *, timeout_s: float = READ_S) -> Any:
        """Call gRPC and go on; the future's `result()` belongs in `translated`."""
        self._require_uninterrupted()
        return getattr(self._stub, method).future(request, timeout=timeout_s, metadata=self._metadata)

    def count(self, name: str, filters: base_pb2.Filters | None = None) -> int:
        """Count a class's rows exactly."""
        reply = self.call(
            "Aggregate", aggregate_pb2.AggregateRequest(collection=name, objects_count=True, filters=filters)
        )
        return int(reply.single_result.objects_count)

    def _require_uninterrupted(self) -> None:
        if self._interrupted.is_set():
            raise UnavailableError("what Weaviate was asked was interrupted", hint="ask again")

    def _asked(self, method: str, path: str, body: object) -> Any | None:
        content = None if body is None else json.dumps(body).encode("utf-8")
        headers = {} if content is None else {"content-type": "application/json"}
        try:
            with self._rest.stream(method, path, content=content, headers=headers) as answer:
                return _read(answer)
        except httpx.HTTPError as error:
            raise UnavailableError(
                f"Weaviate does not answer: {type(error).__name__}", hint="is it running there? reg target check"
            ) from error


def segment(name: str) -> str:
    """Write a name as one segment of a path."""
    return quote(name, safe="")


@contextmanager
def translated() -> Iterator[None]:
    """Turn gRPC's errors into ours."""
    try:
        yield
    except grpc.RpcError as error:
        call = cast("grpc.Call", error)
        raise _refused(str(call.details() or call.code()), _BY_CODE.get(call.code(), UnavailableError)) from error


def refusal(told: str) -> RegaliaError:
    """Give the error for what the server says of one row."""
    return _refused(told, InvalidError)


def _refused(words: str, otherwise: type[RegaliaError]) -> RegaliaError:
    told = _printable(words)
    for part, kind, hint in _BY_TEXT:
        if part in told:
            return kind(f"Weaviate says: {told[:300]}", hint=hint)
    return otherwise(f"Weaviate says: {told[:300]}", hint="reg target check tells more")


def _printable(words: str) -> str:
    return "".join(one if one.isprintable() else " " for one in words)


def _read(answer: httpx.Response) -> Any | None:
    body, deadline = bytearray(), time.monotonic() + _REST_S
    for chunk in answer.iter_bytes():
        body += chunk
        if time.monotonic() > deadline:
            raise UnavailableError(f"Weaviate's answer takes longer than {_REST_S:.0f} s", hint="reg target check")
        if len(body) > _MAX_ANSWER:
            raise TooLargeError("Weaviate's answer is over the cap of 64 MiB", hint="is it a Weaviate?")
    if answer.status_code == 404:
        return None
    if answer.status_code in {401, 403}:
        raise AccessError(
            f"Weaviate does not let us in: {_told(body) or answer.status_code}",
            hint="check the target's credential and its key's role: reg target check",
        )
    if answer.status_code >= 500:
        raise _refused(_told(body) or f"status {answer.status_code}", UnavailableError)
    if answer.status_code >= 300:
        raise _refused(_told(body) or f"status {answer.status_code}", ConflictError)
    try:
        found = json.loads(body) if body else {}
    except (ValueError, RecursionError) as error:
        raise UnavailableError("what answers there is no Weaviate", hint=WEAVIATE.example) from error
    if not isinstance(found, dict | list):
        raise UnavailableError("what answers there is no Weaviate", hint=WEAVIATE.example)
    return found


def _told(body: bytearray) -> str:
    """Read what an error's body says; a proxy's has no JSON."""
    try:
        found = json.loads(body)
        return _printable("; ".join(str(one["message"]) for one in found["error"]))[:300]
    except (ValueError, KeyError, TypeError, RecursionError):
        return ""
