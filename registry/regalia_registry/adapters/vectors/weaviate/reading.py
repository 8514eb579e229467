"""Reading a class by its cursor, and knowing whether it was written meanwhile."""

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import islice

import grpc
import numpy as np
from weaviate.proto.v1 import base_pb2, search_get_pb2

from regalia.core.errors import DocumentError, UnavailableError
from regalia.core.kinds.snapshot import VectorSpace
from regalia_registry.adapters.vectors.weaviate.connection import Connection, translated
from regalia_registry.adapters.vectors.weaviate.coverage import unreachable
from regalia_registry.adapters.vectors.weaviate.grammar import KEY_PROPERTY, ClassBody
from regalia_registry.adapters.vectors.weaviate.messages import ASK, Held, count_indexed, vectors_of
from regalia_registry.adapters.vectors.weaviate.values import asked, canonical, decode, decoders
from regalia_registry.domain.snapshots.rows import UUID_KEY, Row, decode_key, encode_key
from regalia_registry.domain.snapshots.schema import KeyKind
from regalia_registry.ports.vectors import Consistency

_PAGE = 2000
_PAGE_BYTES = 16 * 1024 * 1024
_MEASURED = 16  # one in so many rows of a page
_UPDATED = "_lastUpdateTimeUnix"
_FLOAT_BYTES = 4
_SETTLE_S = 0.005  # longer than a tick of the server's clock, which stamps rows in milliseconds
_LOOKS = 3
_MAX_DOUBTFUL = 1_000_000


@dataclass(frozen=True, slots=True)
class Marker:
    """What moves with every write: the number of rows, the newest update in milliseconds, and the rows updated then.

    Without the class's index of timestamps `at_newest` is 0: only a write within one tick of the newest escapes.
    """

    count: int
    newest_ms: int
    at_newest: int


class CursorReading:
    """One pass through a class in the order of its ids; writes are seen, and counted."""

    def __init__(self, connection: Connection, held: Held, *, consistency: Consistency) -> None:
        """Look at the marker, and read nothing yet."""
        self.consistency = consistency
        self._connection = connection
        self._held = held
        self._probed = {space.name for space in held.body.spaces if space.is_exact}
        self._before = settled_marker(connection, held)
        self._probes: deque[tuple[dict[str, bytes], object]] = deque()
        self._doubtful: set[bytes] = set()

    def batches(self) -> Iterator[Sequence[Row]]:
        """Read all rows; the next page is asked for while one is taken apart."""
        reads = _Rows(self._held)
        for results in pages(self._connection, self._held):
            rows = reads.rows(results)
            self._probe(rows, [result.metadata.id for result in results])
            yield rows
        while self._probes:
            self._settle(*self._probes.popleft())

    def unindexed(self) -> int:
        """Count the rows that were read and that a search of Weaviate does not find."""
        return len(unreachable(self._connection, self._held, self._doubtful))

    def moved(self) -> int:
        """Count what was written since the reading was opened, once it is at its end."""
        after = marker(self._connection, self._held)
        if after == self._before:
            return 0
        bare = replace(self._held, body=ClassBody((), (), {}, self._held.body.is_unnamed))
        written = sum(
            result.metadata.last_update_time_unix > self._before.newest_ms
            for results in pages(self._connection, bare)
            for result in results
        )
        return max(1, written, abs(after.count - self._before.count))

    def _probe(self, rows: Sequence[Row], ids: Sequence[str]) -> None:
        """Ask each vector's index for a page's rows, while the next page is on its way."""
        for space in self._held.spaces:
            if space.name not in self._probed:
                continue
            expected = {
                one: row.key
                for one, row in zip(ids, rows, strict=True)
                if any(name == space.name for name, _ in row.vectors)
            }
            if expected:
                request = count_indexed(self._held, list(expected), space)
                self._probes.append((expected, self._connection.begin("Aggregate", request)))
        while len(self._probes) > len(self._held.spaces):
            self._settle(*self._probes.popleft())

    def _settle(self, expected: dict[str, bytes], answer: object) -> None:
        with translated():
            found = answer.result().single_result.objects_count  # type: ignore[attr-defined] # grpc has no types
        if found != len(expected) and len(self._doubtful) < _MAX_DOUBTFUL:
            self._doubtful |= set(expected.values())


def settled_marker(connection: Connection, held: Held) -> Marker:
    """Look at the marker until the clock is past its newest update, so that every later write moves it."""
    found = marker(connection, held)
    for _ in range(_LOOKS):
        time.sleep(_SETTLE_S)
        again = marker(connection, held)
        if again == found:
            break
        found = again
    return found


def marker(connection: Connection, held: Held) -> Marker:
    """Look at what moves with every write."""
    count = connection.count(held.name)
    if count == 0:
        return Marker(0, 0, 0)
    request = ASK(
        collection=held.name,
        limit=1,
        sort_by=[search_get_pb2.SortBy(ascending=False, path=[_UPDATED])],
        metadata=search_get_pb2.MetadataRequest(last_update_time_unix=True),
    )
    results = connection.call("Search", request).results
    newest_ms = results[0].metadata.last_update_time_unix if results else 0
    return Marker(count, newest_ms, connection.count(held.name, _since(newest_ms)) if held.is_timed else 0)


