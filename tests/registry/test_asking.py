"""Questions and retiring, by a worker over the memory twins: who may ask, what is answered, what is left alone."""

import json
import re
import struct
import threading
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from regalia.core import values
from regalia.core.digest import Digest
from regalia.core.errors import ForbiddenError, InvalidError, NotFoundError
from regalia.core.names import ApplicationName, Kind, Slot
from regalia.core.statements import Place
from regalia.wire.answers import OperationEntry
from regalia_registry.adapters.memory.blobs import MemoryBlobs
from regalia_registry.adapters.memory.keys import MemoryKeys, MemoryRoot
from regalia_registry.adapters.memory.store import MemoryStore
from regalia_registry.adapters.memory.system import MemoryClock, MemoryIds
from regalia_registry.adapters.memory.vectors import Held, MemoryVectors
from regalia_registry.domain.access import SYSTEM, Actor, Grant, Right
from regalia_registry.domain.entries import Event
from regalia_registry.domain.operations import (
    Holder,
    LoadWish,
    Look,
    LookWish,
    SnapshotWish,
    Target,
    VerifyWish,
    Wish,
)
from regalia_registry.domain.questions import DiffWish, Near, QueryWish, RetireWish, SearchWish, Which, encode_vector
from regalia_registry.domain.snapshots.rows import Row, encode_key, encode_properties
from regalia_registry.ports.blobs import read_blob
from regalia_registry.services import operations
from regalia_registry.services.context import Caller, Ports
from regalia_registry.services.steps.records import record
from regalia_registry.worker.loop import Worker
from tests.support.records import pointer
from tests.support.segments import SCHEMA


@dataclass
class Engine:
    """A `Targets` whose every target is one engine in memory."""

    vectors: MemoryVectors = field(default_factory=MemoryVectors)

    def connect(self, target: Target, *, holder: Holder) -> MemoryVectors:  # noqa: ARG002 # there is one
        return self.vectors

    def close(self) -> None:
        """Keep everything."""


def may(*rights: Right, name: str = "jane") -> Caller:
    return Caller(Actor(name, name, (Grant("acme", frozenset(rights)),)), "request-1")


PUBLISHER, READER = may(Right.READ, Right.PUBLISH), may(Right.READ, name="rita")
KB = Which("kb", "1.0.0")
NEAR = Near(encode_vector([1.0, 0.0]), None, "body", 3)


class Registry:
    """A store, an engine and a worker."""

    def __init__(self, folder: Path) -> None:
        self.engine = Engine()
        self.ports = Ports(
            store=MemoryStore(),
            blobs=MemoryBlobs(),
            clock=MemoryClock(),
            ids=MemoryIds(),
            keys=MemoryKeys(),
            root_file=MemoryRoot(),
        )
        self.worker = Worker(self.ports, self.engine, folder / "work", threading.Event())
        self.worker.folder.mkdir()
        self.hold("docs", *(row(number) for number in range(1, 6)))

    def hold(self, name: str, *rows: Row, mark: str = "") -> None:
        self.engine.vectors.held[name] = Held(SCHEMA, mark, rows={one.key: one for one in rows})

    def ask(self, wish: Wish, caller: Caller = PUBLISHER) -> OperationEntry:
        return operations.start(self.ports, caller, namespace="acme", wish=wish)

    def done(self, wish: Wish, caller: Caller = PUBLISHER) -> OperationEntry:
        asked = self.ask(wish, caller)
        assert self.worker.run_one()
        return self.follow(asked)

    def follow(self, asked: OperationEntry) -> OperationEntry:
        return operations.follow_operation(
            self.ports, READER, namespace="acme", operation_id=asked.id, after=0
        ).operation

    def outcome(self, wish: Wish, caller: Caller = PUBLISHER) -> dict[str, object]:
        found = self.done(wish, caller)
        assert (found.state, found.outcome is None) == ("done", False), found.outcome
        return found.outcome or {}

    def refusal(self, wish: Wish) -> str:
        found = self.done(wish)
        assert found.state == "failed"
        return str((found.outcome or {})["message"])

    def names(self) -> set[str]:
        return set(self.engine.vectors.held)

    def audited(self) -> list[str]:
        with self.ports.store.read() as tx:
            return [json.loads(entry.body)["event"] for entry in tx.audit.list(after=None, limit=100)]


def hits(outcome: dict[str, object]) -> list[dict[str, Any]]:
    found = outcome["hits"]
    assert isinstance(found, list)
    return found


