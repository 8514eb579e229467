"""Stopping the writers of a class: its shards are READONLY, until a restart of a node makes that node's READY again.

So a seal is set again for ever, by who looks at `standing`, and its marker tells whether anybody wrote meanwhile.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from regalia.core.errors import ConflictError, NotFoundError, UnavailableError
from regalia.core.strict_json import JsonValue, write
from regalia_registry.adapters.vectors.weaviate.classes import find, get_ours
from regalia_registry.adapters.vectors.weaviate.connection import Connection, segment
from regalia_registry.adapters.vectors.weaviate.coverage import flush
from regalia_registry.adapters.vectors.weaviate.grammar import capture
from regalia_registry.adapters.vectors.weaviate.messages import Held
from regalia_registry.adapters.vectors.weaviate.reading import marker
from regalia_registry.ports.serving import Standing

READONLY, READY = "READONLY", "READY"

_WAIT_S = 30.0
_POLL_S = 0.1
_FINGERPRINT = 16


@dataclass(frozen=True, slots=True)
class Shard:
    """One replica of a shard, as its node tells."""

    name: str
    status: str
    is_loaded: bool

    @property
    def is_stopped(self) -> bool:
        """Whether it takes no writes."""
        return self.status == READONLY

    @property
    def is_open(self) -> bool:
        """Whether it takes writes; one that is not loaded yet can't tell."""
        return self.is_loaded and not self.is_stopped


class WeaviateSeals:
    """`Seals` by the shards' status: reads, aliases and drops go on, and a batch in flight stops where it is.

    Who writes is told by Weaviate, in its words: "store is read-only". A disk that is nearly full stops shards too, and
    is told apart by nobody.

    A marker is the number of rows, the newest update in milliseconds, the number of rows of that moment, and a digest
    of the shards' names, which Weaviate draws for every class it makes, and of the properties and vectors. Every write
    shows: it carries a later moment, and a delete is one row less. What does not show is a row written over while the
    server's clock is behind the newest update, a change of an index's settings, and an index that lost rows: the
    content root sees the first, a look for every row the last.
    """

    def __init__(self, connection: Connection) -> None:
        """Keep the connection."""
        self._connection = connection

    def seal(self, name: str, *, mark: str) -> None:
        """Make every shard READONLY on every node, also one that a full disk stopped: that would open by itself.

        Raises:
            UnavailableError: A shard is still opened after a start.
        """
        get_ours(self._connection, name, mark)
        self._opened(name)
        flush(self._connection, name)
        self._set(name, READONLY)

    def unseal(self, name: str, *, mark: str) -> None:
        """Make every shard READY on every node.

        Raises:
            UnavailableError: A shard is still opened after a start.
        """
        get_ours(self._connection, name, mark)
        self._set(name, READY)

    def standing(self, name: str, *, mark: str) -> Standing:
        """Look at the shards, then at the marker: what is written before a seal that is seen is seen as well.

        A node that is away says nothing: it takes no writes, and its shards are READY when it is back.

        Raises:
            UnavailableError: No node has opened the class yet.
        """
        found = get_ours(self._connection, name, mark)
        shards = self._opened(name)
        body = capture(found).body
        is_timed = bool((found.get("invertedIndexConfig") or {}).get("indexTimestamps"))
        held = marker(self._connection, Held(name, body, (), is_timed=is_timed))
        made: JsonValue = [
            [*sorted({one.name for one in shards})],
            [[one.name, one.type] for one in body.properties],
            [[one.name, one.index, one.metric] for one in body.spaces],
        ]
        fingerprint = sha256(write(made)).hexdigest()[:_FINGERPRINT]
        return Standing(
            all(one.is_stopped for one in shards),
            f"{held.count} rows, {held.at_newest} of {held.newest_ms}, {fingerprint}",
        )

    def _set(self, name: str, status: str) -> None:
        """Set every shard's status until every replica of it has it: a node that opens it meanwhile has another."""
        deadline = time.monotonic() + _WAIT_S
        while time.monotonic() < deadline:
            for shard in {one.name for one in self._opened(name)}:
                self._connection.send("PUT", shard_path(name, shard), {"status": status})
            if all(one.is_stopped if status == READONLY else one.is_open for one in self._opened(name)):
                return
            self._connection.rest(_POLL_S)
        raise UnavailableError(f'the shards of "{name}" do not become {status}', hint="are all nodes up? ask again")

    def _opened(self, name: str) -> Sequence[Shard]:
        """Give the shards; a server that has just started knows its classes before it has opened them."""
        deadline = time.monotonic() + _WAIT_S
        while time.monotonic() < deadline:
            shards = shards_of(self._connection, name)
            if shards:
                return shards
            if find(self._connection, name) is None:
                raise NotFoundError(f'there is no class "{name}"', hint="somebody dropped it")
            self._connection.rest(_POLL_S)
        raise UnavailableError(f'Weaviate has not opened "{name}" yet', hint="it has just started: ask again later")


def shards_of(connection: Connection, name: str) -> Sequence[Shard]:
    """Give every replica of a class's shards that a node tells of."""
    found = connection.get(f"/v1/nodes/{segment(name)}?output=verbose") or {}
    return [
        Shard(str(one["name"]), str(one["vectorIndexingStatus"]), is_loaded=bool(one["loaded"]))
        for node in found.get("nodes") or []
        for one in node.get("shards") or []
    ]


def shard_path(name: str, shard: str) -> str:
    """Give where a shard's status is set; Weaviate says yes to a shard that it does not have."""
    return f"/v1/schema/{segment(name)}/shards/{segment(shard)}"


def require_open(connection: Connection, name: str) -> None:
    """Refuse to write into a class that takes no writes, before half of a batch is in it.

    Raises:
        ConflictError: A shard of it is READONLY.
    """
    if any(one.is_stopped for one in shards_of(connection, name)):
        raise ConflictError(
            f'the collection "{name}" is sealed',
            hint="resolve the channel again; where nobody sealed it, its disk is nearly full",
        )
