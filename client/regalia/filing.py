"""Snapshots as files: one comes out whole or not at all, one goes in without being held in memory."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

from regalia.client import Client
from regalia.core.digest import Digest
from regalia.core.errors import ConfigurationError, ConflictError, InvalidError, NotFoundError, TooLargeError
from regalia.core.kinds.snapshot import Embedding
from regalia.core.manifest import MAX_BLOB
from regalia.core.strict_json import JsonObject
from regalia.wire.answers import MissingBlobs, OperationEntry

FORMS = {".parquet": "parquet", ".jsonl": "jsonl"}

_CHUNK = 1024 * 1024


def start_export(
    client: Client, namespace: str, name: str, version: str, *, form: str, since: tuple[str, str] | None = None
) -> OperationEntry:
    """Ask for a version as one file, `parquet` or `jsonl`; the outcome names its blob.

    With `since`, a name and a version, it holds the rows that are new or otherwise since then.
    """
    path = f"/v1/namespaces/{namespace}/snapshots/{name}/{version}/export"
    body: JsonObject = {"form": form}
    if since is not None:
        body["since"] = {"name": since[0], "version": since[1]}
    return client.registry.send(OperationEntry, "POST", path, body)


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
    if os.path.lexists(destination):
        raise _exists(destination)
    if not destination.parent.is_dir():
        raise NotFoundError(f'there is no folder "{destination.parent}"', hint="make it first")


def fetch(client: Client, namespace: str, blob: Digest, destination: Path, *, size_bytes: int) -> None:
    """Write a blob of any size into a file.

    Raises:
        ConflictError: The destination exists.
        DigestError: What arrived is not the blob.
        ConfigurationError: The file can't be written; nothing of it is left.
    """
    beside = destination.with_name(f".{destination.name[:100]}.{os.urandom(4).hex()}")
    try:
        with _told(destination), beside.open("xb") as file:
            for part in client.registry.blob_parts(namespace, blob, size_bytes=size_bytes):
                file.write(part)
            file.flush()
            os.fsync(file.fileno())
        with _told(destination):
            _place(beside, destination)
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
        with _opened(source) as file:
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


def _place(beside: Path, destination: Path) -> None:
    """Give a whole file its name, unless something has it: of two that fetch at once, one is refused."""
    try:
        try:
            destination.hardlink_to(beside)
        except FileExistsError:
            raise
        except OSError:  # FAT and some shares have no links: there an empty file takes the name first
            destination.touch(exist_ok=False)
            beside.replace(destination)
    except FileExistsError:
        raise _exists(destination) from None


def _exists(destination: Path) -> ConflictError:
    return ConflictError(f'"{destination}" exists', hint="choose another name; nothing is overwritten")


def _opened(source: Path) -> BinaryIO:
    with _told(source):
        return source.open("rb")


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ConfigurationError(
            f'"{path}" can\'t be used: {(error.strerror or str(error)).lower()}',
            hint="look at its rights and the room there, or choose another place",
        ) from error


def _hashed(source: Path) -> tuple[Digest, int]:
    state = sha256()
    with _told(source):
        if not source.is_file():
            raise NotFoundError(f'there is no file "{source}"', hint="reg snapshot export writes one")
        size_bytes = source.stat().st_size
        if size_bytes > MAX_BLOB:
            raise TooLargeError(
                f'"{source}" has {size_bytes} bytes, the cap is {MAX_BLOB}',
                hint="leave it where the worker reads it: reg target add NAME file:///folder --provider files",
            )
        with source.open("rb") as file:
            while chunk := file.read(_CHUNK):
                state.update(chunk)
    return Digest(state.hexdigest()), size_bytes
