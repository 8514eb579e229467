"""The client for asyncio: the same client, in a thread."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from regalia._transport import Transport
from regalia.bundle import Bundle
from regalia.client import Client
from regalia.resolving import Clock

TYPE_CHECKING = False  # what type checkers read as true: these are loaded when they are used

if TYPE_CHECKING:
    import regalia.core.diff
    import regalia.following
    import regalia.publishing
    import regalia.wire.answers


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

    async def follow(self, reference: str, *, every_s: float = 10.0) -> "AsyncFollower":
        """Follow a channel; see `Client.follow`."""
        return AsyncFollower(await asyncio.to_thread(self.client.follow, reference, every_s=every_s))

    async def push(self, *paths: str | Path, bump: str | None = None) -> "list[regalia.publishing.PushedArtifact]":
        """Push the project's files, or these; see `Client.push`."""
        return await asyncio.to_thread(self.client.push, *paths, bump=bump)

    async def create_bundle(self, version: str | None = None) -> str:
        """Push the project, pin what that gives, and sign it; see `Client.create_bundle`."""
        return await asyncio.to_thread(self.client.create_bundle, version)

    async def promote(self, reference: str, *, to: str, reason: str = "", ticket: str | None = None) -> None:
        """Make a channel name a bundle; see `Client.promote`."""
        await asyncio.to_thread(self.client.promote, reference, to=to, reason=reason, ticket=ticket)

    async def restore(self, channel: str, *, to: str = "previous", reason: str, hold: bool = True) -> None:
        """Bring a channel back to a bundle that it named before; see `Client.restore`."""
        await asyncio.to_thread(self.client.restore, channel, to=to, reason=reason, hold=hold)

    async def history(self, channel: str) -> "AsyncIterator[regalia.wire.answers.PointerEntry]":
        """List the pointers that a channel has and had, newest first."""
        entries = self.client.history(channel)
        while (entry := await asyncio.to_thread(next, entries, None)) is not None:
            yield entry

    async def diff(self, old: str, new: str) -> "tuple[regalia.core.diff.SlotChange, ...]":
        """Put into words what differs between two bundles; see `Client.diff`."""
        return await asyncio.to_thread(self.client.diff, old, new)

    @property
    def behind(self) -> int:
        """How often the registry showed an older pointer than one that was trusted."""
        return self.client.behind


class AsyncFollower:
    """`Follower` for asyncio: what is in memory costs no thread."""

    def __init__(self, follower: "regalia.following.Follower") -> None:
        """Keep it; `AsyncClient.follow` is the way in."""
        self.follower = follower

    async def current(self) -> Bundle:
        """Give the bundle that the channel names; see `Follower.current`."""
        known = self.follower.recall()
        return known if known is not None else await asyncio.to_thread(self.follower.current)

    async def poll(self) -> Bundle:
        """Ask the registry now; see `Follower.poll`."""
        return await asyncio.to_thread(self.follower.poll)

    def close(self) -> None:
        """Stop following."""
        self.follower.close()

    async def __aenter__(self) -> Self:
        """Follow until the block ends."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop following."""
        self.close()