def row(number: int, text: str = "") -> Row:
    vectors = ("body", struct.pack("<2f", number, 0.0)), ("title", struct.pack("<f", number))
    return Row(encode_key(number), vectors, encode_properties({"text": text or f"row {number}"}))


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path)


@pytest.fixture
def taken(registry: Registry) -> Registry:
    registry.outcome(SnapshotWish("local", "docs", "kb"))
    return registry


def test_whoever_may_read_asks_what_is_stored_and_nothing_of_a_target(taken: Registry) -> None:
    stored: list[Wish] = [VerifyWish("kb", "1.0.0"), DiffWish(KB, KB, rows=False), QueryWish(KB, NEAR)]
    at_a_target: list[Wish] = [
        SnapshotWish("local", "docs", "kb"),
        LoadWish("kb", "1.0.0", "local", "kb"),
        LookWish("local", Look.LIST),
        SearchWish("local", "docs", NEAR),
        RetireWish("local", "docs"),
    ]

    assert {taken.ask(wish, READER).state for wish in stored} == {"queued"}
    for wish in at_a_target:
        with pytest.raises(ForbiddenError, match="not publish"):
            taken.ask(wish, READER)


def test_what_is_asked_of_a_target_takes_one_that_the_namespace_uses(taken: Registry) -> None:
    with taken.ports.store.write(SYSTEM) as tx:
        tx.targets.add(Target("prod", "pgvector", "postgresql://db/kb"))
        record(taken.ports, Caller(SYSTEM, "r"), tx, Event("target.added", "target/prod"))

    for wish in (SearchWish("prod", "docs", NEAR), RetireWish("prod", "docs")):
        with pytest.raises(NotFoundError, match='no target "prod" for "acme"'):
            taken.ask(wish)


def test_a_target_that_was_taken_from_the_namespace_is_not_opened(taken: Registry) -> None:
    with taken.ports.store.note() as tx:
        tx.targets.add(Target("mine", "memory", "memory:", namespaces=("acme",)))
    asked = [taken.ask(SearchWish("mine", "docs", NEAR)), taken.ask(RetireWish("mine", "docs"))]
    with taken.ports.store.note() as tx:
        tx.targets.remove("mine")

    while taken.worker.run_one():
        pass

    for one in asked:
        assert 'no target "mine"' in str(taken.follow(one).outcome)


def test_what_is_not_stored_is_refused_when_it_is_asked(taken: Registry) -> None:
    for wish in (DiffWish(KB, Which("kb", "9.9.9"), rows=False), QueryWish(Which("other", "1.0.0"), NEAR)):
        with pytest.raises(NotFoundError):
            taken.ask(wish, READER)


def test_who_asked_may_cancel_and_another_reader_may_not(taken: Registry) -> None:
    mine, theirs = taken.ask(VerifyWish("kb", "1.0.0"), READER), taken.ask(VerifyWish("kb", "1.0.0"))

    cancelled = operations.cancel_operation(taken.ports, READER, namespace="acme", operation_id=mine.id)

    assert cancelled.state == "cancelled"
    with pytest.raises(ForbiddenError, match="not publish"):
        operations.cancel_operation(taken.ports, READER, namespace="acme", operation_id=theirs.id)
    assert operations.cancel_operation(taken.ports, PUBLISHER, namespace="acme", operation_id=theirs.id)


def test_a_list_leaves_outcomes_to_whoever_looks_closer(taken: Registry) -> None:
    taken.ask(QueryWish(KB, NEAR), READER)

    [asked, listed] = operations.list_operations(taken.ports, READER, namespace="acme", after=None, limit=10)

    assert (listed.state, listed.outcome, asked.request) == ("done", None, KB.written())
    assert (taken.follow(listed).outcome or {})["count"] == 5
    assert taken.follow(asked).request == QueryWish(KB, NEAR).written()


def test_a_diff_counts_and_names_the_keys(taken: Registry) -> None:
    taken.hold("docs", row(1), row(2, "changed"), row(4), row(5), row(9))
    taken.outcome(SnapshotWish("local", "docs", "kb"))

    outcome = taken.outcome(DiffWish(KB, Which("kb", "1.0.1"), rows=True), READER)

    assert outcome == {
        "old": "acme/snapshot/kb@1.0.0",
        "new": "acme/snapshot/kb@1.0.1",
        "added": 1,
        "removed": 1,
        "changed": 1,
        "unchanged": 3,
        "same_schema": True,
        "embedding": [None, None],
        "rows": [{"change": "~", "key": "2"}, {"change": "-", "key": "3"}, {"change": "+", "key": "9"}],
        "more": 0,
    }


