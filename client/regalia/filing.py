"""Snapshots as files: one comes out whole or not at all, one goes in without being held in memory."""

import os
from hashlib import sha256
from pathlib import Path

from regalia.client import Client
from regalia.core.digest import Digest
from regalia.core.errors import ConflictError, InvalidError, NotFoundError, TooLargeError
from regalia.core.kinds.snapshot import Embedding
from regalia.core.manifest import MAX_BLOB
from regalia.core.strict_json import JsonObject
from regalia.wire.answers import MissingBlobs, OperationEntry

FORMS = {".parquet": "parquet", ".jsonl": "jsonl"}

_CHUNK = 1024 * 1024


def start_export(client: Client, namespace: str, name: str, version: str, *, form: str) -> OperationEntry:
    """Ask for a version as one file, `parquet` or `jsonl`; the outcome names its blob."""
    path = f"/v1/namespaces/{namespace}/snapshots/{name}/{version}/export"
    return client.registry.send(OperationEntry, "POST", path, {"form": form})


def start_import(
    client: Client, namespace: str, file: Digest, *, form: str, name: str, embedding: Embedding | None = None
) -> OperationEntry:
    """Ask for a snapshot of a file that was sent."""
    body: JsonObject = {"file": str(file), "form": form, "name": name}
    if embedding is not None:
        body["embedding"] = embedding.written()
    return client.registry.send(OperationEntry, "POST", f"/v1/namespaces/{namespace}/imports", body)


def require_free(destination: Path) -> None:
    """Check that a file can be written, before anybody works for it.

    Raises:
        ConflictError: It exists.
        NotFoundError: Its folder does not.
    """
    if destination.exists() or destination.is_symlink():
        raise ConflictError(f'"{destination}" exists', hint="choose another name; nothing is overwritten")
    if not destination.parent.is_dir():
        raise NotFoundError(f'there is no folder "{destination.parent}"', hint="make it first")


def fetch(client: Client, namespace: str, blob: Digest, destination: Path, *, size_bytes: int) -> None:
    """Write a blob of any size into a file.

    Raises:
        ConflictError: The destination exists.
        DigestError: What arrived is not the blob.
    """
    beside = destination.with_name(f".{destination.name[:100]}.{os.urandom(4).hex()}")
    try:
        with beside.open("xb") as file:
            for part in client.registry.blob_parts(namespace, blob, size_bytes=size_bytes):
                file.write(part)
            file.flush()
            os.fsync(file.fileno())
        require_free(destination)
        beside.rename(destination)
    finally:
        beside.unlink(missing_ok=True)


def send(client: Client, namespace: str, source: Path) -> Digest:
    """Send a file as a blob, unless the registry has it.

    Raises:
        NotFoundError: There is no such file.
        TooLargeError: It is larger than any blob.
    """
    digest, size_bytes = _hashed(source)
    path = f"/v1/namespaces/{namespace}/blobs/missing"
    if client.registry.send(MissingBlobs, "POST", path, {"digests": [str(digest)]}).missing:
        with source.open("rb") as file:
            client.registry.put_file(namespace, digest, file, size_bytes=size_bytes)
    return digest


def form_of(file: Path) -> str:
    """Say which form a file has, by what its name ends in.

    Raises:
        InvalidError: It ends in neither.
    """
    form = FORMS.get(file.suffix)
    if form is None:
        raise InvalidError(f'"{file.name}" does not say its form', hint=f"its name ends in {' or '.join(FORMS)}")
    return form


def _hashed(source: Path) -> tuple[Digest, int]:
    if not source.is_file():
        raise NotFoundError(f'there is no file "{source}"', hint="reg snapshot export writes one")
    size_bytes = source.stat().st_size
    if size_bytes > MAX_BLOB:
        raise TooLargeError(
            f'"{source}" has {size_bytes} bytes, the cap is {MAX_BLOB}',
            hint="leave it where the worker reads it: reg target add NAME file:///folder --provider files",
        )
    state = sha256()
    with source.open("rb") as file:
        while chunk := file.read(_CHUNK):
            state.update(chunk)
    return Digest(state.hexdigest()), size_bytes
