"""Reading a collection into segments: in one moment, or again until nothing moved."""

import shutil
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

from regalia.core.errors import ConflictError, RegaliaError
from regalia.core.strict_json import JsonObject
from regalia_registry.domain.operations import SnapshotWish
from regalia_registry.domain.snapshots.canary import Question
from regalia_registry.domain.snapshots.schema import Schema
from regalia_registry.ports.vectors import Consistency, Provider
from regalia_registry.segments.base import Base, BaseSegment
from regalia_registry.segments.build import Build, Built
from regalia_registry.segments.nearest import Watch
from regalia_registry.segments.parquet import StoredSegment
from regalia_registry.segments.reading import dead_rows
from regalia_registry.services.context import Bench, Ports
from regalia_registry.services.steps.keeping import Keeper
from regalia_registry.services.steps.resuming import SegmentJournal
from regalia_registry.services.steps.snapshots import OpenedSnapshot, fetched

_MAX_PASSES = 4


@dataclass(frozen=True, slots=True)
class Pass:
    """One reading of the whole collection: what was built, how many rows moved, how many no search there finds.

    `canary` is known where every row was new.
    """

    built: Built
    consistency: Consistency
    moved: int
    unindexed: int
    canary: tuple[Question, ...] | None = None


@dataclass(frozen=True, slots=True)
class Taking:
    """What the readings of one collection have in common."""

    ports: Ports
    provider: Provider
    wish: SnapshotWish
    schema: Schema
    newest: OpenedSnapshot | None
    keep: Keeper
    journal: SegmentJournal

    def settled(self, bench: Bench) -> Pass:
        """Take the first reading in which nothing moved, or that two in a row agree on.

        Raises:
            ConflictError: No two agree.
        """
        last: Pass | None = None
        for taken in self._passes(bench):
            if taken.moved == 0:
                return taken
            if last is not None and last.built.root == taken.built.root:
                return replace(taken, consistency=Consistency.FUZZY)
            last = taken
        moved = 0 if last is None else last.moved
        otherwise = "" if self.wish.freeze else ", or let none write meanwhile: --freeze"
        raise ConflictError(
            f'"{self.wish.collection}" was written each time it was read: {moved} rows moved',
            hint=f"stop its writers for a while{otherwise}",
        )

    def _passes(self, bench: Bench) -> Iterator[Pass]:
        """Read the collection again and again; what one reading stored is a base of the next."""
        for number in range(1, _MAX_PASSES + 1):
            folder = _made(bench.folder / f"pass-{number}")
            yield self._read(folder, bench)
            shutil.rmtree(folder)
            bench.tell({"step": "reading again"})

    def _read(self, folder: Path, bench: Bench) -> Pass:
        source, collection = self.provider.source, self.wish.collection
        about = _about(self.provider, collection, self.newest)
        base = self._base(folder)
        watch = Watch(self.schema) if base is None else None
        look = None if watch is None else watch.look
        with (
            self.journal.frozen(source, collection) if self.wish.freeze else nullcontext() as parts,
            Build(_made(folder / "build"), self.schema, base, self._store, look) as build,
            source.open(collection, freeze=parts) as reading,
        ):
            rows = 0
            for batch in reading.batches():
                build.add(batch)
                rows += len(batch)
                bench.tell({"step": "reading", "rows": rows, **about})
            self._require_schema(collection)
            built = build.finish()
            canary = None if watch is None else watch.questions()
            return Pass(built, reading.consistency, reading.moved(), reading.unindexed(), canary)

    def _require_schema(self, collection: str) -> None:
        """Refuse rows that were written under another schema than the one that was described."""
        if self.provider.collections.describe(collection).schema != self.schema:
            raise ConflictError(
                f'"{collection}" changed its schema while it was read', hint="take it again: reg snapshot create"
            )

    def _store(self, made: StoredSegment) -> None:
        self.keep.segment(made)
        self.journal.add(made)

    def _base(self, folder: Path) -> Base | None:
        """Fetch the keys of the newest snapshot, if it has this schema, and of what an earlier run stored."""
        newest, found = self.newest, []
        if newest is not None and newest.config.schema_digest == self.schema.digest:
            found = [(one, dead_rows(one, newest.tombstones)) for one in newest.listing.segments]
        listed = {one.keys for one, _ in found}  # the journal has them too, where a run was killed at its very end
        found += [(one, b"") for one in self.journal.segments if one.keys not in listed]
        if not found:
            return None
        keys = _made(folder / "base")
        return Base(
            [BaseSegment(one, fetched(self.ports, one.keys, keys / one.keys_title), dead) for one, dead in found]
        )


def _about(provider: Provider, collection: str, newest: OpenedSnapshot | None) -> JsonObject:
    """Say about how many rows there are, for the progress: as many as last time, or what the engine estimates."""
    if newest is not None:
        return {"about": newest.config.count}
    try:
        listed = provider.collections.list()
    except RegaliaError:  # an estimate is worth no snapshot
        return {}
    rows = next((one.rows for one in listed if collection in {one.name, one.name.rpartition(".")[2]}), None)
    return {} if rows is None else {"about": rows}


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder
