"""Content digests: the one name of a blob that cannot lie."""

import hashlib
import re
from collections.abc import Iterable
from typing import Self

from regalia.core.errors import DigestError, InvalidNameError
from regalia.core.values import frozen

_HEX = re.compile(r"[0-9a-f]{64}\Z")
_PREFIX = "sha256:"


@frozen(order=True)
class Digest:
    """A SHA-256 digest.

    Only SHA-256, and only lowercase: one blob has one spelling, so digests compare as text
    in SQL, in URLs and in signed payloads.

    >>> Digest.of(b"hello").short
    'sha256:2cf24dba5fb0'
    """

    hex: str

    def __post_init__(self) -> None:
        """Refuse any other spelling."""
        if not _HEX.match(self.hex):
            raise InvalidNameError(
                f"{self.hex[:80]!r} is no SHA-256 in 64 lowercase hex digits",
                hint="a digest looks like sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824",
            )

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `sha256:<hex>`; the inverse of `str`."""
        if not text.startswith(_PREFIX):
            raise InvalidNameError(f"{text[:80]!r} is no digest", hint="only sha256:<64 lowercase hex digits> is one")
        return cls(text.removeprefix(_PREFIX))

    @classmethod
    def of(cls, content: bytes) -> Self:
        """Digest bytes in memory."""
        return cls(hashlib.sha256(content).hexdigest())

    @classmethod
    def of_chunks(cls, chunks: Iterable[bytes]) -> tuple[Self, int]:
        """Digest a stream once, without holding it.

        Returns:
            The digest, and the stream's length in bytes.
        """
        state, size_bytes = hashlib.sha256(), 0
        for chunk in chunks:
            state.update(chunk)
            size_bytes += len(chunk)
        return cls(state.hexdigest()), size_bytes

    @property
    def short(self) -> str:
        """The first 12 digits, for people."""
        return f"{_PREFIX}{self.hex[:12]}"

    def check(self, content: bytes, *, what: str, step: str = "") -> None:
        """Refuse bytes that are not this digest's.

        Raises:
            DigestError: They hash to something else; `what` names them in the message.
        """
        actual = Digest.of(content)
        if actual != self:
            raise DigestError(
                f"{what} hashes to {actual.short}, expected {self.short}",
                hint="it was cut short or altered on its way or on disk",
                step=step,
            )

    def __str__(self) -> str:
        """Spell it as everywhere: `sha256:<hex>`."""
        return _PREFIX + self.hex
