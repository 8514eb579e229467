"""Following a channel: one thread a client asks again and again, and what it verified last is there to be read."""

import os
import random
import threading
import time
import weakref
from types import TracebackType
from typing import Self

from regalia.bundle import Bundle, Origin, Provenance
from regalia.client import Client
from regalia.core.errors import (
    EquivocationError,
    ExpiredError,
    InvalidError,
    InvalidNameError,
    NotPlacedError,
    RegaliaError,
)
from regalia.core.references import BundleReference
from regalia.core.values import frozen, replace
from regalia.resolving import Resolved, Resolver

EVERY_S = 10.0
INSTANCE_HEADER = "Regalia-Instance"
SERVES_HEADER = "Regalia-Serves"

_MAX_EVERY_S = 3600.0
_SPREAD = 0.2  # agents that were started together don't ask together
_AGAIN_S = 1.0
_FINAL = (EquivocationError, ExpiredError, NotPlacedError)  # what resolve raises too, whatever is known


@frozen
class _Held:
    """What a follower gives: a bundle, or the error that forbids it; good for as long as a resolve would take it."""

    bundle: Bundle
    until: float
    error: RegaliaError | None = None


class Follower:
    """A channel, followed: `current()` is what it names, as of the last poll. Safe to share between threads.

    A session or a request calls `current()` once and keeps the bundle: it never changes, so all of it is one release.
    """

    def __init__(self, client: Client, text: str, *, every_s: float) -> None:
        """Resolve once, and be polled for; `Client.follow` is the way in."""
        self.reference = client.parse(text)
        if self.reference.channel is None:
            raise InvalidNameError(
                f'"{self.reference}" never changes, so there is nothing to follow',
                hint=f"resolve it, or follow a channel: {self.reference.application}:prod",
            )
        if not 0 < every_s <= _MAX_EVERY_S:
            raise InvalidError(f"a poll every {every_s} s", hint=f"more than 0 and at most {_MAX_EVERY_S:.0f} seconds")
        self._client, self._text, self._every_s = client, text, every_s
        self._is_closed = False
        self._feed = _feed_of(client)
        with self._feed.asking:
            resolved = self._feed.ask(self.reference, None, patient=False)
        self._held = self._taken(resolved)
        self.due = self._due(is_news=True)
        self._feed.add(self)

    def current(self) -> Bundle:
        """Give the bundle that the channel names; nothing is asked, unless polls have stood still beyond its freshness.

        Raises:
            EquivocationError: One sequence has two pointers.
            ExpiredError: What is known has expired for longer than `on_stale` allows.
            NotPlacedError: The collections of a pinned bundle are gone.
            InvalidError: The follower is closed.
            RegaliaError: What `resolve` raises, once what is held is no longer good.
        """
        known = self.recall()
        return self._revived() if known is None else known

    def recall(self) -> Bundle | None:
        """Give what `current` would give without waiting for anything; None where it would ask.

        Raises:
            RegaliaError: What `current` raises.
        """
        held = self._held
        if self._is_closed or not self._feed.is_running:
            return None
        if held.error is not None:
            raise held.error.with_traceback(None)
        return held.bundle if self._client.timestamp() < held.until else None

    def poll(self) -> Bundle:
        """Ask the registry now, as the thread does in its time, and give what is current then; for tests and for haste.

        Raises:
            RegaliaError: What `current` raises.
        """
        self._join()
        self.ask()
        held = self._held
        if held.error is not None:
            raise held.error.with_traceback(None)
        return held.bundle

    def ask(self) -> None:
        """Ask once; where that fails, what is held stays, with a warning and its age, for as long as it is good."""
        with self._feed.asking:
            before, self.due = self._held, self._due(is_news=False)  # also where this very ask ends the thread
            try:
                resolved = self._feed.ask(self.reference, before.bundle, patient=True)
                is_news = resolved.bundle.provenance is Provenance.FRESH
                # What was refused for good is served again only on the registry's own word, and not from the disk.
                self._held = self._taken(resolved) if is_news or before.error is None else before
            except _FINAL as error:
                self._held = replace(before, error=error)
            except RegaliaError as error:
                is_over = before.error is not None or self._client.timestamp() >= before.until
                kept = before.error or error
                self._held = replace(before, bundle=_warned(before.bundle, error), error=kept if is_over else None)
            if self._held.bundle.pointer != before.bundle.pointer:
                self.due = self._due(is_news=True)

    def close(self) -> None:
        """Stop following."""
        self._is_closed = True
        self._feed.remove(self)

    def __enter__(self) -> Self:
        """Follow until the block ends."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop following."""
        self.close()

    def _revived(self) -> Bundle:
        """Start again after a fork, and ask where what is held is no longer good."""
        self._join()
        return self.recall() or self.poll()

    def _join(self) -> None:
        """See to it that a thread of this process polls for this."""
        if self._is_closed:
            raise InvalidError("this follower is closed", hint="follow again: client.follow(…)")
        if not self._feed.is_running:
            feed = _feed_of(self._client)
            if feed is not self._feed:  # a fork: what the parent knew may be old
                self._feed, self.due = feed, 0.0
            feed.add(self)

    def _taken(self, resolved: Resolved) -> _Held:
        self._client.remember(self._text, resolved)
        return _Held(resolved.bundle, resolved.until.timestamp())

    def _due(self, *, is_news: bool) -> float:
        """Say when to ask next; after news soon, since the registry learns by it that they have arrived."""
        pause_s = min(self._every_s, _AGAIN_S) if is_news else self._every_s
        return time.monotonic() + pause_s * random.uniform(1 - _SPREAD, 1 + _SPREAD)  # noqa: S311 # spreads polls


