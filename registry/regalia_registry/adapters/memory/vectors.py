"""Vector collections in memory: the twin that the contract suite holds the engines to."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count

from regalia.core.errors import ConflictError, NotFoundError
from regalia_registry.domain.snapshots.distances import distance
from regalia_registry.domain.snapshots.origin import Origin
from regalia_registry.domain.snapshots.rows import Row
from regalia_registry.domain.snapshots.schema import Schema
from regalia_registry.domain.snapshots.translation import Hosted
from regalia_registry.ports.serving import Standing
from regalia_registry.ports.vectors import Checked, CollectionEntry, Consistency, Description, EngineRight, Hit, Ledger

_BATCH = 1000
_NUMBERS = count()


@dataclass
class Held:
    """One collection."""

    schema: Schema
    mark: str = ""
    origin: Origin | None = None
    rows: dict[bytes, Row] = field(default_factory=dict)
    sealed: bool = False
    unsealings: int = 0
    number: int = field(default_factory=_NUMBERS.__next__)  # tells it from another of its name


@dataclass
class MemoryReading:
    """A copy of the rows, as they were when it was opened."""

    rows: Sequence[Row]
    consistency: Consistency = Consistency.POINT_IN_TIME

    def batches(self) -> Iterator[Sequence[Row]]:
        """Read all rows."""
        for start in range(0, len(self.rows), _BATCH):
            yield self.rows[start : start + _BATCH]

    def moved(self) -> int:
        """Say that nothing did."""
        return 0

    def unindexed(self) -> int:
        """Say that none is: every search looks at every row."""
        return 0


@dataclass
class MemoryLedger:
    """A `Ledger` that lives as long as it does."""

    started: int = 0
    acknowledged: int = 0

    def start(self, groups: int) -> None:
        """Count what is begun."""
        self.started = max(self.started, groups)

    def acknowledge(self, groups: int) -> None:
        """Count what is whole."""
        self.acknowledged = groups


class MemoryVectors:
    """A `Provider` whose ports are all itself; `held` is what others write into, `depending` what they built on it."""

    def __init__(self, held: dict[str, Held] | None = None, led: dict[str, str] | None = None) -> None:
        """Keep the collections, and which alias leads where."""
        self.held = {} if held is None else held
        self.led = {} if led is None else led
        self.depending: dict[str, str] = {}

    @property
    def collections(self) -> "MemoryVectors":
        """Itself."""
        return self

    @property
    def source(self) -> "MemoryVectors":
        """Itself."""
        return self

    @property
    def sink(self) -> "MemoryVectors":
        """Itself."""
        return self

    @property
    def seals(self) -> "MemoryVectors":
        """Itself."""
        return self

    @property
    def aliases(self) -> "MemoryAliases":
        """Those of its collections."""
        return MemoryAliases(self.held, self.led)

    @property
    def adoption(self) -> "MemoryVectors":
        """Itself."""
        return self

    def physical_name(self, logical: str, suffix: str) -> str:
        """Join the two."""
        return f"{logical}_{suffix}"

    def close(self) -> None:
        """Keep everything."""

    def check(self) -> Checked:
        """Say that all is well."""
        rights = frozenset({EngineRight.READ, EngineRight.CREATE, EngineRight.ALIAS})
        return Checked("memory", rights=rights, aliases=True)

    def list(self) -> Sequence[CollectionEntry]:
        """List by name."""
        return [CollectionEntry(name, len(one.rows), one.mark) for name, one in sorted(self.held.items())]

    def describe(self, name: str) -> Description:
        """Give the schema that it was made with."""
        held = self._get(name)
        return Description(held.schema, origin=held.origin)

    def version(self) -> str:
        """Name this."""
        return "memory"

    def definition(self, name: str) -> str:
        """Name it: nothing else of it has words of its own."""
        self._get(name)
        return f"collection {name}\n"

    def hosted(self, schema: Schema) -> Hosted:
        """Hold any family as it is."""
        return Hosted(schema)

    def create(self, name: str, schema: Schema, *, mark: str, origin: Origin | None = None) -> None:
        """Make an empty one, unless it is there with this mark."""
        there = self.held.get(name)
        if there is None:
            self.held[name] = Held(schema, mark, origin)
        elif there.mark != mark:
            raise ConflictError(f'the name "{name}" is taken', hint="choose another")

    def drop(self, name: str, *, mark: str) -> bool:
        """Remove ours."""
        there = self.held.get(name)
        if there is None:
            return False
        if there.mark != mark:
            raise ConflictError(f'the collection "{name}" is not ours', hint="remove it with the engine's own tools")
        if name in self.led.values() or name in self.depending:
            what = self.depending.get(name, "an alias")
            raise ConflictError(f'"{name}" is not dropped, something depends on it: {what}', hint="drop that first")
        del self.held[name]
        return True

    def seal(self, name: str, *, mark: str) -> None:
        """Refuse writes."""
        self._ours(name, mark).sealed = True

    def unseal(self, name: str, *, mark: str) -> None:
        """Take writes, and remember that it did."""
        held = self._ours(name, mark)
        if held.sealed:
            held.sealed, held.unsealings = False, held.unsealings + 1

    def standing(self, name: str, *, mark: str) -> Standing:
        """Look at the seal, and how often it was off."""
        held = self._ours(name, mark)
        return Standing(held.sealed, f"{'sealed' if held.sealed else 'open'} {held.number} {held.unsealings}")

    def consequences(self, name: str) -> tuple[str, ...]:
        """Say that the name is an alias from then on."""
        self._foreign(name)
        return (f'"{name}" is an alias: it can\'t be dropped',)

    def renamed(self, name: str, *, into: str) -> str:  # noqa: ARG002 # it can rename
        """Give the new name."""
        return into

    def adopt(self, name: str, *, into: str, mark: str) -> None:
        """Move it, and lead there from where it was."""
        there = self.held.get(into)
        if there is not None and there.mark == mark:
            return
        if there is not None:
            raise ConflictError(f'the name "{into}" is taken', hint="choose another")
        held = self._foreign(name)
        held.mark = mark
        self.held[into] = self.held.pop(name)
        self.led[name] = into

    def writable(self, name: str) -> tuple[str, ...]:  # noqa: ARG002 # no name makes a difference
        """Name nothing: a reading is of one moment anyway."""
        return ()

    def thaw(self, name: str, parts: Collection[str]) -> None:
        """Do nothing: nobody is ever stopped."""

    @contextmanager
    def open(self, name: str, *, freeze: Collection[str] | None = None) -> Iterator[MemoryReading]:  # noqa: ARG002 # a copy needs none
        """Copy the rows."""
        yield MemoryReading(list(self._get(name).rows.values()))

    def load(self, name: str, schema: Schema, groups: Iterable[Sequence[Row]], *, ledger: Ledger) -> Iterator[int]:
        """Load groups that were not loaded before."""
        held, total = self._require(name, schema), 0
        for number, rows in enumerate(groups, start=1):
            if number > ledger.acknowledged:
                if held.sealed:
                    raise ConflictError(f'the collection "{name}" is sealed', hint="resolve the channel again")
                ledger.start(number)
                held.rows |= {row.key: row for row in rows}
                ledger.acknowledge(number)
            total += len(rows)
            yield total

    def build_index(self, name: str, schema: Schema) -> None:
        """Compare the schema: every search looks at every row."""
        self._require(name, schema)

    def search(self, name: str, vector: bytes, *, space: str, limit: int) -> Sequence[Hit]:
        """Compare with every row."""
        held = self._get(name)
        metric = next((one.metric for one in held.schema.vectors if one.name == space), None)
        if metric is None:
            raise NotFoundError(f'"{name}" has no vector "{space}"', hint="reg collection show names them")
        hits = [
            Hit(row.key, distance(metric, vector, content), row.properties)
            for row in held.rows.values()
            for name_of, content in row.vectors
            if name_of == space
        ]
        return sorted(hits, key=lambda hit: (hit.distance, hit.key))[:limit]

    def unreachable(self, name: str, keys: Collection[bytes]) -> frozenset[bytes]:
        """Name the keys that are not there at all."""
        return frozenset(keys) - frozenset(self._get(name).rows)

    def _require(self, name: str, schema: Schema) -> Held:
        held = self._get(name)
        if held.schema != schema:
            raise ConflictError(f'the collection "{name}" has another schema', hint="load into a new one")
        return held

    def _ours(self, name: str, mark: str) -> Held:
        held = self._get(name)
        if held.mark != mark:
            raise ConflictError(f'the collection "{name}" is not ours', hint="it is left as it is")
        return held

    def _foreign(self, name: str) -> Held:
        held = self._get(name)
        if held.mark:
            raise ConflictError(f'"{name}" is ours already', hint="name one that an application made")
        return held

    def _get(self, name: str) -> Held:
        if name not in self.held:
            raise NotFoundError(f'there is no collection "{name}"', hint="reg collection list TARGET")
        return self.held[name]


class MemoryAliases:
    """`Aliases` in a dict; a collection's name is taken, and no alias of ours."""

    def __init__(self, held: dict[str, Held], led: dict[str, str]) -> None:
        """Keep the collections, and which alias leads where."""
        self._held = held
        self._led = led

    def get(self, alias: str) -> str | None:
        """Name the collection."""
        self._require_free(alias)
        return self._led.get(alias)

    def set(self, alias: str, collection: str) -> None:
        """Make it lead there."""
        self._require_free(alias)
        if collection not in self._held:
            raise NotFoundError(f'there is no collection "{collection}"', hint="reg collection list TARGET")
        self._led[alias] = collection

    def leading_to(self, collection: str) -> tuple[str, ...]:
        """Name them, sorted."""
        return tuple(sorted(alias for alias, led in self._led.items() if led == collection))

    def refusals(self, alias: str, schema: Schema) -> tuple[str, ...]:
        """Refuse vectors of other names or dimensions than those that the alias shows."""
        if alias in self._held:
            return (f'"{alias}" is a collection',)
        shown = self._held.get(self._led.get(alias, ""))
        if shown is None or shown.schema.vectors == schema.vectors:
            return ()
        return (f'"{alias}" shows other vectors',)

    def remove(self, alias: str) -> bool:
        """Forget it."""
        self._require_free(alias)
        return self._led.pop(alias, None) is not None

    def _require_free(self, alias: str) -> None:
        if alias in self._held:
            raise ConflictError(f'"{alias}" is a collection, and no alias of ours', hint="choose another alias")
