"""What a pinned reference finds: the newest pointer that named its bundle, as long as its collections are there."""

from dataclasses import replace

import pytest

from regalia.core.dsse import Envelope, Signature
from regalia.core.errors import NotFoundError, NotPlacedError
from regalia.core.names import Slot
from regalia.core.statements import STATEMENT_PAYLOAD, Place
from regalia.core.values import replace as with_changes
from regalia_registry.adapters.memory.store import MemoryStore
from regalia_registry.domain.placing import Collection, CollectionState
from regalia_registry.domain.records import StoredPointer
from regalia_registry.services.steps.lookups import find_pointer
from tests.support.records import APPLICATION, NOW, bundle, digest, move, pointer

PLACE = Place(Slot.parse("snapshots/kb"), digest("kb"), "pgvector", "local", "kb_abcdefgh", "kb")
KB = Collection(
    id="c1",
    namespace="acme",
    target="local",
    provider="embedded",
    logical="kb",
    name="kb_abcdefgh",
    snapshot=digest("kb"),
    content_root=digest("rows"),
    schema_digest=digest("schema"),
    rows=1,
    operation="op-1",
    made_at=NOW,
    state=CollectionState.READY,
)


def placed(sequence: int, *, previous: StoredPointer | None = None) -> StoredPointer:
    made = pointer(sequence, previous=previous)
    statement = with_changes(made.pointer, collections=(PLACE,))
    envelope = Envelope(STATEMENT_PAYLOAD, statement.payload(), (Signature("aa", b"first"),))
    return replace(made, identity=envelope.identity, pointer=statement, envelope=bytes(envelope))


@pytest.fixture
def store() -> MemoryStore:
    """Give a catalog whose prod named 2.3.1 twice and has gone on to 2.4.0."""
    store = MemoryStore()
    first = move(store, placed(1), expected=None)
    second = move(store, placed(2, previous=first), expected=first)
    move(store, pointer(3, named="2.4.0", previous=second), expected=second)
    with store.note() as tx:
        tx.collections.add(KB)
    return store


def test_a_pin_finds_the_newest_pointer_that_named_it(store: MemoryStore) -> None:
    with store.read() as tx:
        found = find_pointer(tx, APPLICATION, "prod", pinned=bundle("2.3.1").digest)
        current = find_pointer(tx, APPLICATION, "prod")

    assert (found.pointer.sequence, current.pointer.sequence) == (2, 3)


@pytest.mark.parametrize("state", [CollectionState.RETIRING, CollectionState.DROPPED, CollectionState.BUILDING])
def test_a_pin_whose_collection_is_not_ready_is_placed_nowhere(store: MemoryStore, state: CollectionState) -> None:
    with store.note() as tx:
        tx.collections.update(replace(KB, state=state), expected=CollectionState.READY)

    with store.read() as tx, pytest.raises(NotPlacedError, match="any more") as caught:
        find_pointer(tx, APPLICATION, "prod", pinned=bundle("2.3.1").digest)

    assert "acme/support-agent@2.3.1 for its prompts" in caught.value.hint


def test_what_a_channel_never_named_is_not_found_there(store: MemoryStore) -> None:
    with store.read() as tx:
        for channel, version in (("prod", "9.9.9"), ("staging", "2.3.1")):
            with pytest.raises(NotFoundError):
                find_pointer(tx, APPLICATION, channel, pinned=bundle(version).digest)
