"""Where a bundle's collections live: what a pointer signed, given by both clients, or a word why there is none."""

import asyncio

import pytest

from regalia import AsyncClient
from regalia.bundle import Bundle
from regalia.core import times
from regalia.core.bundle import BundleIndex, Member
from regalia.core.digest import Digest
from regalia.core.dsse import Envelope
from regalia.core.errors import NotFoundError, NotPlacedError, VerificationError
from regalia.core.kinds.snapshot import SnapshotConfig
from regalia.core.manifest import Artifact
from regalia.core.names import Kind, Slot
from regalia.core.statements import STATEMENT_PAYLOAD, Place, ReleaseStatement
from regalia.core.values import replace
from regalia.testing import MemoryRegistry, Released

PROD, SLOT = "acme/support-agent:prod", Slot(Kind.SNAPSHOT, "kb")
KB = Artifact.build(SnapshotConfig("kb", "1.0.0", 3, Digest.of(b"rows"), Digest.of(b"schema"), ()), {})
PLACE = Place(SLOT, KB.digest, "pgvector", "prod-db", "kb_k2j4h6g8", "kb")


def released(registry: MemoryRegistry, *places: Place) -> MemoryRegistry:
    """Release a bundle of one snapshot, and let prod place it there."""
    index = BundleIndex.build(registry.application, "3.0.0", [Member.of(SLOT, KB)])
    now = times.whole_second(registry.clock())
    statement = ReleaseStatement(registry.root.trust_domain, registry.application, "3.0.0", index.digest, now)
    envelope = Envelope.sign(STATEMENT_PAYLOAD, statement.payload(), [registry.keys["release"]])
    blobs = {KB.digest: KB.manifest.body, **KB.blobs}
    registry.blobs.update(blobs)
    registry.bundles["3.0.0"] = Released(index, bytes(envelope), blobs)
    pointer = replace(registry.next_pointer("3.0.0", "prod"), collections=places)
    registry.pointers["prod"] = registry.sign_pointer(pointer)
    return registry


def by_both(registry: MemoryRegistry) -> list[Bundle]:
    patient = AsyncClient(
        "http://registry.test",
        trust_root=registry.trust_root,
        state=registry.folder / "other",
        transport=registry,
        clock=registry.clock,
        environment={},
        folder=registry.folder,
    )
    return [registry.client().resolve(PROD), asyncio.run(patient.resolve(PROD))]


def test_a_placed_collection_is_what_the_pointer_signed(registry: MemoryRegistry) -> None:
    for bundle in by_both(released(registry, PLACE)):
        place = bundle.collection("kb")

        assert (place.target, place.collection, place.table) == ("prod-db", "kb_k2j4h6g8", "kb")


def test_a_pointer_that_places_nothing_says_so(registry: MemoryRegistry) -> None:
    for bundle in by_both(released(registry)):
        with pytest.raises(NotPlacedError, match='"prod" places it nowhere') as caught:
            bundle.collection("kb")

        assert "resolve a channel that places it" in caught.value.hint


def test_a_snapshot_that_the_bundle_does_not_pin_is_not_found(registry: MemoryRegistry) -> None:
    for bundle in by_both(released(registry, PLACE)):
        with pytest.raises(NotFoundError, match="snapshots/other"):
            bundle.collection("other")


def test_a_bundle_without_a_channel_has_no_places(registry: MemoryRegistry) -> None:
    bundle = released(registry, PLACE).client().resolve("acme/support-agent@3.0.0")

    with pytest.raises(NotPlacedError, match="a bundle without a channel has no places"):
        bundle.collection("kb")


@pytest.mark.parametrize(
    "places",
    [(replace(PLACE, snapshot=Digest.of(b"another")),), (PLACE, replace(PLACE, slot=Slot(Kind.SNAPSHOT, "more")))],
    ids=["of another snapshot", "of a slot that the bundle has not"],
)
def test_a_pointer_whose_places_are_not_the_bundles_is_refused(
    registry: MemoryRegistry, places: tuple[Place, ...]
) -> None:
    with pytest.raises(VerificationError, match="are not the bundle's snapshots"):
        released(registry, *places).client().resolve(PROD)
