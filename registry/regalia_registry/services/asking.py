"""Answering questions about snapshots and collections; nothing is changed. Run by a worker."""

import json
from contextlib import closing
from pathlib import Path

from regalia.core.errors import NotFoundError
from regalia.core.kinds.snapshot import VectorSpace
from regalia.core.names import ArtifactName, Kind
from regalia.core.strict_json import JsonObject, JsonValue
from regalia_registry.domain.access import Actor
from regalia_registry.domain.operations import Operation
from regalia_registry.domain.questions import DiffWish, Near, QueryWish, SearchWish, Which, read_key
from regalia_registry.domain.snapshots.schema import Schema
from regalia_registry.ports.vectors import Provider
from regalia_registry.segments.comparing import Comparison, RowChange, Side, Sign
from regalia_registry.segments.parquet import StoredFile
from regalia_registry.segments.searching import Search
from regalia_registry.services.context import Bench, Ports
from regalia_registry.services.steps.hits import shown_hits, shown_key
from regalia_registry.services.steps.keeping import Keeper
from regalia_registry.services.steps.snapshots import OpenedSnapshot, SegmentFiles, fetched_bytes, open_snapshot
from regalia_registry.services.steps.targets import require_use

_PAGE_ROWS = 1000
_PAGE_CHARACTERS = 256 * 1024


def diff_snapshots(ports: Ports, actor: Actor, operation: Operation, bench: Bench) -> JsonObject:  # noqa: ARG001 # every doing is given who asked
    """Compare two stored versions by key; where keys are asked for, those beyond a page stand in a blob of JSON lines.

    Raises:
        NotFoundError: A segment is gone.
        DigestError: A segment is damaged.
    """
    wish = DiffWish.parse(operation.request)
    old, new = (_opened(ports, operation, which) for which in (wish.old, wish.new))
    bench.tell({"step": "comparing"})
    compared = Comparison(
        _made(bench.folder / "parts"), _side(old), _side(new), lambda one: fetched_bytes(ports, one.keys)
    )

    def told(rows: int) -> None:
        bench.tell({"step": "comparing", "rows": rows, "of": compared.total})

    page = _Page(bench.folder / "rows.jsonl") if wish.rows else None
    counts = dict.fromkeys(Sign, 0)
    is_same = old.config.content_root == new.config.content_root  # however either is cut into segments
    if page is None:
        counts = counts if is_same else compared.counts(told)
    else:
        with closing(page):
            for change in () if is_same else compared.changes(told):
                counts[change.sign] += 1
                page.add(change)
    outcome: JsonObject = {
        "old": f"{old.stored.artifact}@{wish.old.version}",
        "new": f"{new.stored.artifact}@{wish.new.version}",
        "added": counts[Sign.ADDED],
        "removed": counts[Sign.REMOVED],
        "changed": counts[Sign.CHANGED],
        "unchanged": new.config.count - counts[Sign.ADDED] - counts[Sign.CHANGED],
        "same_schema": old.config.schema_digest == new.config.schema_digest,
        "embedding": [_embedding(old), _embedding(new)],
    }
    return outcome if page is None else outcome | page.written(Keeper(ports, operation.namespace))


def query_snapshot(ports: Ports, actor: Actor, operation: Operation, bench: Bench) -> JsonObject:  # noqa: ARG001 # every doing is given who asked
    """Search a stored version exactly: every row is compared with the question.

    Raises:
        NotFoundError: It has no such vector or key, or a segment is gone.
        DocumentError: The question has other dimensions.
    """
    wish = QueryWish.parse(operation.request)
    snapshot = _opened(ports, operation, wish.which)
    space, like = _asked(snapshot.schema, wish.near)
    files = SegmentFiles(ports, _made(bench.folder / "segments"))
    search = Search(snapshot.listing, snapshot.tombstones, keys=files.keys, rows=files.rows)

    def told(rows: int) -> None:
        bench.tell({"step": "searching", "rows": rows, "of": snapshot.config.count})

    bench.tell({"step": "searching"})
    question = wish.near.vector or search.vector_of(like, space)
    if question is None:
        raise _no_vector(wish.near, space)
    found = search.nearest(question, space, limit=wish.near.limit + bool(like), tell=told)
    hits = [(one.key, one.distance, one.properties) for one in found if one.key != like][: wish.near.limit]
    return {
        "reference": f"{snapshot.stored.artifact}@{wish.which.version}",
        "space": space.name,
        "metric": space.metric,
        "hits": shown_hits(hits),
    }


