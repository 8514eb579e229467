"""Request bodies as files: what arrives on the event loop, read by a thread that hashes and writes it."""

from io import RawIOBase

import anyio.from_thread
from starlette.requests import ClientDisconnect, Request
from typing_extensions import Buffer

from regalia.core.errors import DigestError

_COALESCED = 1024 * 1024


class BodyStream(RawIOBase):
    """A request's body; each read crosses to the event loop once a megabyte."""

    def __init__(self, request: Request) -> None:
        """Read nothing yet."""
        self._chunks = request.stream().__aiter__()
        self._left = memoryview(b"")

    def readable(self) -> bool:
        """Say yes."""
        return True

    def readinto(self, buffer: Buffer) -> int:
        """Fill the buffer from the body; 0 at its end."""
        if not self._left:
            self._left = memoryview(anyio.from_thread.run(self._collect))
        target = memoryview(buffer).cast("B")
        count = min(len(target), len(self._left))
        target[:count] = self._left[:count]
        self._left = self._left[count:]
        return count

    async def _collect(self) -> bytes:
        found = bytearray()
        try:
            async for chunk in self._chunks:
                found += chunk
                if len(found) >= _COALESCED:
                    break
        except ClientDisconnect as error:
            raise DigestError("the body ended before it was whole", hint="push it again") from error
        return bytes(found)
