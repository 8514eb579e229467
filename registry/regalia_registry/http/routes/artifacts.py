"""Blobs, manifests and the artifacts that they make."""

import re
from collections.abc import Iterator
from io import BufferedReader
from typing import Annotated, BinaryIO

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from regalia.core.digest import Digest
from regalia.core.errors import InvalidError
from regalia.core.names import ArtifactName, Kind, check_segment, check_version
from regalia.core.oci import MANIFEST_TYPE
from regalia.wire.answers import ArtifactEntry, ArtifactNameEntry, MissingBlobs, Pushed
from regalia_registry.domain.records import ArtifactKey
from regalia_registry.http.dependencies import (
    After,
    CurrentCaller,
    CurrentPorts,
    DigestPath,
    KindPath,
    Limit,
    NamespacePath,
    RawBody,
)
from regalia_registry.http.pages import Page, page_of
from regalia_registry.http.streams import BodyStream
from regalia_registry.services import artifacts, push

router = APIRouter(prefix="/v1/namespaces/{namespace}", tags=["artifacts"])

_CHUNK = 1024 * 1024
_LARGE = 1024 * 1024
_RANGE = re.compile(r"bytes=([0-9]{1,15})-([0-9]{0,15})\Z")


class BlobsAsked(BaseModel):
    """Which blobs the client has."""

    model_config = ConfigDict(extra="forbid")

    digests: list[str] = Field(max_length=1000)


@router.post("/blobs/missing")
def missing_blobs(
    namespace: NamespacePath, asked: BlobsAsked, caller: CurrentCaller, ports: CurrentPorts
) -> MissingBlobs:
    """Say which of these blobs are to be sent."""
    return push.missing_blobs(
        ports, caller, namespace=namespace, digests=[Digest.parse(text) for text in asked.digests]
    )


@router.put(
    "/blobs/{digest}", status_code=201, openapi_extra={"requestBody": {"content": {"application/octet-stream": {}}}}
)
def put_blob(
    namespace: NamespacePath, digest: DigestPath, request: Request, caller: CurrentCaller, ports: CurrentPorts
) -> Response:
    """Keep a blob: raw bytes with their Content-Length, hashed while they are written."""
    length = request.headers.get("content-length", "")
    if not (length.isascii() and length.isdigit()):
        raise InvalidError("a blob is sent with its Content-Length", hint="reg push does")
    with BufferedReader(BodyStream(request), _CHUNK) as source:
        created = push.put_blob(
            ports, caller, namespace=namespace, digest=digest, source=source, size_bytes=int(length)
        )
    return Response(status_code=201 if created else 200)


@router.api_route("/blobs/{digest}", methods=["GET", "HEAD"], response_class=StreamingResponse)
def get_blob(
    namespace: NamespacePath, digest: DigestPath, request: Request, caller: CurrentCaller, ports: CurrentPorts
) -> Response:
    """Get a blob, whole or a range of it; a larger one where the blob store gives it out by itself, if it does."""
    size_bytes = push.blob_size(ports, caller, namespace=namespace, digest=digest)
    if request.method == "GET" and size_bytes > _LARGE and (url := ports.blobs.url_for(digest=digest)) is not None:
        return Response(status_code=307, headers={"location": url, "cache-control": "no-store"})
    start, stop, is_part = _range_of(request.headers.get("range"), size_bytes)
    headers = {
        "content-length": str(stop - start),
        "content-type": "application/octet-stream",
        "etag": f'"{digest}"',
        "accept-ranges": "bytes",
        **({"content-range": f"bytes {start}-{stop - 1}/{size_bytes}"} if is_part else {}),
    }
    if request.method == "HEAD":
        return Response(status_code=200, headers=headers)
    source = ports.blobs.open(digest=digest, start=start, stop=stop)
    return StreamingResponse(_chunks(source), status_code=206 if is_part else 200, headers=headers)


@router.put("/manifests/{digest}", status_code=201, openapi_extra={"requestBody": {"content": {MANIFEST_TYPE: {}}}})
def put_manifest(
    namespace: NamespacePath,
    digest: DigestPath,
    body: RawBody,
    response: Response,
    caller: CurrentCaller,
    ports: CurrentPorts,
) -> Pushed:
    """Keep an artifact version; 200 where it was there ("unchanged")."""
    pushed = push.push_manifest(ports, caller, namespace=namespace, digest=digest, body=body)
    response.status_code = 201 if pushed.created else 200
    return pushed


@router.get("/manifests/{digest}", response_class=Response)
def get_manifest(namespace: NamespacePath, digest: DigestPath, caller: CurrentCaller, ports: CurrentPorts) -> Response:
    """Get a manifest's exact bytes."""
    body = push.get_manifest(ports, caller, namespace=namespace, digest=digest)
    return Response(body, media_type=MANIFEST_TYPE)


@router.get("/artifacts")
def list_names(
    namespace: NamespacePath,
    caller: CurrentCaller,
    ports: CurrentPorts,
    kind: Annotated[Kind | None, Query()] = None,
    after: After = None,
    limit: Limit = 50,
) -> Page[ArtifactNameEntry]:
    """List artifacts by kind and name."""
    found = artifacts.list_names(ports, caller, namespace=namespace, kind=kind, after=_key(after), limit=limit)
    return page_of(found, limit=limit, key=lambda entry: f"{entry.kind}/{entry.name}")


@router.get("/artifacts/{kind}/{name}")
def list_versions(
    namespace: NamespacePath,
    kind: KindPath,
    name: str,
    caller: CurrentCaller,
    ports: CurrentPorts,
    fingerprint: Annotated[str | None, Query(max_length=80)] = None,
    after: After = None,
    limit: Limit = 50,
) -> Page[ArtifactEntry]:
    """List versions, highest first; with a fingerprint the one that has this content."""
    artifact = ArtifactName(namespace, kind, name)
    if fingerprint is not None:
        return Page(artifacts.find_content(ports, caller, artifact, fingerprint=Digest.parse(fingerprint)))
    start = None if after is None else check_version(after)
    found = artifacts.list_versions(ports, caller, artifact, after=start, limit=limit)
    return page_of(found, limit=limit, key=lambda entry: entry.version)


@router.get("/artifacts/{kind}/{name}/{version}")
def get_version(
    namespace: NamespacePath, kind: KindPath, name: str, version: str, caller: CurrentCaller, ports: CurrentPorts
) -> ArtifactEntry:
    """Get one version."""
    artifact = ArtifactName(namespace, kind, name)
    return artifacts.get_version(ports, caller, artifact, version=check_version(version))


def _key(after: str | None) -> ArtifactKey | None:
    if after is None:
        return None
    kind, _, name = after.partition("/")
    if kind not in set(Kind):
        raise InvalidError(f'"after" is {after[:80]!r}, expected KIND/NAME')
    return ArtifactKey(Kind(kind), check_segment(name, what="artifact"))


def _range_of(header: str | None, size_bytes: int) -> tuple[int, int, bool]:
    """Read one range; a header that is none of ours is ignored, as RFC 9110 14.2 allows."""
    matched = None if header is None else _RANGE.match(header)
    if matched is None:
        return 0, size_bytes, False
    start = int(matched.group(1))
    stop = min(size_bytes, int(matched.group(2)) + 1) if matched.group(2) else size_bytes
    return (start, stop, True) if start < stop else (0, size_bytes, False)


def _chunks(source: BinaryIO) -> Iterator[bytes]:
    with source:
        while chunk := source.read(_CHUNK):
            yield chunk
