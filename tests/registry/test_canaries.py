"""Canaries of versions, by a worker over the memory twins: made, continued, carried, and asked of what is loaded."""

import re
import struct
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from regalia.core.errors import NotFoundError, UnsupportedError
from regalia.core.names import ArtifactName, Kind
from regalia.core.strict_json import JsonObject
from regalia.wire.answers import ProvenanceEntry
from regalia_registry.adapters.memory.vectors import Held, MemoryVectors
from regalia_registry.domain.access import Actor, Grant
from regalia_registry.domain.operations import CompactWish, LoadWish, SnapshotWish
from regalia_registry.domain.snapshots.canary import Question
from regalia_registry.domain.snapshots.rows import Row, encode_key
from regalia_registry.domain.snapshots.schema import Family
from regalia_registry.ports.vectors import Hit
from regalia_registry.segments.canary import read_canary
from regalia_registry.services.artifacts import find_provenance
from regalia_registry.services.context import Caller
from regalia_registry.services.steps.snapshots import CANARY, DEFINITION, OpenedSnapshot, fetched, find_newest
from tests.registry.test_asking import READER, Registry
from tests.support.segments import SCHEMA

MADE = replace(SCHEMA, family=Family.POSTGRESQL, vectors=SCHEMA.vectors[:1])
KB = ArtifactName("acme", Kind.SNAPSHOT, "kb")
STRANGER = Caller(Actor("eve", "eve", (Grant.of("globex", ["read"]),)), "request-1")
WISH = SnapshotWish("local", "docs", "kb")


class Poor(MemoryVectors):
    """An engine whose index finds every other row."""

    def search(self, name: str, vector: bytes, *, space: str, limit: int) -> Sequence[Hit]:
        """Leave out every second."""
        return super().search(name, vector, space=space, limit=2 * limit)[::2]


class Silent(MemoryVectors):
    """An engine that answers no question."""

    def search(self, name: str, vector: bytes, *, space: str, limit: int) -> Sequence[Hit]:
        """Refuse."""
        raise UnsupportedError(f'"{name}" is not searched', hint=f"{space}, {len(vector)}, {limit}")


def row(number: int, turned: int = 0) -> Row:
    vector = struct.pack("<2f", 1.0, (number * 37 % 1009 + turned) / 100)
    return Row(encode_key(number), (("body", vector),), b"{}")


class Source(Registry):
    """A collection of an engine with an index, and the snapshots of it."""

    def fill(self, *rows: Row) -> None:
        self.engine.vectors.held["docs"] = Held(MADE, rows={one.key: one for one in rows})

    def newest(self) -> OpenedSnapshot:
        found = find_newest(self.ports, KB)
        assert found is not None
        return found

    def canary(self, folder: Path) -> tuple[Question, ...]:
        layer = self.newest().manifest.layer(CANARY)
        assert layer is not None
        return read_canary(fetched(self.ports, layer.digest, folder / CANARY), MADE)

    def provenance(self) -> ProvenanceEntry:
        return find_provenance(self.ports, READER, KB, version=self.newest().stored.version)

    def steps(self, operation: str) -> list[JsonObject]:
        with self.ports.store.read() as tx:
            return [event.body for event in tx.operations.events(operation, after=0, limit=200)]


@pytest.fixture
def source(tmp_path: Path) -> Source:
    made = Source(tmp_path)
    made.fill(*(row(number) for number in range(200)))
    return made


def test_a_snapshot_knows_what_the_sources_own_index_finds(source: Source, tmp_path: Path) -> None:
    source.engine.vectors = Poor(source.engine.vectors.held)

    source.outcome(WISH)

    found = source.canary(tmp_path)
    assert len(found) == 64
    assert {one.found is not None and 4 <= one.found < 10 for one in found} == {True}


def test_a_source_that_answers_no_question_is_a_snapshot_all_the_same(source: Source, tmp_path: Path) -> None:
    source.engine.vectors = Silent(source.engine.vectors.held)

    source.outcome(WISH)

    assert {one.found for one in source.canary(tmp_path)} == {None}


def test_the_canary_decides_nothing_about_what_is_unchanged(source: Source) -> None:
    first = source.outcome(WISH)
    source.engine.vectors = Poor(source.engine.vectors.held)

    again = source.outcome(WISH)

    assert (again["digest"], again["created"]) == (first["digest"], False)


def test_a_definition_is_kept_to_be_read_and_decides_nothing(source: Source, tmp_path: Path) -> None:
    class Wordy(MemoryVectors):
        def definition(self, name: str) -> str:
            return f"{name}, at length\0"

    first = source.outcome(WISH)
    layer = source.newest().manifest.layer(DEFINITION)
    source.engine.vectors = Wordy(source.engine.vectors.held)
    again = source.outcome(WISH)
    source.fill(row(1))
    source.outcome(WISH)
    another = source.newest().manifest.layer(DEFINITION)

    assert layer is not None
    assert fetched(source.ports, layer.digest, tmp_path / "one").read_text() == "collection docs\n"
    assert again["digest"] == first["digest"]
    assert another is not None
    assert fetched(source.ports, another.digest, tmp_path / "other").read_text() == "docs, at length\ufffd"