def test_equal_roots_are_not_compared_however_they_are_stored(taken: Registry) -> None:
    taken.hold("docs", row(1), row(2, "changed"), row(4))
    taken.outcome(SnapshotWish("local", "docs", "kb"))
    taken.outcome(SnapshotWish("local", "docs", "whole"))

    for digest in list(taken.ports.blobs.list()):
        if read_blob(taken.ports.blobs, digest).startswith(b"PAR1"):
            taken.ports.blobs.delete(digest=digest)

    outcome = taken.outcome(DiffWish(Which("kb", "1.0.1"), Which("whole", "1.0.0"), rows=False), READER)

    counts = {name: outcome[name] for name in ("added", "removed", "changed", "unchanged")}
    assert counts == {"added": 0, "removed": 0, "changed": 0, "unchanged": 3}
    assert "there is no blob" in taken.refusal(DiffWish(KB, Which("whole", "1.0.0"), rows=False))


def test_a_stored_snapshot_and_the_collection_answer_alike(taken: Registry) -> None:
    stored = taken.outcome(QueryWish(KB, Near(None, "3", "body", 2)), READER)
    live = taken.outcome(SearchWish("local", "docs", Near(None, "3", "body", 2)))

    assert hits(stored) == hits(live)
    assert [hit["key"] for hit in hits(stored)] == ["1", "2"]
    assert (stored["metric"], live["space"]) == ("cosine", "body")


@pytest.mark.parametrize(
    ("near", "told"),
    [
        (Near(None, "3", "", 2), "more than one vector"),
        (Near(None, "3", "absent", 2), 'no vector "absent"'),
        (Near(None, "three", "body", 2), "its keys are integer"),
        (Near(None, "99", "body", 2), "no row with the key '99'"),
        (Near(encode_vector([1.0]), None, "body", 2), '1 and 2 dimensions|1 dimensions, "body" has 2'),
    ],
    ids=["which vector", "absent vector", "no key", "absent key", "other dimensions"],
)
def test_a_question_without_an_answer_says_why(taken: Registry, near: Near, told: str) -> None:
    for wish in (QueryWish(KB, near), SearchWish("local", "docs", near)):
        assert re.search(told, taken.refusal(wish))


def test_a_hit_with_long_properties_is_cut_and_says_so(registry: Registry) -> None:
    long = encode_properties({"a": "short\0", "b": "x" * 10_000, "c": 2**60, "d": [1, "two"], "e": "y" * 5000})
    registry.hold("docs", row(1)._replace(properties=long))
    registry.outcome(SnapshotWish("local", "docs", "kb"))

    outcome = registry.outcome(QueryWish(KB, NEAR), READER)

    [hit] = hits(outcome)
    assert hit["cut"] == ["b", "c", "d", "e"]
    assert hit["properties"]["a"] == "short�"
    assert hit["properties"]["b"].startswith("xxx")
    assert len(json.dumps(hit)) < 5000


def test_numbers_and_lists_of_a_hit_are_read_alike_by_every_reader(registry: Registry) -> None:
    registry.hold(
        "docs", row(1)._replace(properties=encode_properties({"a": 2**60, "b": [1, "two"], "c": 0.5, "d": True}))
    )
    registry.outcome(SnapshotWish("local", "docs", "kb"))

    outcome = registry.outcome(QueryWish(KB, NEAR), READER)

    [hit] = hits(outcome)
    assert hit["properties"] == {"a": str(2**60), "b": '[1, "two"]', "c": 0.5, "d": True}
    assert "cut" not in hit


@pytest.mark.parametrize(
    ("vector", "like", "limit"), [(b"\0" * 8, "1", 3), (None, None, 3), (None, "1", 0), (None, "1", 201)]
)
def test_a_question_without_one_answerable_form_is_refused(vector: bytes | None, like: str | None, limit: int) -> None:
    with pytest.raises(InvalidError):
        Near(vector, like, "", limit)


def test_text_that_our_readers_refuse_is_not_taken_into_the_journal() -> None:
    for make in (
        lambda: Near(None, "a\0", "", 1),
        lambda: Near(None, "a", "\0", 1),
        lambda: SearchWish("local", "\0", NEAR),
        lambda: RetireWish("local", "a\0"),
        lambda: SnapshotWish("local", "a\0", "kb"),
        lambda: LookWish("local", Look.SHOW, "\ud800"),
    ):
        with pytest.raises(InvalidError, match=r"U\+0000"):
            make()


