"""The client for asyncio: the same client, in a thread."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

from regalia._transport import Transport
from regalia.bundle import Bundle
from regalia.client import Client
from regalia.resolving import Clock


class AsyncClient:
    """`Client` for asyncio. What waits runs in a worker thread; an answer from memory costs no thread."""

    def __init__(
        self,
        url: str | None = None,
        *,
        token: str | None = None,
        trust_root: str | Path | None = None,
        state: str | Path | None = None,
        on_stale: str | None = None,
        min_pointer: str | None = None,
        transport: Transport | None = None,
        clock: Clock | None = None,
        environment: Mapping[str, str] | None = None,
        folder: Path | None = None,
    ) -> None:  # the arguments of Client
        """Find the settings, as `Client` does."""
        self.client = Client(
            url,
            token=token,
            trust_root=trust_root,
            state=state,
            on_stale=on_stale,
            min_pointer=min_pointer,
            transport=transport,
            clock=clock,
            environment=environment,
            folder=folder,
        )

    async def resolve(self, reference: str) -> Bundle:
        """Give the bundle that a reference names; see `Client.resolve`."""
        known = self.client.recall(reference)
        return known if known is not None else await asyncio.to_thread(self.client.resolve, reference)

    async def refresh(self, reference: str) -> Bundle:
        """Ask the registry now; see `Client.refresh`."""
        return await asyncio.to_thread(self.client.refresh, reference)

    @property
    def behind(self) -> int:
        """How often the registry showed an older pointer than one that was trusted."""
        return self.client.behind