def test_a_version_says_how_it_came_to_be(source: Source) -> None:
    asked = source.done(WISH)

    found = source.provenance()

    assert (found.operation, found.kind) == (asked.id, "snapshot")
    assert (found.target, found.source, found.engine) == ("local", "docs", "memory")
    assert (found.consistency, found.started <= found.finished) == ("point-in-time", True)
    assert found.writer.startswith("regalia ")


def test_a_version_that_is_taken_again_keeps_how_it_came_to_be(source: Source) -> None:
    source.outcome(WISH)
    before = source.provenance()

    source.outcome(WISH)

    assert source.provenance() == before


def test_what_is_known_of_no_version_is_not_found(source: Source) -> None:
    source.outcome(WISH)

    with pytest.raises(NotFoundError, match=re.escape("9.9.9")):
        find_provenance(source.ports, READER, KB, version="9.9.9")
    with pytest.raises(NotFoundError, match='no namespace "acme"'):
        find_provenance(source.ports, STRANGER, KB, version="1.0.0")


def test_versions_of_the_same_rows_have_the_same_canary(source: Source) -> None:
    source.engine.vectors = Silent(source.engine.vectors.held)
    source.outcome(WISH)
    before = source.newest().manifest.layer(CANARY)
    for number in range(40):
        source.fill(*(row(one, one < number) for one in range(200)))
        source.outcome(WISH)
    worn = source.newest().manifest.layer(CANARY)

    compacted = source.outcome(CompactWish("kb"))

    assert compacted["created"] is True
    assert source.newest().manifest.layer(CANARY) == worn != before
    made = source.provenance()
    assert (made.kind, made.target, made.source) == ("compact", None, "acme/snapshot/kb@1.0.39")


def test_of_a_large_snapshot_only_what_is_new_is_compared(source: Source, tmp_path: Path) -> None:
    source.engine.vectors = Silent(source.engine.vectors.held)
    rows = [row(number) for number in range(50_100)]
    source.fill(*rows)
    source.outcome(WISH)
    before = {one.key for one in source.canary(tmp_path)}
    changed = [row(number, turned=1) for number in range(0, 50_100, 50)]
    source.fill(*rows, *changed)

    done = source.done(WISH)

    compared = [body for body in source.steps(done.id) if body["step"] == "comparing with the canary"]
    assert [body["rows"] for body in compared] == [len(changed)]
    after = {one.key for one in source.canary(tmp_path)}
    assert after == before - {one.key for one in changed}


def test_a_loaded_collection_says_its_recall_and_its_sources(source: Source) -> None:
    source.outcome(WISH)

    loaded = source.outcome(LoadWish("kb", "1.0.0", "local", "kb", 0.95))

    told = {"body": {"questions": 64, "asked": 64, "recall": 1.0}}
    assert (loaded["recall"], loaded["source_recall"], loaded["warnings"]) == (told, told, [])


def test_an_index_that_finds_less_than_the_sources_is_warned_of(source: Source) -> None:
    source.outcome(WISH)
    source.engine.vectors = Poor(source.engine.vectors.held)

    warnings = source.outcome(LoadWish("kb", "1.0.0", "local", "kb"))["warnings"]

    assert "the index of body finds" in str(warnings)
    assert "where it was taken, 100.0%" in str(warnings)


def test_an_index_that_finds_less_than_was_asked_for_is_refused_and_removed(source: Source) -> None:
    source.outcome(WISH)
    source.engine.vectors = Poor(source.engine.vectors.held)

    told = source.refusal(LoadWish("kb", "1.0.0", "local", "kb", 0.95))

    assert "95.0% was asked for" in told
    assert source.names() == {"docs"}


def test_a_recall_that_can_not_be_told_is_none_that_was_asked_for(source: Source) -> None:
    source.hold("docs", *map(row, range(1, 6)))
    source.outcome(WISH)

    told = source.refusal(LoadWish("kb", "1.0.0", "local", "kb", 0.5))

    assert "no recall of 0.5 can be told" in told


def test_a_canary_that_is_gone_costs_a_warning_and_no_load(source: Source) -> None:
    source.outcome(WISH)
    layer = source.newest().manifest.layer(CANARY)
    assert layer is not None
    source.ports.blobs.delete(digest=layer.digest)

    loaded = source.outcome(LoadWish("kb", "1.0.0", "local", "kb"))

    assert (loaded["count"], loaded["recall"]) == (200, {})
    assert "its canary can't be read" in str(loaded["warnings"]).replace("\\", "")
