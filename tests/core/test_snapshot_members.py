"""A snapshot as a member of a bundle: what its descriptor tells of it, and which embedder it is bound to."""

import json

import pytest

from regalia.core import oci
from regalia.core.bundle import BundleIndex, Member
from regalia.core.digest import Digest
from regalia.core.embedders import check_embedders
from regalia.core.errors import ConflictError, DocumentError
from regalia.core.kinds import Config
from regalia.core.kinds.model import ModelConfig
from regalia.core.kinds.snapshot import Embedding, SnapshotConfig, VectorSpace
from regalia.core.manifest import Artifact
from regalia.core.names import ApplicationName, Kind, Slot
from regalia.core.values import replace

SLOT = Slot(Kind.SNAPSHOT, "kb")
KB = SnapshotConfig(
    "kb",
    "1.0.0",
    1234,
    Digest.of(b"rows"),
    Digest.of(b"schema"),
    (VectorSpace("body", 384, "cosine"),),
    Embedding("openai", "embed-3", "1"),
)
MODEL = ModelConfig("embedder", "1.0.0", "embed-3", revision="1", provider="openai")


def member(config: Config) -> Member:
    return Member.of(SLOT, Artifact.build(config, {}))


def test_the_descriptor_tells_what_an_agent_needs_of_a_snapshot() -> None:
    index = BundleIndex.build(ApplicationName("acme", "agent"), "1.0.0", [member(KB)])

    [found] = BundleIndex.parse(index.body).members

    told = {name: text for name, text in found.descriptor.annotations.items() if name != oci.SLOT}
    assert told == {
        "dev.regalia.snapshot.content_root": str(Digest.of(b"rows")),
        "dev.regalia.snapshot.count": "1234",
        "dev.regalia.snapshot.vectors": '[{"dims":384,"metric":"cosine","name":"body"}]',
        "dev.regalia.snapshot.embedding": '{"model":"embed-3","provider":"openai","revision":"1"}',
    }
    found.check_told(KB)


def test_what_no_annotation_can_hold_is_left_out() -> None:
    many = tuple(VectorSpace(f"{'v' * 200}{number:02}", 384, "cosine") for number in range(64))

    told = member(replace(KB, vectors=many, embedding=None)).descriptor.annotations

    assert {name.rpartition(".")[2] for name in told} == {"slot", "content_root", "count"}


@pytest.mark.parametrize(
    "other",
    [
        replace(KB, count=1235),
        replace(KB, content_root=Digest.of(b"others")),
        replace(KB, vectors=(VectorSpace("body", 768, "cosine"),)),
        replace(KB, embedding=Embedding("openai", "embed-3", "2")),
    ],
    ids=["count", "content_root", "vectors", "embedding"],
)
def test_a_descriptor_that_tells_of_another_snapshot_is_refused(other: SnapshotConfig) -> None:
    with pytest.raises(DocumentError, match=r"tells dev\.regalia\.snapshot\."):
        member(KB).check_told(other)


def test_a_descriptor_of_an_older_bundle_tells_nothing_and_is_no_lie() -> None:
    told = member(KB)
    silent = replace(told, descriptor=replace(told.descriptor, annotations={oci.SLOT: str(SLOT)}))

    silent.check_told(replace(KB, count=1))
    assert json.dumps(silent.descriptor.written()).count("dev.regalia") == 1


def test_a_model_tells_nothing() -> None:
    pinned = Member.of(Slot(Kind.MODEL, "embedder"), Artifact.build(MODEL, {}))

    assert pinned.descriptor.annotations == {oci.SLOT: "models/embedder"}


def test_an_embedder_that_makes_the_snapshots_dimensions_is_taken() -> None:
    check_embedders([KB, MODEL])
    check_embedders([KB, replace(MODEL, parameters={"dimensions": 384, "user": "x"})])
    check_embedders([replace(KB, embedding=None), replace(MODEL, parameters={"dimensions": 1})])


def test_an_embedder_that_makes_other_dimensions_is_refused_with_both_sides() -> None:
    with pytest.raises(ConflictError, match=r'"embedder" makes 256 dimensions; the vectors of "kb" have body: 384'):
        check_embedders([KB, replace(MODEL, parameters={"dimensions": 256})])


def test_an_embedder_that_is_not_pinned_is_refused_with_both_sides() -> None:
    with pytest.raises(
        ConflictError, match=r"embedded by openai/embed-3@1; the bundle pins embedder: openai/embed-3@2"
    ):
        check_embedders([KB, replace(MODEL, revision="2")])
