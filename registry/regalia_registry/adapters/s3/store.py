"""Blobs as objects of a bucket: made whole or not at all, on the condition that there is none."""

import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from io import BufferedIOBase, BufferedReader, BytesIO
from itertools import chain
from threading import BoundedSemaphore
from typing import BinaryIO

from botocore.exceptions import ClientError

from regalia.core.digest import Digest
from regalia.core.errors import NotFoundError, UnavailableError
from regalia_registry.adapters.checking import checked
from regalia_registry.adapters.s3.address import Address
from regalia_registry.adapters.s3.bucket import Bucket, SentPart, Upload
from regalia_registry.adapters.s3.faults import FAULTS, code_of, status_of, told, told_at_start
from regalia_registry.adapters.s3.reading import ObjectReader, Part

_MIB = 1024 * 1024
_PART = 8 * _MIB  # also the largest blob that is sent at once
_MAX_PARTS = 10_000
_BESIDE, _SPARE = 3, 8  # parts that one put, and that all of them, send while they read on
_ABANDONED = timedelta(days=1)
_NAME = re.compile(r"[0-9a-f]{64}\Z")
_PROBE = Digest.of(b"is there anybody?")
_IF_NONE = {"IfNoneMatch": "*"}
_THERE = frozenset({404, 409, 412})  # the upload is over, somebody writes it as well, the condition does not hold
_UNKNOWN_CONDITION, _NOTHING_THERE = 501, 416


