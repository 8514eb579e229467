"""Filling a class, and knowing that a search reaches every row of it.

A batch that was cut leaves rows that are stored and missing from the vector index; sending them again repairs nothing,
and neither a count nor a content root sees it. So a group of unknown fate is deleted before it is sent again, and its
rows are looked for through the index at the end.
"""

import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from uuid import UUID

from weaviate.proto.v1 import batch_delete_pb2, batch_pb2

from regalia.core.errors import ConflictError, DocumentError, UnavailableError
from regalia_registry.adapters.vectors.weaviate.connection import WRITE_S, Connection, refusal, segment, translated
from regalia_registry.adapters.vectors.weaviate.coverage import SLICE, unreachable
from regalia_registry.adapters.vectors.weaviate.grammar import KEY_PROPERTY
from regalia_registry.adapters.vectors.weaviate.messages import FP32, Held, identify, these
from regalia_registry.adapters.vectors.weaviate.sealing import require_open
from regalia_registry.adapters.vectors.weaviate.values import encode
from regalia_registry.domain.snapshots.rows import Row, decode_key
from regalia_registry.ports.vectors import Ledger

_BATCH = 1000
_BATCH_BYTES = 8 * 1024 * 1024
_IN_FLIGHT = 2  # a third brings no rate and seconds of latency
_POLL_S = 0.25
_LOOKS = 2  # between two that are quiet, nothing was queued any more
_INDEX_S = 24 * 3600.0
_ROUNDS = 3
_QUIET = {"READY", "READONLY"}  # sealed, after it was indexed
_DAMAGED = "could not delete object"


class Loader:
    """Fills one class."""

    def __init__(self, connection: Connection, held: Held) -> None:
        """Send nothing yet."""
        self._connection = connection
        self._held = held
        self._name = held.name
        self._body = held.body
        self._has_key = held.body.key[0].name == KEY_PROPERTY

    def load(self, groups: Iterable[Sequence[Row]], ledger: Ledger) -> Iterator[int]:
        """Load groups in order; gives the number of rows after each.

        A server that is killed forgets the end of what its index knew, of acknowledged rows too: what an earlier call
        loaded is looked for, and what is lost is loaded anew. A load that is whole may be said again to a sealed class.
        """
        total, before = 0, ledger.started
        for number, rows in enumerate(groups, start=1):
            total += len(rows)
            is_known, is_new = number <= before, number > ledger.acknowledged
            if is_new:
                require_open(self._connection, self._name)
            if is_known and is_new:
                self.delete(rows)
            if is_new:
                ledger.start(number)
                self.insert(rows)
            if is_known:
                self._settle(rows)
            if is_new:
                ledger.acknowledge(number)
            yield total

    def insert(self, rows: Sequence[Row]) -> None:
        """Send rows, and wait until each is stored and indexed, or queued for it.

        Raises:
            RegaliaError: A row was refused; the others of its group are of unknown fate.
        """
        waiting: deque[object] = deque()
        for batch in _batches(rows):
            request = batch_pb2.BatchObjectsRequest(objects=[self._object(row) for row in batch])
            waiting.append(self._connection.begin("BatchObjects", request, timeout_s=WRITE_S))
            if len(waiting) == _IN_FLIGHT:
                _require_taken(waiting.popleft())
        while waiting:
            _require_taken(waiting.popleft())

    def delete(self, rows: Sequence[Row]) -> None:
        """Remove rows, whatever of them is there.

        A server that was killed may have rows that its index of ids lacks: no filter finds them, and a delete by filter
        removes nothing. What it did not name as removed is removed by its own address.
        """
        ids = [identify(row.key) for row in rows]
        for start in range(0, len(ids), SLICE):
            part = ids[start : start + SLICE]
            request = batch_delete_pb2.BatchDeleteRequest(collection=self._name, filters=these(part), verbose=True)
            reply = self._connection.call("BatchDelete", request, timeout_s=WRITE_S)
            removed = {str(UUID(bytes=one.uuid)) for one in reply.objects if one.successful}
            for left in part:
                if left not in removed:
                    self._remove(left)

    def _remove(self, row: str) -> None:
        try:
            self._connection.send("DELETE", f"/v1/objects/{segment(self._name)}/{row}")
        except UnavailableError as error:
            if _DAMAGED not in error.message:
                raise
            raise DamagedError(error.message) from error

    def _settle(self, rows: Sequence[Row]) -> None:
        """See to it that a search finds rows that a cut batch or a killed server may have left out of the index."""
        for _ in range(_ROUNDS):
            wait_for_index(self._connection, self._name)
            lost = unreachable(self._connection, self._held, [row.key for row in rows], is_sample=False)
            if not lost:
                return
            again = [row for row in rows if row.key in lost]
            self.delete(again)
            self.insert(again)
        raise ConflictError(
            f'{len(lost)} rows of "{self._name}" are stored and can\'t be found by a search',
            hint="load it again, under another name",
        )

    def _object(self, row: Row) -> batch_pb2.BatchObject:
        try:
            properties = encode(row.properties)
        except DocumentError as error:
            raise DocumentError(f"the row {decode_key(row.key)}: {error.message}", hint=error.hint) from error
        except (ValueError, RecursionError) as error:
            raise DocumentError(f"the row {decode_key(row.key)} has properties that are no JSON object") from error
        if self._has_key:
            properties[KEY_PROPERTY] = str(decode_key(row.key))
        made = batch_pb2.BatchObject(
            uuid=identify(row.key),
            collection=self._name,
            properties=batch_pb2.BatchObject.Properties(non_ref_properties=properties),
        )
        for name, content in row.vectors:
            if self._body.is_unnamed:
                made.vector_bytes = content
            else:
                made.vectors.add(name=name, vector_bytes=content, type=FP32)
        return made


