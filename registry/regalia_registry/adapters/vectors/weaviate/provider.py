"""The provider: classes of a Weaviate, read by cursor and filled by batches."""

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from regalia.core.errors import (
    ConflictError,
    DocumentError,
    InvalidNameError,
    NotFoundError,
    RegaliaError,
    UnavailableError,
    UnsupportedError,
)
from regalia.core.kinds.snapshot import VectorSpace
from regalia_registry.adapters.vectors.weaviate import checking, hosting
from regalia_registry.adapters.vectors.weaviate.adopting import WeaviateAdoption
from regalia_registry.adapters.vectors.weaviate.aliases import WeaviateAliases, led_to
from regalia_registry.adapters.vectors.weaviate.classes import find, mark_of
from regalia_registry.adapters.vectors.weaviate.connection import Connection, segment
from regalia_registry.adapters.vectors.weaviate.coverage import flush, unreachable
from regalia_registry.adapters.vectors.weaviate.definition import define
from regalia_registry.adapters.vectors.weaviate.grammar import (
    REFERENCE,
    Captured,
    ClassBody,
    capture,
    has_tenants,
    parse_engine,
)
from regalia_registry.adapters.vectors.weaviate.hosting import Told
from regalia_registry.adapters.vectors.weaviate.loading import DamagedError, Loader, wait_for_index
from regalia_registry.adapters.vectors.weaviate.messages import Held, nearest
from regalia_registry.adapters.vectors.weaviate.reading import CursorReading, dimensions, key_reader
from regalia_registry.adapters.vectors.weaviate.sealing import READONLY, READY, WeaviateSeals, shard_path
from regalia_registry.adapters.vectors.weaviate.values import asked, canonical, decoders
from regalia_registry.domain.operations import Holder
from regalia_registry.domain.snapshots.origin import Origin
from regalia_registry.domain.snapshots.rows import Row
from regalia_registry.domain.snapshots.schema import Family, Property, Schema
from regalia_registry.domain.snapshots.translation import Hosted
from regalia_registry.ports.vectors import Checked, CollectionEntry, Consistency, Description, Hit, Ledger

_NAME = re.compile(r"[A-Z][A-Za-z0-9_]*\Z")
_MAX_NAME = 255
_COUNTED = 100  # classes whose rows a list counts: each takes some milliseconds
_SEARCHED_PAGES = 10
_FLOAT_BYTES = 4
_NO_COLLECTION = "reg collection list TARGET"


@dataclass(frozen=True, slots=True)
class _Class:
    """A class as it was found: its physical name, grammar, what we wrote into it; `is_timed` if updates are indexed."""

    name: str
    captured: Captured
    told: Told | None
    is_timed: bool