class S3Blobs:
    """A `BlobStore` in a bucket: `sha256/…` under the prefix, which nothing else may use."""

    def __init__(self, address: Address) -> None:
        """Ask nothing yet."""
        self._address = address
        self._bucket = Bucket(address)
        self._spare = BoundedSemaphore(_SPARE)
        self._senders = ThreadPoolExecutor(_SPARE, thread_name_prefix="s3")

    def check(self) -> None:
        """Try what will be needed, and leave nothing of it.

        Raises:
            ConfigurationError: A setting or a right is wrong; a server that does not answer may do so later.
        """
        with told_at_start(self._bucket.name):
            self._bucket.page(self._address.key(""), after=None, limit=1)
            self._size_of(_PROBE)
            self._bucket.abort(self._bucket.begin(self._address.key(_PROBE.hex)))

    def clear_abandoned(self) -> None:
        """Forget the uploads that a killed process left a day ago."""
        oldest = datetime.now(UTC) - _ABANDONED
        with suppress(*FAULTS):  # another process clears too, the server is silent, or its owner clears by a rule
            for upload in self._bucket.uploads(self._address.key("")):
                if upload.begun is not None and upload.begun < oldest:
                    self._bucket.abort(upload)

    def put(self, *, digest: Digest, source: BufferedIOBase, size_bytes: int) -> bool:
        """Keep the stream under `digest`, hashing while it is sent; what is there is not sent again."""
        pieces = checked(source, digest, size_bytes)
        there = self.stat(digest=digest)
        if there is not None:
            for _ in pieces:
                pass
            if there != size_bytes:
                raise UnavailableError(
                    f"the blob {digest.short} has {there} bytes in the blob store, {size_bytes} belong there",
                    hint=f'remove the object "{self._key(digest)}", and push again',
                )
            return False
        parts = _parts(pieces, size_bytes)
        with told(self._bucket.name):
            if size_bytes <= _PART:
                [body] = parts
                return self._make(digest, partial(self._bucket.put, self._key(digest), body))
            return self._put_parts(digest, parts)

    def open(self, *, digest: Digest, start: int = 0, stop: int | None = None) -> BinaryIO:
        """Open the bytes from `start` up to `stop`; whoever reads a whole blob is told at its end if it is damaged."""
        if stop is not None and stop <= start:
            if self.stat(digest=digest) is None:
                raise _absent(digest)
            return BytesIO()
        part = self._get(digest, start, stop)
        if part is None:
            return BytesIO()
        part.require(digest, start, stop)
        return BufferedReader(ObjectReader(digest, part, fetch=partial(self._get, digest), bucket=self._bucket.name))

    def stat(self, *, digest: Digest) -> int | None:
        """Give the size in bytes, or None."""
        with told(self._bucket.name):
            return self._size_of(digest)

    def url_for(self, *, digest: Digest) -> str | None:
        """Give an address that is good for five minutes, unless clients are not sent to the bucket.

        One without TLS is given out only where it is said to be what clients know: a server may be ours alone.
        """
        if not self._address.redirects:
            return None
        with told(self._bucket.name):
            url = self._bucket.presigned(self._key(digest))
        return url if self._address.public is not None or url.startswith("https:") else None

    def delete(self, *, digest: Digest) -> bool:
        """Remove a blob."""
        with told(self._bucket.name):
            is_there = self._size_of(digest) is not None
            if is_there:
                self._bucket.delete(self._key(digest))
            return is_there

    def list(self, *, after: Digest | None = None) -> Iterator[Digest]:
        """Walk all blobs in the order of their digests; what is no blob of ours is passed over."""
        prefix, behind, has_more = self._address.key(""), None if after is None else self._key(after), True
        while has_more:
            with told(self._bucket.name):
                keys, has_more = self._bucket.page(prefix, after=behind)
            yield from (Digest(name) for key in keys if _NAME.match(name := key.removeprefix(prefix)))
            has_more, behind = has_more and bool(keys), keys[-1] if keys else behind

    def _key(self, digest: Digest) -> str:
        return self._address.key(digest.hex)

    def _size_of(self, digest: Digest) -> int | None:
        """Read one byte: unlike HEAD, whose errors have no body, it tells a bucket that is gone from such a blob."""
        try:
            part = self._bucket.get(self._key(digest), stop=1)
        except ClientError as error:
            if status_of(error) == _NOTHING_THERE:
                return 0
            if _is_absent(error):
                return None
            raise
        if part.stop == 1:
            part.body.read(1)  # to its end, so that the connection is kept
        part.body.close()
        return part.total

    def _get(self, digest: Digest, start: int, stop: int | None) -> Part | None:
        """Ask for bytes; None where the blob ends before them."""
        with told(self._bucket.name):
            try:
                return self._bucket.get(self._key(digest), start=start, stop=stop)
            except ClientError as error:
                if status_of(error) == _NOTHING_THERE:
                    return None
                if _is_absent(error):
                    raise _absent(digest) from error
                raise

    def _put_parts(self, digest: Digest, parts: Iterator[bytearray]) -> bool:
        first = next(parts)  # a stream that is shorter asks nothing of the server
        upload = self._bucket.begin(self._key(digest))
        is_over = False
        try:
            sent = self._send(upload, chain([first], parts))
            is_over = self._make(digest, partial(self._bucket.complete, upload, sent))
        finally:
            if not is_over:
                with suppress(*FAULTS):  # what stays is cleared a day later
                    self._bucket.abort(upload)
        return is_over

    def _send(self, upload: Upload, parts: Iterable[bytearray]) -> Sequence[SentPart]:
        """Send parts, some beside the reading of the next ones; all are over when this is."""
        sent, beside = list[SentPart](), deque[Future[SentPart]]()
        try:
            for number, body in enumerate(parts, 1):
                if len(beside) == _BESIDE:
                    sent.append(beside.popleft().result())
                if self._spare.acquire(blocking=False):
                    beside.append(self._senders.submit(self._bucket.send, upload, number, body))
                    beside[-1].add_done_callback(lambda _: self._spare.release())
                else:
                    sent.append(self._bucket.send(upload, number, body))
            sent += [one.result() for one in beside]
        finally:
            wait(beside)  # a part that arrives after the upload is aborted would stay
        return sorted(sent, key=lambda part: part["PartNumber"])

    def _make(self, digest: Digest, make: Callable[[Mapping[str, str]], None]) -> bool:
        """Make the object where there is none; False where there is one.

        A server that knows no conditions was asked before whether it is there, and what it writes twice is the same.
        """
        try:
            make(_IF_NONE)
        except ClientError as error:
            status = status_of(error)
            if status == _UNKNOWN_CONDITION:
                make({})
                return True
            if status not in _THERE or code_of(error) == "NoSuchBucket":
                raise
            if self._size_of(digest) is None:
                raise UnavailableError(
                    f"the blob {digest.short} was written and removed by others meanwhile", hint="try again"
                ) from error
            return False
        return True


def _parts(pieces: Iterable[memoryview], size_bytes: int) -> Iterator[bytearray]:
    """Gather pieces into parts of one size, the last but for what is left, which comes when all is known to be good."""
    part_bytes = max(_PART, -(-size_bytes // _MAX_PARTS // _MIB) * _MIB)
    left, filled = size_bytes, 0
    body = bytearray(min(part_bytes, left))
    for piece in pieces:
        rest = piece
        while rest:
            if filled == len(body):
                yield body
                left, filled = left - len(body), 0
                body = bytearray(min(part_bytes, left))
            count = min(len(rest), len(body) - filled)
            body[filled : filled + count] = rest[:count]
            filled, rest = filled + count, rest[count:]
    yield body


def _is_absent(error: ClientError) -> bool:
    return status_of(error) == 404 and code_of(error) != "NoSuchBucket"


def _absent(digest: Digest) -> NotFoundError:
    return NotFoundError(f"there is no blob {digest.short}", hint="push it again: reg push")


def open_s3(url: str) -> S3Blobs:
    """Open the blobs of an `s3://` address.

    Raises:
        ConfigurationError: The address is wrong, or the bucket can't be used as it is.
    """
    store = S3Blobs(Address.parse(url))
    store.check()
    store.clear_abandoned()
    return store