class DamagedError(Exception):
    """A row of the class can't be removed any more: a killed server has lost what belongs to it."""


def wait_for_index(connection: Connection, name: str) -> None:
    """Wait until every vector of every shard on every node is in its index.

    Raises:
        UnavailableError: It does not come to an end.
    """
    deadline, quiet = time.monotonic() + _INDEX_S, 0
    while time.monotonic() < deadline:
        quiet = quiet + 1 if _is_indexed(connection, name) else 0
        if quiet == _LOOKS:
            return
        connection.rest(_POLL_S if quiet == 0 else 0)
    raise UnavailableError(f'Weaviate still indexes "{name}"', hint="ask again later")


def _batches(rows: Sequence[Row]) -> Iterator[list[Row]]:
    """Cut a group into requests of a bounded number of rows and bytes."""
    batch, size_bytes = list[Row](), 0
    for row in rows:
        row_bytes = len(row.properties) + sum(len(content) for _, content in row.vectors)
        if batch and (len(batch) == _BATCH or size_bytes + row_bytes > _BATCH_BYTES):
            yield batch
            batch, size_bytes = [], 0
        batch.append(row)
        size_bytes += row_bytes
    if batch:
        yield batch


def _require_taken(future: object) -> None:
    with translated():
        reply = future.result()  # type: ignore[attr-defined] # grpc has no types
    if reply.errors:
        raise refusal(f"{len(reply.errors)} rows were not taken: {reply.errors[0].error}")


def _is_indexed(connection: Connection, name: str) -> bool:
    found = connection.get(f"/v1/nodes/{segment(name)}?output=verbose")
    if found is None:
        if connection.get(f"/v1/schema/{segment(name)}") is None:
            raise ConflictError(f'the class "{name}" is gone', hint="somebody dropped it; load it again")
        return False  # a server that has just started knows its classes before it has opened them
    shards = [shard for node in found["nodes"] for shard in node.get("shards") or []]
    return bool(shards) and all(
        shard["vectorQueueLength"] == 0 and shard["vectorIndexingStatus"] in _QUIET and shard["loaded"]
        for shard in shards
    )
