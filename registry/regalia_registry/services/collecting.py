"""Removing what nothing needs any more: collections that nobody serves from, and blobs that nothing links. By a worker.

A collection is retired first, and dropped a lease later: by then, no worker is left that saw it ready.
"""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from itertools import groupby

from regalia.core.errors import RegaliaError
from regalia.core.fields import Fields
from regalia.core.strict_json import JsonObject, JsonValue
from regalia_registry.domain.access import Actor
from regalia_registry.domain.operations import Operation, OperationState
from regalia_registry.domain.placing import Collection, CollectionState
from regalia_registry.domain.retention import Decision, Fate, GarbageWish, Named
from regalia_registry.ports.vectors import Provider
from regalia_registry.services.context import Bench, Caller, Paused, Ports
from regalia_registry.services.steps.dropping import drop, judge, layers_of, require_unaliased, retire
from regalia_registry.services.steps.sweeping import Sweep
from regalia_registry.services.steps.targets import get_target
from regalia_registry.services.steps.uses import (
    Seen,
    aliased_on,
    aliases_on,
    all_collections,
    reported_by_agents,
    uses_of,
)

_MAX_ENTRIES = 100_000


def collect_garbage(ports: Ports, actor: Actor, operation: Operation, bench: Bench) -> JsonObject | Paused:
    """Remove what nothing needs, or say what would be removed; what stays is told with its reason."""
    wish = GarbageWish.parse(operation.request)
    collecting = _Collecting(ports, Caller(actor, operation.id), bench)
    if operation.journal is not None:
        return collecting.drop_all(Fields(operation.journal, "the operation's journal"))
    found = collecting.look()
    if not wish.is_plan:
        collecting.retire(found)
    swept = Sweep(ports, collecting.caller, bench).run(is_plan=wish.is_plan)
    told: JsonObject = {
        "plan": wish.is_plan,
        **found.written(),
        "blobs": {"count": swept.blobs, "bytes": swept.size_bytes},
    }
    dropping: list[JsonValue] = [*found.going(), *found.returned]
    if wish.is_plan or not dropping:
        return told
    bench.keep({"dropping": dropping, "told": told})
    return Paused(OperationState.RUNNING, told, ports.shared_now() + bench.lease.takeover)


@dataclass
class _Found:
    """What a look has found.

    `decided` is each collection with what becomes of it, `returned` are dropped ones that are there again, `aliased` is
    where aliases lead, `reported` what agents use, `sizes` are bytes, and `odd` is what a person should look at.
    """

    decided: dict[str, tuple[Collection, Decision]] = field(default_factory=dict)
    returned: list[str] = field(default_factory=list)
    aliased: dict[Named, str] = field(default_factory=dict)
    reported: frozenset[Named] = frozenset()
    sizes: dict[str, int] = field(default_factory=dict)
    odd: list[JsonValue] = field(default_factory=list)

    @property
    def seen(self) -> Seen:
        """What stands in no transaction that decides."""
        return Seen(self.aliased, self.reported)

    def going(self) -> list[str]:
        """Name those that go."""
        return [one for one, (_, decision) in self.decided.items() if decision.fate is not Fate.KEEP]

    def written(self) -> JsonObject:
        """Give it as an outcome tells it."""
        going, kept = list[JsonValue](), list[JsonValue]()
        for one, decision in self.decided.values():
            entry: JsonObject = {
                "target": one.target,
                "collection": one.name,
                "rows": one.rows,
                "bytes": self.sizes.get(one.id, 0),
                "why": decision.reason,
            }
            (kept if decision.fate is Fate.KEEP else going).append(entry)
        return {"going": going, "kept": kept, "odd": self.odd}


@dataclass(frozen=True, slots=True)
class _Collecting:
    """One attempt of one worker."""

    ports: Ports
    caller: Caller
    bench: Bench

    def look(self) -> _Found:
        """Judge all collections by what the catalog and the engines say now; those of a silent engine stay."""
        found, silent = _Found(), dict[str, str]()
        with self.ports.store.read() as tx:
            collections = list(all_collections(tx))
        for target in sorted({one.target for one in collections}):
            try:
                self._look_at(target, found)
            except RegaliaError as error:
                silent[target] = f'"{target}" was not looked at: {error.message}'
                found.odd.append({"target": target, "why": error.message})
        with self.ports.store.read() as tx:
            found.reported = reported_by_agents(tx)
            uses = uses_of(tx, found.seen, bundles=self.ports.retention.bundles)
        for one in collections:
            decision = judge(self.ports, one, uses)
            if decision.fate is not Fate.KEEP:
                found.sizes[one.id], _ = layers_of(self.ports, one)
                decision = Decision(Fate.KEEP, silent[one.target]) if one.target in silent else decision
            found.decided[one.id] = one, decision
        return found

    def retire(self, found: _Found) -> None:
        """Retire those that are to go, as long as that is right in that very transaction."""
        going = found.going()
        if going:
            for one, decision in retire(self.ports, self.caller, self.bench, going, found.seen).items():
                found.decided[one] = found.decided[one][0], decision

    def drop_all(self, journal: Fields) -> JsonObject:
        """Drop what was retired a lease ago; what can't be dropped is told, and left to the next collection."""
        ids, told = journal.texts("dropping", maximum=_MAX_ENTRIES), dict(journal.child("told").raw)
        with self.ports.store.read() as tx:
            there = [tx.collections.get(one) for one in ids]
        odd: list[JsonValue] = []
        for target, collections in groupby(sorted(there, key=lambda one: one.target), key=lambda one: one.target):
            try:
                with self._connected(target) as provider:
                    odd += self._drop_on(provider, list(collections))
            except RegaliaError as error:
                odd.append({"target": target, "why": error.message})
        before = told["odd"]
        return {**told, "odd": [*(before if isinstance(before, list) else []), *odd]}

    def _drop_on(self, provider: Provider, collections: list[Collection]) -> Iterator[JsonObject]:
        for one in collections:
            try:
                require_unaliased(self.ports, provider, one)
                drop(self.ports, self.caller, self.bench, provider, one)
            except RegaliaError as error:
                yield {"target": one.target, "collection": one.name, "why": error.message}

    def _look_at(self, target: str, found: _Found) -> None:
        """Ask an engine where aliases lead, and whether something dropped is there again."""
        with self._connected(target) as provider:
            listed = provider.collections.list()
            with self.ports.store.read() as tx:
                aliases = aliases_on(tx, target)
                there = [(one, tx.collections.find(target, name)) for one in listed for name in _names(one.name)]
            found.aliased |= aliased_on(provider, target, aliases)
        for entry, row in there:
            if row is None or row.state is not CollectionState.DROPPED:
                continue
            if entry.mark == row.mark:
                found.returned.append(row.id)
            else:
                why = "it has a name that was ours, and not our mark: somebody made it since ours was dropped"
                found.odd.append({"target": target, "collection": entry.name, "why": why})

    @contextmanager
    def _connected(self, target: str) -> Iterator[Provider]:
        self.bench.tell({"step": "connecting", "target": target})
        with self.ports.store.read() as tx:
            known = get_target(tx, target)
        with closing(self.bench.targets.connect(known, holder=self.bench.holder)) as provider:
            yield provider


def _names(listed: str) -> set[str]:
    """Give what a listed collection may be called in the catalog: its schema, where that is the collection."""
    return {listed, listed.rpartition(".")[0]} - {""}
