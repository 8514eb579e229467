"""Load of every kind on a registry of several replicas, and the book of what was acknowledged and what was seen."""

import http.client
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import cycle

from regalia import operations
from regalia._transport import Request, Response, Transport
from regalia._transport.http import HttpTransport
from regalia.bundle import Provenance
from regalia.client import Client
from regalia.core.dsse import Envelope
from regalia.core.errors import ConflictError, RegaliaError, UnavailableError
from regalia.core.statements import ChannelPointer
from regalia.publishing import PushedArtifact
from regalia.wire.answers import OperationEntry
from regalia.wire.resolution import Resolution
from tests.support import releases
from tests.support.registries import Home
from tests.support.releases import APPLICATION, CHANNEL, patiently

RESOLVE = "/v1/apps/acme/support-agent/channels/prod/resolve?root=1"
KEPT = "detail=kept"  # what a replica's Cache-Status says while it can't read the catalog
LARGE_BYTES = 1_200_000  # above what a registry on S3 hands out itself

_PUBLISHERS, _ASKERS, _AGENTS = 2, 2, 2
_EVERY_LARGE = 10
_ANSWER_S = 10.0
_LOOK_S = 0.2
_PAUSES_S = {"publish": 0.02, "move": 0.02, "ask": 0.002, "follow": 0.05, "read": 0.02, "collect": 2.0}


@dataclass
class Book:
    """What was acknowledged, and what was seen; `stale` and `faults` must stay empty."""

    pushed: dict[tuple[str, str], PushedArtifact] = field(default_factory=dict)
    released: list[str] = field(default_factory=list)
    moved: list[int] = field(default_factory=list)
    seen: Counter[str] = field(default_factory=Counter)
    stale: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def saw(self, what: str) -> None:
        """Count."""
        with self._lock:
            self.seen[what] += 1

    def newest(self) -> int:
        """Give the sequence of the newest move that was acknowledged."""
        return self.moved[-1]

    def compare(self, who: str, found: int, floor: int) -> None:
        """Note an answer older than what was acknowledged, or seen by the same agent, before it was asked for."""
        self.saw(f"{who}: answers")
        if found < floor:
            self.stale.append(f"{who} was told {found} after {floor}")


class Load:
    """Publishers, one who moves the channel back and forth, agents, readers of blobs, and who collects garbage.

    What they do twice is what the client says may be done twice: `UnavailableError`. Any other error is a fault.
    """

    def __init__(self, made: Home, urls: Sequence[str], replicas: Sequence[Home], *, seed: int) -> None:
        self.book = Book()
        self._made, self._urls, self._seed = made, cycle(urls), seed
        self._over = threading.Event()
        self._begin()
        self._askers = [Asker(replicas, made.token, self.book, number) for number in range(_ASKERS)]
        self._works = self._made_ready()
        self._pool = ThreadPoolExecutor(sum(map(len, self._works.values())))
        self._futures: list[Future[None]] = []

    def __enter__(self) -> Book:
        for name, acts in self._works.items():
            self._futures += [self._pool.submit(self._again_and_again, name, act) for act in acts]
        return self.book

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._pool.shutdown()
        for asker in self._askers:
            asker.close()
        for future in self._futures:
            future.result()

    def client(self, name: str, url: str | None = None, *, transport: Transport | None = None) -> Client:
        """Make a client with a state of its own."""
        made, state = self._made, self._made.folder / "agents" / name
        return Client(
            url or next(self._urls),
            token=made.token,
            state=state,
            transport=transport,
            environment=made.environment,
            folder=made.project,
        )

    def _made_ready(self) -> Mapping[str, Sequence[Callable[[], None]]]:
        return {
            "publish": [Publisher(self.client(f"publisher-{n}"), self.book, n).act for n in range(_PUBLISHERS)],
            "move": [Mover(self.client("mover"), self.book).act],
            "ask": [asker.act for asker in self._askers],
            "follow": [self._agent(f"agent-{number}").act for number in range(_AGENTS)],
            "read": [Reader(self.client("reader"), self.book, self._seed).act],
            "collect": [Collector(self.client("collector"), self.book).act],
        }

    def _agent(self, name: str) -> "Agent":
        watched = Watched(HttpTransport(self.client(name).settings.way()))
        return Agent(self.client(name, transport=watched), watched, self.book)

    def _begin(self) -> None:
        """Release two bundles and make the channel."""
        publisher, client = Publisher(self.client("first"), self.book, 9), self.client("first")
        publisher.act()
        publisher.act()
        self.book.moved.append(releases.promote(client, self.book.released[0]).pointer.sequence)

    def _again_and_again(self, name: str, act: Callable[[], None]) -> None:
        while not self._over.wait(_PAUSES_S[name]):
            try:
                act()
            except UnavailableError as error:
                told = error.message.partition(":")[0].partition(" (")[0]
                self.book.saw(f"{name}: {type(error).__name__}: {told}")
            except RegaliaError as error:
                self.book.faults.append(f"{name}: {error!r} {error.hint}")


class Publisher:
    """Pushes a prompt of its own and releases it, again and again; now and then with a large file."""

    def __init__(self, client: Client, book: Book, number: int) -> None:
        self._client, self._book, self._number, self._count = client, book, number, 0
        self._chance = random.Random(number)  # noqa: S311 # content, no secret

    def act(self) -> None:
        self._count += 1
        version, prompt = f"1.{self._number}.{self._count}", f"greeting-{self._number}"
        is_large = self._count % _EVERY_LARGE == 0
        beside = {"large": ("application/octet-stream", self._chance.randbytes(LARGE_BYTES))} if is_large else {}
        one = patiently(lambda: releases.push(self._client, version, prompt=prompt, beside=beside))
        self._book.pushed[prompt, version] = one
        releases.release(self._client, one, trying=patiently)
        self._book.released.append(version)
        self._book.saw("publish: acknowledged")