class WeaviateProvider:
    """A `Provider` over one connection; its ports are itself, but for those of serving."""

    def __init__(self, connection: Connection) -> None:
        """Keep the connection."""
        self._connection = connection
        self._is_new = False
        self.seals = WeaviateSeals(connection)
        self.aliases = WeaviateAliases(connection)
        self.adoption = WeaviateAdoption(connection)

    @property
    def collections(self) -> "WeaviateProvider":
        """Itself."""
        return self

    @property
    def source(self) -> "WeaviateProvider":
        """Itself."""
        return self

    @property
    def sink(self) -> "WeaviateProvider":
        """Itself."""
        return self

    def physical_name(self, logical: str, suffix: str) -> str:
        """Name a class: Weaviate raises the first letter, so we do."""
        name = f"{logical[:1].upper()}{logical[1:]}_{suffix}"
        if not _NAME.match(name) or len(name) > _MAX_NAME:
            raise InvalidNameError(
                f'"{name[:60]}" is no name of a class, or longer than {_MAX_NAME}', hint="use a-z, 0-9 and _"
            )
        return name

    def interrupt(self) -> None:
        """End the call that another thread is in; an index may be waited for for hours."""
        self._connection.interrupt()

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def check(self) -> Checked:
        """Say which version answers, what the key may do, and whether a late batch would make a class."""
        return checking.check(self._connection)

    def list(self) -> Sequence[CollectionEntry]:
        """List classes by name; rows are counted where there are not too many classes."""
        self._connection.require_ready()
        there = (self._connection.get("/v1/schema") or {}).get("classes") or []
        found = [one for one in there if not (has_tenants(one) or checking.is_probe(one))]
        names = sorted((str(one["class"]), mark_of(one)) for one in found)
        is_counted = len(names) <= _COUNTED
        return [CollectionEntry(name, self._rows(name) if is_counted else None, mark) for name, mark in names]

    def describe(self, name: str) -> Description:
        """Describe a class, by its name or an alias."""
        found = self._find(name)
        key, kind = found.captured.body.key
        properties = [Property(one.name, one.type) for one in found.captured.body.values]
        engine = found.captured.body.written()
        if found.told is not None and found.told.describes(found.captured.body):
            engine = found.told.engine
        schema = Schema(
            family=Family.WEAVIATE,
            key=key,
            key_kind=kind,
            vectors=self._spaces(found),
            properties=tuple(properties),
            engine=engine,
        )
        told = list(found.captured.fidelity)
        types = {one.type.removesuffix("[]") for one in properties}
        if "date" in types:
            told.append("dates are kept in UTC, without their offset")
        if "int" in types:
            told.append("integers beyond 2^53 are as Weaviate has rounded them")
        origin = None if found.told is None else found.told.origin
        return Description(schema, found.captured.refusals, tuple(told), origin)

    def version(self) -> str:
        """Name Weaviate."""
        return f"Weaviate {self._connection.version()[0]}"

    def definition(self, name: str) -> str:
        """Spell the class as the server describes it, without its modules' settings."""
        return define(self._body_of(name)[1])

    def hosted(self, schema: Schema) -> Hosted:
        """Say as which class a collection is held."""
        return hosting.hosted(schema)

    def create(self, name: str, schema: Schema, *, mark: str, origin: Origin | None = None) -> None:
        """Make an empty class with our mark in its description."""
        self._require_new()
        told = Told(mark, schema.engine, {space.name: space.dims for space in schema.vectors}, origin)
        body = parse_engine(schema.engine).body(name, told=told.written())
        there = find(self._connection, name)
        if there is None:
            try:
                self._connection.send("POST", "/v1/schema", body)
            except ConflictError:
                there = find(self._connection, name)
                if there is None:
                    raise
        if there is not None and mark_of(there) != mark:
            raise ConflictError(f'the class "{name}" is taken', hint="choose another name")

    def drop(self, name: str, *, mark: str) -> bool:
        """Drop our class, unless an alias leads to it."""
        there = find(self._connection, name)
        if there is None:
            return False
        if mark_of(there) != mark:
            raise ConflictError(f'the class "{name}" is not ours', hint="drop it with Weaviate's own tools")
        aliases = led_to(self._connection, name)
        if aliases:
            raise ConflictError(
                f'"{name}" is not dropped, something depends on it: the alias {", ".join(aliases)}',
                hint="let whoever made that drop it, or point it elsewhere; then collect garbage again",
            )
        self._connection.send("DELETE", f"/v1/schema/{segment(name)}")
        return True

    @contextmanager
    def open(self, name: str, *, freeze: Collection[str] | None = None) -> Iterator[CursorReading]:
        """Open a reading by cursor; frozen, its shards take no writes until it ends."""
        found = self._find(name)
        if found.captured.refusals:
            raise UnsupportedError(
                f'"{name}" can\'t be a snapshot: {"; ".join(found.captured.refusals)}',
                hint="reg collection show tells all",
            )
        self._set_shards(found.name, freeze or (), READONLY)
        try:
            yield CursorReading(
                self._connection,
                Held(found.name, found.captured.body, self._spaces(found), found.is_timed),
                consistency=Consistency.POINT_IN_TIME if freeze is None else Consistency.FROZEN,
            )
        finally:
            self._set_shards(found.name, freeze or (), READY)

    def load(self, name: str, schema: Schema, groups: Iterable[Sequence[Row]], *, ledger: Ledger) -> Iterator[int]:
        """Load groups; one of unknown fate is deleted before it is sent again."""
        if find(self._connection, name) is None:
            raise NotFoundError(f'there is no class "{name}"', hint=_NO_COLLECTION)  # a batch might make it
        held = Held(name, parse_engine(schema.engine), schema.vectors, is_timed=True)
        try:
            yield from Loader(self._connection, held).load(groups, ledger)
        except DamagedError as error:
            ledger.acknowledge(0)
            self._make_anew(name, schema)
            raise UnavailableError(
                f'"{name}" was damaged when Weaviate was killed, and is made anew: {error}',
                hint="it is loaded again",
            ) from error

    def _make_anew(self, name: str, schema: Schema) -> None:
        """Drop a class of ours, whose every row will be loaded again, and make it as it was made."""
        there = find(self._connection, name) or {}
        told = Told.parse(str(there.get("description") or ""))
        if told is not None and self.drop(name, mark=told.mark):
            self.create(name, schema, mark=told.mark, origin=told.origin)

    def build_index(self, name: str, schema: Schema) -> None:  # noqa: ARG002 # Weaviate indexes what it stores
        """Wait until the queue of every shard is empty, and what was indexed survives a kill."""
        wait_for_index(self._connection, name)
        flush(self._connection, name)

    def search(self, name: str, vector: bytes, *, space: str, limit: int) -> Sequence[Hit]:
        """Ask the vector's own index."""
        held = self._held(name)
        found = next((one for one in held.spaces if one.name == space), None)
        if found is None:
            known = ", ".join(one.name for one in held.spaces)
            raise NotFoundError(f'"{name}" has no vector "{space}" that can be searched', hint=f"it has {known}")
        if len(vector) != _FLOAT_BYTES * found.dims:
            raise DocumentError(
                f'the question has {len(vector) // _FLOAT_BYTES} dimensions, "{space}" has {found.dims}',
                hint="ask with the embedder that made the collection",
            )
        request = nearest(held, vector, space=space, limit=limit)
        properties = held.body.values
        request.properties.CopyFrom(asked(held.body.properties))
        reads, key_of = decoders(properties), key_reader(held.body)
        hits = [
            Hit(
                key_of(result),
                _distance(found, result.metadata.distance),
                canonical(result.properties.non_ref_props, reads),
            )
            for result in self._connection.call("Search", request).results
        ]
        return sorted(hits, key=lambda hit: (hit.distance, hit.key))

    def unreachable(self, name: str, keys: Collection[bytes]) -> frozenset[bytes]:
        """Name the keys that are not stored, or stored and missing from a vector's index."""
        return unreachable(self._connection, self._held(name), keys)

    def _rows(self, name: str) -> int | None:
        """Count a class's rows; one that is dropped meanwhile, or whose node is away, has no number."""
        try:
            return self._connection.count(name)
        except RegaliaError:
            return None

    def _held(self, name: str) -> Held:
        """Find a class to search in, where a vector that few rows have is not worth a look at all."""
        found = self._find(name)
        return Held(found.name, found.captured.body, self._spaces(found, most_pages=_SEARCHED_PAGES), found.is_timed)

    def _find(self, name: str) -> _Class:
        """Find a class by its name, or by an alias: a cursor through an alias would go on in another class."""
        physical, found = self._body_of(name)
        is_timed = bool((found.get("invertedIndexConfig") or {}).get("indexTimestamps"))
        told = Told.parse(str(found.get("description") or ""))
        return _Class(physical, _captured(found), told, is_timed)

    def _body_of(self, name: str) -> tuple[str, dict[str, Any]]:
        """Give a class's own name, and how its server describes it."""
        self._require_new()
        if not REFERENCE.match(name):
            raise NotFoundError(f'there is no collection "{name[:60]}"', hint=_NO_COLLECTION)
        alias = self._connection.get(f"/v1/aliases/{segment(name)}")
        physical = name if alias is None else str(alias["class"])
        found: dict[str, Any] | None = self._connection.get(f"/v1/schema/{segment(physical)}")
        if found is None:
            raise NotFoundError(f'there is no collection "{name}"', hint=_NO_COLLECTION)
        return physical, found

    def _require_new(self) -> None:
        """Look at the version once a connection."""
        if not self._is_new:
            checking.require_new(self._connection)
            self._is_new = True

    def _spaces(self, found: _Class, *, most_pages: int | None = None) -> tuple[VectorSpace, ...]:
        if found.captured.refusals:
            return ()
        recorded = {} if found.told is None else found.told.dims
        return dimensions(self._connection, found.name, found.captured.body, recorded, most_pages=most_pages)

    def writable(self, name: str) -> tuple[str, ...]:
        """Name the shards that take writes."""
        shards = self._connection.get(f"/v1/schema/{segment(self._find(name).name)}/shards") or []
        return tuple(str(shard["name"]) for shard in shards if shard["status"] != READONLY)

    def thaw(self, name: str, parts: Collection[str]) -> None:
        """Make these shards take writes."""
        self._set_shards(self._find(name).name, parts, READY)

    def _set_shards(self, name: str, shards: Iterable[str], status: str) -> None:
        for shard in shards:
            self._connection.send("PUT", shard_path(name, shard), {"status": status})


def _captured(found: dict[str, Any]) -> Captured:
    try:
        return capture(found)
    except DocumentError as error:
        return Captured(ClassBody((), (), {}, is_unnamed=False), (error.message,), ())
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise UnavailableError(
            f"what answers there describes no class: {error!r}"[:200], hint=_NO_COLLECTION
        ) from error


def _distance(space: VectorSpace, told: float) -> float:
    """Give the distance by our metrics: Weaviate's l2 is a square."""
    return float(max(told, 0.0) ** 0.5) if space.metric == "l2" else float(told)


def open_weaviate(
    url: str,
    *,
    holder: Holder,  # noqa: ARG001 # Weaviate can't fence: a late worker writes the same rows to the same names
    password: str | None = None,
    data: Path | None = None,  # noqa: ARG001 # every provider is told the registry's data folder
) -> WeaviateProvider:
    """Open a connection as a provider."""
    return WeaviateProvider(Connection(url, key=password))
