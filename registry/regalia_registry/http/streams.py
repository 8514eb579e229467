"""Request bodies as files: what arrives on the event loop, read by a thread that hashes and writes it."""

from asyncio import Task, create_task
from collections.abc import Sequence
from io import RawIOBase

import anyio.from_thread
from starlette.requests import ClientDisconnect, Request
from typing_extensions import Buffer

from regalia.core.errors import DigestError

_COALESCED = 1024 * 1024


class BodyStream(RawIOBase):
    """A request's body; while one megabyte is hashed and written, the next one arrives."""

    def __init__(self, request: Request) -> None:
        """Read nothing yet."""
        self._chunks = request.stream().__aiter__()
        self._parts: list[memoryview] = []
        self._arriving: Task[Sequence[bytes] | None] | None = None

    def readable(self) -> bool:
        """Say yes."""
        return True

    def readinto(self, buffer: Buffer) -> int:
        """Fill the buffer from the body; 0 at its end."""
        target = memoryview(buffer).cast("B")
        if not self._parts:
            self._parts = [memoryview(chunk) for chunk in reversed(anyio.from_thread.run(self._take))]
        filled = 0
        while self._parts and filled < len(target):
            part = self._parts.pop()
            count = min(len(target) - filled, len(part))
            target[filled : filled + count] = part[:count]
            filled += count
            if count < len(part):
                self._parts.append(part[count:])
        return filled

    def close(self) -> None:
        """Stop the arrival that nobody waits for."""
        if not self.closed and self._arriving is not None:
            anyio.from_thread.run_sync(self._arriving.cancel)
        super().close()

    async def _take(self) -> Sequence[bytes]:
        """Give what has arrived, and let the next part arrive meanwhile."""
        arriving = self._arriving or create_task(self._gather())
        found = await arriving
        if found is None:
            raise DigestError("the body ended before it was whole", hint="push it again")
        self._arriving = create_task(self._gather()) if found else None
        return found

    async def _gather(self) -> Sequence[bytes] | None:
        """Collect about a megabyte of chunks; none at the end, and None where the client is gone."""
        found, size_bytes = [], 0
        try:
            async for chunk in self._chunks:
                if chunk:
                    found.append(chunk)
                size_bytes += len(chunk)
                if size_bytes >= _COALESCED:
                    break
        except ClientDisconnect:
            return None
        return found