@pytest.mark.parametrize("numbers", [[], [float("nan")], [float("inf")], [1e39], [0.0] * 65_536])
def test_numbers_that_are_no_vector_are_refused(numbers: list[float]) -> None:
    with pytest.raises(InvalidError):
        encode_vector(numbers)


def loaded(registry: Registry) -> tuple[str, str]:
    found = registry.done(LoadWish("kb", "1.0.0", "local", "kb"))
    return found.id, str((found.outcome or {})["collection"])


def test_a_loaded_collection_is_retired_and_the_record_says_so(taken: Registry) -> None:
    _, name = loaded(taken)

    outcome = taken.outcome(RetireWish("local", name))

    assert outcome == {"target": "local", "collection": name, "retired": True}
    assert taken.names() == {"docs"}
    assert taken.audited()[0] == "collection.retired"


@pytest.mark.parametrize("asked", ["working", "public.working"])
def test_a_table_without_a_schema_is_one_in_public(taken: Registry, asked: str) -> None:
    taken.hold("public.working", row(1))

    assert "not made by this registry" in taken.refusal(RetireWish("local", asked))


def test_what_no_load_of_this_namespace_made_is_left_alone(taken: Registry) -> None:
    made, name = loaded(taken)
    snapshot = taken.ask(SnapshotWish("local", "docs", "kb"))
    taken.hold("foreign", mark="0000")
    taken.hold("odd", mark=snapshot.id)
    taken.hold("spoofed", mark=made)
    assert taken.worker.run_one()

    for collection, told in (
        ("docs", "not made by this registry"),
        ("foreign", 'no operation of "acme"'),
        ("odd", 'no operation of "acme"'),
        ("spoofed", "not what its operation made"),
        ("absent", "no collection"),
    ):
        assert told in taken.refusal(RetireWish("local", collection))
    other = operations.start(
        taken.ports,
        Caller(Actor("eve", "eve", (Grant("other", frozenset({Right.PUBLISH, Right.READ})),)), "r"),
        namespace="other",
        wish=RetireWish("local", name),
    )
    assert taken.worker.run_one()

    with taken.ports.store.read() as tx:
        assert "no operation" in str(tx.operations.get(other.id).outcome)
    assert taken.names() == {"docs", "foreign", "odd", "spoofed", name}
    assert "collection.retired" not in taken.audited()


def test_a_collection_that_is_being_loaded_is_left_alone(taken: Registry) -> None:
    made, name = loaded(taken)
    with taken.ports.store.note() as tx:
        found = tx.operations.get(made)
        tx.operations.update(replace(found, state=found.state.RUNNING, lease_until=None), epoch=found.epoch)

    assert f"reg operation cancel {made}" in str(taken.done(RetireWish("local", name)).outcome)
    assert name in taken.names()


@pytest.mark.parametrize("target", ["local", "another-name-of-it"])
def test_a_collection_that_a_channel_serves_from_is_left_alone(taken: Registry, target: str) -> None:
    _, name = loaded(taken)
    place = Place(Slot(Kind.SNAPSHOT, "kb"), Digest.of(b"kb"), "memory", target, name)
    moved = pointer(1, application=ApplicationName("other", "agent"))
    with taken.ports.store.note() as tx:
        tx.channels.move(replace(moved, pointer=values.replace(moved.pointer, collections=(place,))), expected=None)

    assert f'"other/agent:prod" serves from "{name}"' in taken.refusal(RetireWish("local", name))
    assert name in taken.names()


def test_a_worker_that_takes_over_after_the_drop_writes_the_record(taken: Registry) -> None:
    made, name = loaded(taken)
    asked = taken.ask(RetireWish("local", name))
    with taken.ports.store.note() as tx:
        found = tx.operations.get(asked.id)
        tx.operations.update(replace(found, journal={"collection": name, "mark": made}), epoch=found.epoch)
    assert taken.engine.vectors.drop(name, mark=made)

    assert taken.worker.run_one()

    assert taken.follow(asked).state == "done"
    assert taken.audited()[0] == "collection.retired"


def test_wishes_are_read_from_the_journal_as_they_were_written() -> None:
    for wish in (
        DiffWish(KB, Which("kb", "1.0.1"), rows=True),
        QueryWish(KB, NEAR),
        SearchWish("local", "docs", Near(None, "3", "", 200)),
        RetireWish("local", "docs"),
    ):
        assert type(wish).parse(wish.written()) == wish