class Mover:
    """Promotes the newest bundle, and restores the one before."""

    def __init__(self, client: Client, book: Book) -> None:
        self._client, self._book, self._now = client, book, book.released[0]

    def act(self) -> None:
        newest = self._book.released[-1]
        if newest == self._now:
            return
        before, self._now = self._now, newest
        self._note(releases.promote(self._client, newest, trying=patiently).pointer.sequence)
        self._note(releases.restore(self._client, before, trying=patiently).pointer.sequence)
        self._now = before

    def _note(self, sequence: int) -> None:
        self._book.moved.append(sequence)
        self._book.saw("move: acknowledged")


class Asker:
    """Resolves as plainly as can be, through each replica in turn, and tries nothing twice."""

    def __init__(self, replicas: Sequence[Home], token: str, book: Book, number: int) -> None:
        self._replicas, self._book, self._turn, self._seen = replicas, book, number, 0
        self._headers = {"Authorization": f"Bearer {token}"}
        self._open = {
            made.port: http.client.HTTPConnection("127.0.0.1", made.port, timeout=_ANSWER_S) for made in replicas
        }

    def close(self) -> None:
        """Hang up."""
        for connection in self._open.values():
            connection.close()

    def act(self) -> None:
        self._turn += 1
        made = self._replicas[self._turn % len(self._replicas)]
        connection = self._open[made.port]
        floor = max(self._seen, self._book.newest())
        try:
            connection.request("GET", RESOLVE, headers=self._headers)
            answer = connection.getresponse()
            body = answer.read()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            self._book.saw(f"ask: {type(error).__name__}")
            return
        if answer.status == 503:
            self._book.saw("ask: 503")
        elif answer.status == 200:
            found, is_kept = sequence_of(body), KEPT in (answer.headers["Cache-Status"] or "")
            if is_kept:  # the replica can't read the catalog, and says so: an agent adopts nothing older than it has
                self._book.saw("ask: kept")
            else:
                self._book.compare("ask", found, floor)
                self._seen = max(self._seen, found)
        else:
            self._book.faults.append(f"ask: {answer.status} {body[:200]!r}")


class Watched:
    """A transport that knows whether one of the answers since it was asked came from before: `KEPT` says so."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._has_kept = False

    def send(self, request: Request) -> Response:
        """Send it on."""
        response = self._transport.send(request)
        self._has_kept |= KEPT in response.headers.get("cache-status", "")
        return response

    def take(self) -> bool:
        """Say whether one did, and forget it."""
        found, self._has_kept = self._has_kept, False
        return found


class Agent:
    """Takes a bundle as agents do: where nobody answers, what it has on its disk."""

    def __init__(self, client: Client, transport: Watched, book: Book) -> None:
        self._client, self._transport, self._book, self._seen, self._behind = client, transport, book, 0, 0

    def act(self) -> None:
        acknowledged = self._book.newest()
        bundle = self._client.refresh(str(CHANNEL))
        assert bundle.pointer is not None
        is_kept, is_fresh = self._transport.take(), bundle.provenance is Provenance.FRESH
        floor = max(self._seen, acknowledged) if is_fresh and not is_kept else self._seen
        self._book.compare("follow", bundle.pointer.sequence, floor)
        self._book.saw(f"follow: {bundle.provenance}")
        self._seen = bundle.pointer.sequence
        if self._client.behind > self._behind:
            self._behind = self._client.behind
            if is_kept:  # by a replica that can't read the catalog, and says so: the client has kept its own
                self._book.saw("follow: shown an older one")
            else:
                self._book.stale.append(f"follow was shown an older pointer, {self._behind} times by now")


class Reader:
    """Reads blobs of what was pushed, each hashed by the client; large ones come from the bucket itself."""

    def __init__(self, client: Client, book: Book, seed: int) -> None:
        self._client, self._book, self._chance = client, book, random.Random(seed)  # noqa: S311 # no secret

    def act(self) -> None:
        one = self._chance.choice([*self._book.pushed.values()])
        read(self._client, one)
        self._book.saw("read: artifacts")


class Collector:
    """Has garbage collected while all of this is published."""

    def __init__(self, client: Client, book: Book) -> None:
        self._client, self._book = client, book

    def act(self) -> None:
        try:
            asked = patiently(lambda: operations.start_garbage(self._client, plan=False))
        except ConflictError:  # asked for by a request whose answer was cut
            open_ones = patiently(lambda: list(operations.list_operations(self._client, "*")))
            asked = next(one for one in open_ones if one.kind == "gc")
        while (found := patiently(lambda: self._look(asked))).state in operations.AT_WORK:
            time.sleep(_LOOK_S)
        if found.state == "done":
            self._book.saw("collect: done")
        else:
            self._book.faults.append(f"collect: {found}")

    def _look(self, asked: OperationEntry) -> OperationEntry:
        return operations.get_operation(self._client, asked.namespace, asked.id).operation


def read(client: Client, one: PushedArtifact) -> None:
    """Read an artifact's manifest and all its blobs."""
    manifest = one.artifact.manifest
    client.registry.manifest(APPLICATION.namespace, manifest.digest)
    for blob in manifest.descriptors:
        client.registry.blob(APPLICATION.namespace, blob.digest, size_bytes=blob.size_bytes)


@lru_cache(maxsize=64)
def sequence_of(body: bytes) -> int:
    """Read the sequence of the pointer in a resolve answer; nothing is verified."""
    pointer = Resolution.parse(body).pointer
    assert pointer is not None
    return ChannelPointer.of(Envelope.parse(pointer, what="the pointer")).sequence
