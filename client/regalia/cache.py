"""What a client keeps on disk: roots, what it last trusted of each reference, and blobs; shared by processes.

Nothing in it is believed: documents are verified and blobs are hashed again whenever they are read. Losing it costs
the memory of how far a channel had come, so it is never thrown away whole.
"""

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from regalia.core import times
from regalia.core.digest import Digest
from regalia.core.errors import ConfigurationError, RegaliaError, StorageFullError
from regalia.core.fields import Fields
from regalia.core.manifest import MAX_BLOB
from regalia.core.references import BundleReference
from regalia.core.strict_json import JsonObject, parse_object, write
from regalia.core.values import frozen
from regalia.core.verification import Seen
from regalia.places import write_private
from regalia.wire.resolution import decode, encode

_MAX_RECORD = 1024 * 1024
_MAX_ROOT = 128 * 1024
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


@frozen
class Record:
    """What was last trusted of one reference, as exact bytes; `etag` answers a question with this root and `have`."""

    bundle: Digest
    release: bytes
    confirmed_at: datetime
    pointer: bytes | None = None
    freshness: bytes | None = None
    seen: Seen | None = None
    etag: str = ""
    etag_root: int = 0
    etag_have: Digest | None = None

    @classmethod
    def parse(cls, body: bytes) -> "Record":
        """Read a record; the inverse of `written`."""
        what = "the cached record"
        fields = Fields(parse_object(body, what=what, max_bytes=_MAX_RECORD), what)
        seen = fields.optional("seen", fields.child)
        have = fields.optional("etag_have", fields.text)
        return cls(
            bundle=Digest.parse(fields.text("bundle")),
            release=decode(fields.text("release", max_characters=_MAX_RECORD), what="the release"),
            confirmed_at=fields.time("confirmed_at"),
            pointer=_optional(fields, "pointer"),
            freshness=_optional(fields, "freshness"),
            seen=None
            if seen is None
            else Seen((seen.integer("epoch"), seen.integer("sequence")), Digest.parse(seen.text("identity"))),
            etag=fields.text("etag", max_characters=256),
            etag_root=fields.integer("etag_root"),
            etag_have=None if have is None else Digest.parse(have),
        )

    def written(self) -> bytes:
        """Write the record."""
        document: JsonObject = {
            "bundle": str(self.bundle),
            "release": encode(self.release),
            "confirmed_at": times.write(self.confirmed_at),
            "etag": self.etag,
            "etag_root": self.etag_root,
        }
        if self.pointer is not None:
            document["pointer"] = encode(self.pointer)
        if self.freshness is not None:
            document["freshness"] = encode(self.freshness)
        if self.seen is not None:
            epoch, sequence = self.seen.order
            document["seen"] = {"epoch": epoch, "sequence": sequence, "identity": str(self.seen.identity)}
        if self.etag_have is not None:
            document["etag_have"] = str(self.etag_have)
        return write(document)


class Cache:
    """One trust domain's folder. Files are written whole or not at all; what turns out broken is deleted."""

    def __init__(self, folder: Path) -> None:
        """Touch nothing yet."""
        self._folder = folder

    def root(self, version: int) -> bytes | None:
        """Read a root's envelope, unverified."""
        return _read(self._root_path(version), _MAX_ROOT)

    def keep_root(self, version: int, envelope: bytes) -> None:
        """Keep a verified root."""
        self._write(self._root_path(version), envelope)

    def drop_root(self, version: int) -> None:
        """Delete a root that turned out broken."""
        _delete(self._root_path(version))

    def record(self, reference: BundleReference) -> Record | None:
        """Read what was trusted of a reference; a record that does not parse is deleted and None."""
        path = self._record_path(reference)
        body = _read(path, _MAX_RECORD)
        if body is None:
            return None
        try:
            return Record.parse(body)
        except RegaliaError:
            _delete(path)
            return None

    def keep_record(self, reference: BundleReference, record: Record) -> None:
        """Replace what is trusted of a reference."""
        self._write(self._record_path(reference), record.written())

    def blob(self, digest: Digest, *, size_bytes: int | None = None) -> bytes | None:
        """Read a blob and hash it; one that is not its digest's is deleted and None."""
        path = self._blob_path(digest)
        body = _read(path, MAX_BLOB)
        if body is None:
            return None
        if Digest.of(body) != digest or (size_bytes is not None and len(body) != size_bytes):
            _delete(path)
            return None
        return body

    def has_blob(self, digest: Digest, *, size_bytes: int) -> bool:
        """Say whether a blob is there with its size; its bytes are hashed when they are read."""
        try:
            return self._blob_path(digest).stat().st_size == size_bytes
        except OSError:
            return False

    def keep_blob(self, digest: Digest, body: bytes) -> None:
        """Keep a blob whose bytes were hashed."""
        self._write(self._blob_path(digest), body)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Let one process at a time compare and replace records.

        Raises:
            ConfigurationError: The folder can't be written.
        """
        path = self._folder / "lock"
        with _as_ours(self._folder):
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            try:
                yield
            finally:  # closing would leave it to a child that another thread has forked meanwhile
                fcntl.flock(descriptor, fcntl.LOCK_UN)
        finally:
            os.close(descriptor)

    def _write(self, path: Path, body: bytes) -> None:
        with _as_ours(self._folder):
            write_private(path, body)

    def _root_path(self, version: int) -> Path:
        return self._folder / "roots" / f"{version}.json"

    def _record_path(self, reference: BundleReference) -> Path:
        application = reference.application
        family, name = ("channels", reference.channel) if reference.channel else ("bundles", reference.version)
        if reference.is_pinned:  # beside what is remembered of the channel
            family = f"pinned/{reference.channel}"
        if reference.digest is not None:
            name = reference.digest.hex
        return self._folder / family / application.namespace / application.name / f"{name}.json"

    def _blob_path(self, digest: Digest) -> Path:
        return self._folder / "blobs" / "sha256" / digest.hex[:2] / digest.hex


def _optional(fields: Fields, name: str) -> bytes | None:
    return decode(fields.text(name, max_characters=_MAX_RECORD), what=name) if fields.has(name) else None


def _read(path: Path, max_bytes: int) -> bytes | None:
    try:
        with path.open("rb") as file:
            body = file.read(max_bytes + 1)
    except OSError:
        return None
    return body if len(body) <= max_bytes else None


def _delete(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError:  # a folder that can't be written: what is broken stays, and is never used
        return


@contextmanager
def _as_ours(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        kind = StorageFullError if error.errno in _FULL else ConfigurationError
        raise kind(
            f'the state folder "{folder}" can\'t be written: {(error.strerror or str(error)).lower()}',
            hint="give the client a folder that it may write: REGALIA_STATE",
        ) from error