def pages(connection: Connection, held: Held) -> Iterator[Sequence[search_get_pb2.SearchResult]]:
    """Read a class page by page in the order of its ids."""
    size, after = _PAGE, ""
    waiting = connection.begin("Search", _page(held, after=after, size=size))
    while True:
        try:
            with translated():
                reply = waiting.result()
        except UnavailableError as error:
            if size == 1 or not _is_too_large(error):
                raise
            size = max(1, size // 8)  # a page of large rows is over the message's cap
            waiting = connection.begin("Search", _page(held, after=after, size=size))
            continue
        if not reply.results:
            return
        after = reply.results[-1].metadata.id
        # to measure every row would cost a quarter of what reading it does
        sample = reply.results[::_MEASURED]
        row_bytes = max(1, sum(one.ByteSize() for one in sample) // len(sample))
        size = max(1, min(_PAGE, _PAGE_BYTES // row_bytes))
        waiting = connection.begin("Search", _page(held, after=after, size=size))
        yield reply.results


def dimensions(
    connection: Connection, name: str, body: ClassBody, recorded: Mapping[str, int], *, most_pages: int | None = None
) -> tuple[VectorSpace, ...]:
    """Find how long each vector is: its rows say, or what we recorded. A vector that has neither is left out.

    One that no row has costs a look at all of them, or at so many pages.
    """
    held = Held(name, ClassBody((), body.spaces, {}, body.is_unnamed), (), is_timed=False)
    missing = {space.name: space.metric for space in body.spaces}
    found = []
    for results in islice(pages(connection, held), most_pages) if missing else ():
        for result in results:
            for vector, content in vectors_of(result.metadata, body):
                if vector in missing:
                    found.append(VectorSpace(vector, len(content) // _FLOAT_BYTES, missing.pop(vector)))
            if not missing:
                break
        if not missing:
            break
    found += [VectorSpace(name, recorded[name], metric) for name, metric in missing.items() if name in recorded]
    return tuple(sorted(found, key=lambda space: space.name))


class _Rows:
    """Takes pages apart."""

    def __init__(self, held: Held) -> None:
        self._body = held.body
        self._dims = {space.name: space.dims * _FLOAT_BYTES for space in held.spaces}
        self._reads = decoders(held.body.values)
        self._key_of = key_reader(held.body)

    def rows(self, results: Sequence[search_get_pb2.SearchResult]) -> list[Row]:
        """Give the rows of a page.

        Raises:
            DocumentError: A row that a snapshot can't hold.
        """
        made = []
        for result in results:
            key = self._key_of(result)
            vectors = tuple(self._checked(key, one) for one in vectors_of(result.metadata, self._body))
            try:
                properties = canonical(result.properties.non_ref_props, self._reads)
            except DocumentError as error:
                raise DocumentError(f"the row {decode_key(key)}: {error.message}", hint=error.hint) from error
            made.append(Row(key, vectors, properties))
        self._require_finite(made)
        return made

    def _checked(self, key: bytes, vector: tuple[str, bytes]) -> tuple[str, bytes]:
        name, content = vector
        if len(content) != self._dims.get(name):
            raise DocumentError(
                f'the row {decode_key(key)} has {len(content) // _FLOAT_BYTES} dimensions in "{name}", '
                f"not {self._dims.get(name, 0) // _FLOAT_BYTES}",
                hint="remove the row, or embed it again",
            )
        return vector

    def _require_finite(self, rows: Sequence[Row]) -> None:
        whole = b"".join(content for row in rows for _, content in row.vectors)
        if np.isfinite(np.frombuffer(whole, "<f4")).all():
            return
        for row in rows:
            for name, content in row.vectors:
                if not np.isfinite(np.frombuffer(content, "<f4")).all():
                    raise DocumentError(
                        f'the vector "{name}" of the row {decode_key(row.key)} holds NaN or infinity',
                        hint="remove the row, or embed it again",
                    )


def key_reader(body: ClassBody) -> Callable[[search_get_pb2.SearchResult], bytes]:
    """Give what finds a row's key: its id, or the property that holds another engine's key."""
    _, kind = body.key
    reads = decoders(one for one in body.properties if one.name == KEY_PROPERTY)
    if kind is KeyKind.UUID:
        return lambda result: UUID_KEY + result.metadata.id_as_bytes

    def read(result: search_get_pb2.SearchResult) -> bytes:
        told = decode(result.properties.non_ref_props, reads).get(KEY_PROPERTY)
        if not isinstance(told, str):
            raise DocumentError(f"the row {result.metadata.id} has no {KEY_PROPERTY}", hint="it was not loaded by us")
        try:
            return encode_key(int(told) if kind is KeyKind.INTEGER else told)
        except ValueError as error:
            raise DocumentError(f"the row {result.metadata.id} has a {KEY_PROPERTY} that is no integer") from error

    return read


def _page(held: Held, *, after: str, size: int) -> search_get_pb2.SearchRequest:
    return ASK(
        collection=held.name,
        limit=size,
        after=after,
        metadata=search_get_pb2.MetadataRequest(
            uuid=True,
            vector=held.body.is_unnamed and bool(held.body.spaces),
            vectors=[] if held.body.is_unnamed else [space.name for space in held.body.spaces],
            last_update_time_unix=True,
        ),
        properties=asked(held.body.properties),
    )


def _since(milliseconds: int) -> base_pb2.Filters:
    moment = datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds")
    return base_pb2.Filters(
        operator=base_pb2.Filters.OPERATOR_GREATER_THAN_EQUAL,
        target=base_pb2.FilterTarget(property=_UPDATED),
        value_text=moment.replace("+00:00", "Z"),
    )


def _is_too_large(error: UnavailableError) -> bool:
    cause = error.__cause__
    return isinstance(cause, grpc.Call) and cause.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