class Feed:
    """The thread of one client in one process, with a resolver of its own: a slow poll keeps nobody else waiting.

    Who asks holds `asking` until the answer is taken, so that no older answer comes after a newer one.
    """

    def __init__(self, client: Client) -> None:
        """Ask nothing yet."""
        self.asking = threading.Lock()
        self._process = os.getpid()
        self._resolver = Resolver(client.settings, client.registry, client.now)
        self._instance = os.urandom(8).hex()
        self._changed = threading.Condition()
        self._followers: weakref.WeakSet[Follower] = weakref.WeakSet()
        self._thread: threading.Thread | None = None

    @property
    def is_running(self) -> bool:
        """Whether the thread is at work in this very process: a fork copies everything but threads."""
        thread = self._thread
        return thread is not None and thread.is_alive() and self._process == os.getpid()

    @property
    def behind(self) -> int:
        """How often the registry showed it an older pointer than a trusted one."""
        return self._resolver.behind

    def ask(self, reference: BundleReference, served: Bundle | None, *, patient: bool) -> Resolved:
        """Resolve, and tell the registry who asks and what it serves."""
        self._resolver.report = {} if served is None else _report(self._instance, served)
        return self._resolver.resolve(reference, patient=patient)

    def add(self, follower: Follower) -> None:
        """Poll for a follower, until it is closed or forgotten."""
        with self._changed:
            self._followers.add(follower)
            if not self.is_running:
                self._thread = threading.Thread(target=self._run, name="regalia-follow", daemon=True)
                self._thread.start()
            self._changed.notify()

    def remove(self, follower: Follower) -> None:
        """Poll for a follower no longer."""
        if self._process != os.getpid():  # the parent's: a thread that is not here may hold its lock
            return
        with self._changed:
            self._followers.discard(follower)
            self._changed.notify()

    def _run(self) -> None:
        while (follower := self._next()) is not None:
            follower.ask()
            del follower  # a thread that sleeps must not keep one that is forgotten

    def _next(self) -> Follower | None:
        """Wait until a follower is due; None, and the thread is over, once there is none."""
        with self._changed:
            while True:
                first = min(self._followers, key=lambda one: one.due, default=None)
                if first is None:
                    self._thread = None
                    return None
                left_s = first.due - time.monotonic()
                if left_s <= 0:
                    return first
                del first
                self._changed.wait(min(left_s, EVERY_S))


def _feed_of(client: Client) -> Feed:
    """Give the feed of a client in this process; of two threads that ask for it first, both get one."""
    process = os.getpid()
    return client.feeds.get(process) or client.feeds.setdefault(process, Feed(client))


def _report(instance: str, served: Bundle) -> dict[str, str]:
    pointer = served.pointer
    if pointer is None:
        return {}
    return {INSTANCE_HEADER: instance, SERVES_HEADER: f"{pointer.epoch}.{pointer.sequence} {pointer.bundle}"}


def _warned(bundle: Bundle, error: RegaliaError) -> Bundle:
    origin = bundle.origin
    return replace(bundle, origin=Origin(origin.provenance, origin.confirmed_at, (error.message,)))
