"""The registry's routes as typed calls: what is asked, how large an answer may be, which error it was."""

from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import BinaryIO, TypeVar
from urllib.parse import urlencode

import regalia
from regalia._transport import Request, Response, Transport
from regalia._transport.problems import raise_for_problem
from regalia.core.digest import Digest
from regalia.core.errors import DigestError, NotFoundError, UnavailableError
from regalia.core.fields import Fields
from regalia.core.manifest import MAX_ANY_MANIFEST
from regalia.core.names import ApplicationName
from regalia.core.references import BundleReference
from regalia.core.strict_json import JsonObject, parse_object, write
from regalia.wire.resolution import MAX_ANSWER, decode

TYPE_CHECKING = False  # what type checkers read as true: this is loaded when it is used

if TYPE_CHECKING:
    import regalia.wire.reading

Answer = TypeVar("Answer")

_PAGE = 200
_PART = 8 * 1024 * 1024
_SLOWEST = 1_000_000  # bytes a second of an upload that is waited for
_JSON = {"Content-Type": "application/json"}

Query = Mapping[str, str | int | None]


class Registry:
    """One registry, reached through a transport."""

    def __init__(self, transport: Transport) -> None:
        """Keep the transport; nothing is sent yet."""
        self._transport = transport

    def get(self, kind: type[Answer], path: str, query: Query | None = None) -> Answer:
        """Read one thing.

        Raises:
            RegaliaError: What the registry answered.
        """
        return regalia.wire.reading.read(kind, self._exchange(Request("GET", _path(path, query))).body)

    def pages(self, kind: type[Answer], path: str, query: Query | None = None) -> Iterator[Answer]:
        """Read a list, page by page as it is consumed."""
        after: str | None = None
        while True:
            request = Request("GET", _path(path, {"limit": _PAGE, **(query or {}), "after": after}))
            found, after = regalia.wire.reading.read_page(kind, self._exchange(request).body)
            yield from found
            if after is None:
                return

    def send(self, kind: type[Answer], method: str, path: str, body: JsonObject | None = None) -> Answer:
        """Change something, and read the answer."""
        return regalia.wire.reading.read(kind, self._change(method, path, body).body)

    def change(self, method: str, path: str, body: JsonObject | None = None) -> None:
        """Change something that answers nothing."""
        self._change(method, path, body)

    def resolve(
        self,
        reference: BundleReference,
        *,
        root: int,
        have: Digest | None,
        headers: Mapping[str, str],
        timeout_s: float,
    ) -> Response:
        """Ask for everything that a reference needs, in one request; the status is 200 or 304."""
        query = {"root": root, "have": None if have is None else str(have)}
        path = _path(f"{_resolved(reference)}/resolve", query)
        return self._exchange(Request("GET", path, headers, max_bytes=MAX_ANSWER, timeout_s=timeout_s))

    def root(self, name: str) -> bytes:
        """Read a root's envelope by version or by the digest of its payload, unverified."""
        what = "the registry's root"
        body = self._exchange(Request("GET", f"/v1/trust/roots/{name}")).body
        return decode(Fields(parse_object(body, what=what, max_bytes=MAX_ANSWER), what).text("envelope"), what=what)

    def find_root(self, version: int) -> bytes | None:
        """Read a root's envelope, unverified; None where there is none."""
        try:
            return self.root(str(version))
        except NotFoundError:
            return None

    def manifest(self, namespace: str, digest: Digest) -> bytes:
        """Fetch a manifest, hashed."""
        request = Request("GET", f"/v1/namespaces/{namespace}/manifests/{digest}", max_bytes=MAX_ANY_MANIFEST)
        body = self._exchange(request).body
        digest.check(body, what="the manifest", step="members")
        return body

    def blob(self, namespace: str, digest: Digest, *, size_bytes: int) -> bytes:
        """Fetch a blob of a known size, hashed."""
        request = Request("GET", f"/v1/namespaces/{namespace}/blobs/{digest}", max_bytes=size_bytes, timeout_s=600.0)
        body = self._exchange(request).body
        digest.check(body, what="the blob", step="members")
        return body

    def blob_parts(self, namespace: str, digest: Digest, *, size_bytes: int) -> Iterator[bytes]:
        """Fetch a blob that memory need not hold, a part at a time; it is hashed when the last part was given.

        Raises:
            DigestError: The parts were not the blob.
        """
        state = sha256()
        path = f"/v1/namespaces/{namespace}/blobs/{digest}"
        for start in range(0, size_bytes, _PART):
            stop = min(start + _PART, size_bytes)
            asked = {"Range": f"bytes={start}-{stop - 1}"}
            part = self._exchange(Request("GET", path, asked, max_bytes=stop - start, timeout_s=600.0)).body
            state.update(part)
            yield part
        if state.hexdigest() != digest.hex:
            raise DigestError(f"the parts of {digest.short} hash to {state.hexdigest()[:12]}", hint="ask for it again")

    def put_blob(self, namespace: str, digest: Digest, body: bytes) -> None:
        """Send a blob."""
        headers = {"Content-Type": "application/octet-stream"}
        path = f"/v1/namespaces/{namespace}/blobs/{digest}"
        self._exchange(Request("PUT", path, headers, body, timeout_s=600.0))

    def put_file(self, namespace: str, digest: Digest, file: BinaryIO, *, size_bytes: int) -> None:
        """Send a file of any size as a blob, without holding it."""
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(size_bytes)}
        path = f"/v1/namespaces/{namespace}/blobs/{digest}"
        self._exchange(Request("PUT", path, headers, file, timeout_s=600.0 + size_bytes / _SLOWEST))

    def put(self, kind: type[Answer], path: str, body: bytes, *, media_type: str) -> Answer:
        """Send a document as its exact bytes, and read the answer."""
        return regalia.wire.reading.read(
            kind, self._exchange(Request("PUT", path, {"Content-Type": media_type}, body)).body
        )

    def _change(self, method: str, path: str, body: JsonObject | None) -> Response:
        written = None if body is None else write(body)
        return self._exchange(Request(method, path, _JSON if written is not None else {}, written))

    def _exchange(self, request: Request) -> Response:
        response = self._transport.send(request)
        raise_for_problem(response)
        if response.status == 304 and "If-None-Match" not in request.headers:
            raise UnavailableError("the registry answered 304 to a question without condition", hint="reg doctor")
        return response


def app_path(application: ApplicationName) -> str:
    """Give the path under which an application's routes stand."""
    return f"/v1/apps/{application.namespace}/{application.name}"


def channel_path(reference: BundleReference) -> str:
    """Give the path of a channel."""
    return f"{app_path(reference.application)}/channels/{reference.channel}"


def _resolved(reference: BundleReference) -> str:
    if reference.channel is not None:
        pin = "" if reference.digest is None else f"@{reference.digest}"
        return f"{channel_path(reference)}{pin}"
    return f"{app_path(reference.application)}/bundles/{reference.digest or reference.version}"


def _path(path: str, query: Query | None) -> str:
    given = {name: value for name, value in (query or {}).items() if value is not None}
    return f"{path}?{urlencode(given)}" if given else path