def search_collection(ports: Ports, actor: Actor, operation: Operation, bench: Bench) -> JsonObject:  # noqa: ARG001 # every doing is given who asked
    """Search a collection through its engine's own index.

    Raises:
        UnavailableError: The target does not answer.
        NotFoundError: It has no such collection, or the collection no such vector or key.
    """
    wish = SearchWish.parse(operation.request)
    with ports.store.read() as tx:
        target = require_use(tx, wish.target, namespace=operation.namespace)
    bench.tell({"step": "connecting", "target": wish.target})
    with closing(bench.targets.connect(target, holder=bench.holder)) as provider:
        space, like = _asked(provider.collections.describe(wish.collection).schema, wish.near)
        question = wish.near.vector or _vector_of(provider, wish.collection, like, space, bench)
        if question is None:
            raise _no_vector(wish.near, space)
        bench.tell({"step": "searching"})
        found = provider.sink.search(wish.collection, question, space=space.name, limit=wish.near.limit + bool(like))
    hits = [(one.key, one.distance, one.properties) for one in found if one.key != like][: wish.near.limit]
    return {
        "target": wish.target,
        "collection": wish.collection,
        "space": space.name,
        "metric": space.metric,
        "hits": shown_hits(hits),
    }


class _Page:
    """The first keys that differ, for the outcome, and all of them in a file of JSON lines."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("w", encoding="utf-8")
        self._rows: list[JsonValue] = []
        self._characters = 0
        self._count = 0

    def add(self, change: RowChange) -> None:
        row: JsonObject = {"change": str(change.sign), "key": shown_key(change.key)}
        line = json.dumps(row, ensure_ascii=False)
        self._file.write(f"{line}\n")
        self._count += 1
        self._characters += len(line)
        if len(self._rows) < _PAGE_ROWS and self._characters <= _PAGE_CHARACTERS:
            self._rows.append(row)

    def close(self) -> None:
        self._file.close()

    def written(self, keep: Keeper) -> JsonObject:
        """Give the page; the file, which is closed, is stored where it holds more."""
        more = self._count - len(self._rows)
        outcome: JsonObject = {"rows": self._rows, "more": more}
        if more:
            stored = StoredFile.of(self._path)
            keep.file(stored)
            outcome["all"] = {"digest": str(stored.digest), "size": stored.size_bytes}
        return outcome


def _opened(ports: Ports, operation: Operation, which: Which) -> OpenedSnapshot:
    return open_snapshot(ports, ArtifactName(operation.namespace, Kind.SNAPSHOT, which.name), version=which.version)


def _side(snapshot: OpenedSnapshot) -> Side:
    return Side(snapshot.listing, snapshot.tombstones)


def _embedding(snapshot: OpenedSnapshot) -> str | None:
    return None if snapshot.config.embedding is None else str(snapshot.config.embedding)


def _asked(schema: Schema, near: Near) -> tuple[VectorSpace, bytes]:
    """Find the vector that is compared, and the key whose row is asked for; empty where a vector is."""
    names = ", ".join(one.name for one in schema.vectors)
    if not near.space and len(schema.vectors) > 1:
        raise NotFoundError("there is more than one vector to search by", hint=f"--space, one of {names}")
    found = next((one for one in schema.vectors if near.space in {"", one.name}), None)
    if found is None:
        raise NotFoundError(f'there is no vector "{near.space[:64]}"', hint=f"it has {names or 'none'}")
    return found, b"" if near.like is None else read_key(near.like, schema.key_kind)


def _vector_of(provider: Provider, collection: str, key: bytes, space: VectorSpace, bench: Bench) -> bytes | None:
    """Read the collection until the row comes: engines have no common way to ask for one."""
    rows = 0
    with provider.source.open(collection) as reading:
        for batch in reading.batches():
            for row in batch:
                if row.key == key:
                    return dict(row.vectors).get(space.name)
            rows += len(batch)
            bench.tell({"step": "looking for the key", "rows": rows})
    return None


def _no_vector(near: Near, space: VectorSpace) -> NotFoundError:
    return NotFoundError(
        f'no row with the key {str(near.like)[:60]!r} has a vector "{space.name}"',
        hint="ask with --vector, or with a key that is there",
    )


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder
