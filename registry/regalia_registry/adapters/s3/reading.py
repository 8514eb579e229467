"""Reading an object: resumed where the connection is cut, and never given as whole where it is not."""

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from io import RawIOBase
from typing import Protocol

from typing_extensions import Buffer

from regalia.core.digest import Digest
from regalia.core.errors import DigestError, UnavailableError
from regalia_registry.adapters.s3.faults import FAULTS, translated

_RESUMES = 4


class Body(Protocol):
    """What botocore gives of an answer's body."""

    def read(self, amt: int) -> bytes:
        """Read some of it."""
        ...

    def close(self) -> None:
        """Let go of its connection."""
        ...


@dataclass(frozen=True, slots=True)
class Part:
    """What an answer holds of an object: the bytes from `start` to `stop`, of `total`."""

    body: Body
    start: int
    stop: int
    total: int

    def require(self, digest: Digest, start: int, stop: int | None) -> None:
        """Check that it holds what was asked for, up to the end where no `stop` was.

        Raises:
            UnavailableError: It holds other bytes.
        """
        if (self.start, self.stop) != (start, self.total if stop is None else min(stop, self.total)):
            self.body.close()
            raise UnavailableError(
                f"other bytes of {digest.short} came than were asked for",
                hint="is the endpoint an S3 that knows ranges?",
            )


Fetch = Callable[[int, int], Part | None]  # from, up to; None where nothing lies there


class ObjectReader(RawIOBase):
    """The bytes of an object, read through as many connections as it takes; of a whole one the hash is checked."""

    def __init__(self, digest: Digest, part: Part, *, fetch: Fetch, bucket: str) -> None:
        """Begin with an answer that is there."""
        self._digest = digest
        self._part = part
        self._fetch = fetch
        self._bucket = bucket
        self._at, self._stop = part.start, part.stop
        self._resumes = 0
        self._hash = sha256() if (part.start, part.stop) == (0, part.total) else None

    def readable(self) -> bool:
        """Say yes."""
        return True

    def readinto(self, buffer: Buffer) -> int:
        """Fill the buffer; 0 at the end.

        Raises:
            DigestError: These are the last bytes, and all of them are not the blob.
            UnavailableError: The connection was cut again and again.
        """
        target = memoryview(buffer).cast("B")[: self._stop - self._at]
        if not target:
            return 0
        chunk = self._read(len(target))
        target[: len(chunk)] = chunk
        self._at += len(chunk)
        if self._hash is not None:
            self._hash.update(chunk)
            if self._at == self._stop and self._hash.hexdigest() != self._digest.hex:
                raise DigestError(
                    f"the blob {self._digest.short} is damaged in the blob store", hint="restore it from a backup"
                )
        return len(chunk)

    def close(self) -> None:
        """Let go of the connection."""
        self._part.body.close()
        super().close()

    def _read(self, wished: int) -> bytes:
        while True:
            why: Exception | None = None
            try:
                if chunk := self._part.body.read(wished):
                    return chunk
            except FAULTS as error:
                why = error
            self._resume(why)

    def _resume(self, why: Exception | None) -> None:
        """Ask for the rest: what was given stays good, since an object is never written twice."""
        self._part.body.close()
        self._resumes += 1
        if self._resumes > _RESUMES:
            cut = UnavailableError(
                f'the bucket "{self._bucket}" cut {self._digest.short} off {self._resumes} times', hint="try again"
            )
            raise cut if why is None else translated(why, self._bucket) from why
        rest = self._fetch(self._at, self._stop)
        if rest is None:
            raise UnavailableError(f'the bucket "{self._bucket}" has less of {self._digest.short} than it said')
        self._part = rest
        self._part.require(self._digest, self._at, self._stop)
