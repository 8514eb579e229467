"""Manifests and bundles: exact bytes in, values out, and nothing that could be read as another document."""

import json
from collections.abc import Callable
from random import Random
from typing import TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regalia.core import oci
from regalia.core.bundle import BUNDLE_TYPE, MAX_INDEX, BundleIndex, Member
from regalia.core.digest import Digest
from regalia.core.errors import DocumentError, InvalidError, InvalidNameError, TooLargeError
from regalia.core.kinds import KINDS
from regalia.core.kinds.model import ModelConfig
from regalia.core.kinds.prompt import PromptConfig, Variable
from regalia.core.manifest import Artifact, Manifest, fingerprint, write_config
from regalia.core.names import ApplicationName, Kind, Slot
from regalia.core.strict_json import JsonObject, write

Change: TypeAlias = Callable[[JsonObject], object]

AGENT = ApplicationName("acme", "agent")
TEXT = b"version: '2.3.1'\r\n"
SEGMENTS = st.from_regex(r"[a-z0-9]{1,8}", fullmatch=True)


def prompt(name: str = "greeting", version: str = "2.3.1") -> PromptConfig:
    return PromptConfig(name, version, "fstring", template="Hello {name}", variables=(Variable("name"),))


ARTIFACT = Artifact.build(prompt(), {"greeting.yaml": ("text/plain", TEXT)})
MODEL = Artifact.build(ModelConfig("gpt", "1.0.0", "gpt-4"), {"gpt.json": ("application/json", b"{}")})
INDEX = BundleIndex.build(
    AGENT,
    "2.3.1",
    [Member.of(Slot(Kind.PROMPT, "greeting"), ARTIFACT), Member.of(Slot(Kind.MODEL, "gpt"), MODEL)],
)


def changed(body: bytes, change: Change) -> bytes:
    document: JsonObject = json.loads(body)
    change(document)
    return write(document)


def put(*path: str | int, value: object) -> Change:
    def change(document: JsonObject) -> None:
        place: object = document
        for step in path[:-1]:
            place = place[step]  # type: ignore[index] # paths of these tests are right
        place[path[-1]] = value  # type: ignore[index] # paths of these tests are right

    return change


def drop(*path: str | int) -> Change:
    def change(document: JsonObject) -> None:
        place: object = document
        for step in path[:-1]:
            place = place[step]  # type: ignore[index] # paths of these tests are right
        del place[path[-1]]  # type: ignore[attr-defined] # paths of these tests are right

    return change


def test_the_manifest_of_an_artifact_is_these_bytes() -> None:
    config = Digest.of(write_config(prompt()))

    assert (
        ARTIFACT.manifest.body
        == (
            '{"artifactType":"application/vnd.regalia.prompt.v1+json",'
            f'"config":{{"digest":"{config}","mediaType":"application/vnd.regalia.prompt.config.v1+json",'
            f'"size":{len(write_config(prompt()))}}},'
            '"layers":[{"annotations":{"org.opencontainers.image.title":"greeting.yaml"},'
            f'"digest":"{Digest.of(TEXT)}","mediaType":"text/plain","size":{len(TEXT)}}}],'
            '"mediaType":"application/vnd.oci.image.manifest.v1+json","schemaVersion":2}'
        ).encode()
    )


@given(st.dictionaries(SEGMENTS, st.binary(max_size=9), max_size=3))
def test_artifacts_read_back_from_their_bytes(files: dict[str, bytes]) -> None:
    built = Artifact.build(prompt(), {name: ("text/plain", content) for name, content in files.items()})

    read = Artifact.of(Manifest.parse(built.manifest.body), built.blobs)

    assert read == built
    assert {name: read.content.files[name] for name in files} == files


def test_an_artifact_without_content_holds_the_empty_blob() -> None:
    artifact = Artifact.build(prompt(), {})

    assert [layer.media_type for layer in artifact.manifest.layers] == [oci.EMPTY_TYPE]
    assert artifact.blobs[artifact.manifest.layers[0].digest] == b"{}"


def test_a_fingerprint_sees_content_and_no_version() -> None:
    def of(artifact: Artifact) -> Digest:
        return fingerprint(artifact.manifest, artifact.config.written())

    layers = {"greeting.yaml": ("text/plain", TEXT)}

    assert of(Artifact.build(prompt(version="9.9.9"), layers)) == of(ARTIFACT)
    assert of(Artifact.build(prompt("other"), layers)) != of(ARTIFACT)
    assert of(Artifact.build(prompt(), {"greeting.yaml": ("text/plain", TEXT + b" ")})) != of(ARTIFACT)


def test_a_field_of_a_later_edition_counts_in_a_fingerprint() -> None:
    later: JsonObject = {**ARTIFACT.config.written(), "later": 1}

    assert fingerprint(ARTIFACT.manifest, later) != fingerprint(ARTIFACT.manifest, ARTIFACT.config.written())


DESCRIPTORS: dict[str, Change] = {
    "urls": put("layers", 0, "urls", value=["https://elsewhere.example/blob"]),
    "data": put("layers", 0, "data", value="e30="),
    "subject in a descriptor": put("layers", 0, "subject", value={}),
    "negative size": put("layers", 0, "size", value=-1),
    "size true": put("layers", 0, "size", value=True),
    "size a text": put("layers", 0, "size", value="18"),
    "size 18.0": put("layers", 0, "size", value=18.0),
    "no size": drop("layers", 0, "size"),
    "digest in upper case": put("layers", 0, "digest", value="sha256:" + "A" * 64),
    "digest sha512": put("layers", 0, "digest", value="sha512:" + "0" * 128),
    "no digest": drop("layers", 0, "digest"),
    "no media type of a layer": drop("layers", 0, "mediaType"),
    "annotation a number": put("layers", 0, "annotations", oci.TITLE, value=1),
    "annotations a list": put("layers", 0, "annotations", value=[]),
}
MANIFESTS: dict[str, Change] = DESCRIPTORS | {
    "no title": drop("layers", 0, "annotations"),
    "schema version 1": put("schemaVersion", value=1),
    "schema version true": put("schemaVersion", value=True),
    "no schema version": drop("schemaVersion"),
    "media type of an index": put("mediaType", value=oci.INDEX_TYPE),
    "no media type": drop("mediaType"),
    "an index too": put("manifests", value=[]),
    "subject": put("subject", value={}),
    "unknown kind": put("artifactType", value="application/vnd.regalia.spell.v1+json"),
    "kind of a bundle": put("artifactType", value=BUNDLE_TYPE),
    "no kind": drop("artifactType"),
    "config of another kind": put("config", "mediaType", value=KINDS[Kind.MODEL].config_type),
    "no config": drop("config"),
    "config with urls": put("config", "urls", value=[]),
    "no layers": drop("layers"),
    "layers an object": put("layers", value={}),
    "layer a text": put("layers", 0, value="layer"),
}
TITLES = [
    "",
    ".",
    "..",
    ".hidden",
    "a/b",
    "/etc/passwd",
    "..\\x",
    "a\\b",
    "a\x01",
    "a\n",
    "C:",
    "a b",
    "é",
    "-rf",
    "a" * 129,
]


@pytest.mark.parametrize("name", MANIFESTS)
def test_a_broken_manifest_is_refused(name: str) -> None:
    with pytest.raises((DocumentError, InvalidNameError)):
        Manifest.parse(changed(ARTIFACT.manifest.body, MANIFESTS[name]))


@pytest.mark.parametrize("title", TITLES, ids=repr)
def test_a_title_that_could_leave_its_folder_is_refused(title: str) -> None:
    with pytest.raises(DocumentError, match="title"):
        Manifest.parse(changed(ARTIFACT.manifest.body, put("layers", 0, "annotations", oci.TITLE, value=title)))
    with pytest.raises(InvalidNameError):
        Artifact.build(prompt(), {title: ("text/plain", b"")})


def test_two_titles_that_collide_on_some_systems_are_refused() -> None:
    with pytest.raises(DocumentError, match="same title"):
        Artifact.build(prompt(), {"a.yaml": ("text/plain", b"1"), "A.yaml": ("text/plain", b"2")})


def test_unknown_fields_are_ignored_and_keep_their_bytes() -> None:
    body = changed(ARTIFACT.manifest.body, put("later", value={"any": 1}))

    parsed = Manifest.parse(body)

    assert (parsed.body, parsed.layers) == (body, ARTIFACT.manifest.layers)
    assert parsed.digest == Digest.of(body)


def test_an_empty_bundle_is_refused() -> None:
    with pytest.raises(DocumentError, match="no member"):
        BundleIndex.build(AGENT, "1.0.0", [])


@given(st.sets(SEGMENTS, min_size=1, max_size=4), st.randoms(use_true_random=False))
def test_members_in_any_order_make_one_bundle(names: set[str], shuffled: Random) -> None:
    members = [Member.of(Slot(Kind.PROMPT, name), ARTIFACT) for name in sorted(names)]
    mixed = shuffled.sample(members, len(members))

    index = BundleIndex.build(AGENT, "1.0.0", mixed)

    assert index == BundleIndex.build(AGENT, "1.0.0", members) == BundleIndex.parse(index.body)
    assert [index.member(member.slot) for member in members] == members


BUNDLES: dict[str, Change] = {
    "nested index": put("manifests", 0, "mediaType", value=oci.INDEX_TYPE),
    "members unsorted": lambda document: document["manifests"].reverse(),  # type: ignore[union-attr] # it is a list
    "slot twice": lambda document: document["manifests"].insert(0, document["manifests"][0]),  # type: ignore[union-attr, index] # it is a list
    "prompt in a model's slot": put("manifests", 0, "artifactType", value=KINDS[Kind.PROMPT].artifact_type),
    "model in a prompt's slot": put("manifests", 0, "annotations", oci.SLOT, value="prompts/a"),
    "no kind of a member": drop("manifests", 0, "artifactType"),
    "no slot": drop("manifests", 0, "annotations"),
    "slot with a path": put("manifests", 0, "annotations", oci.SLOT, value="models/../gpt"),
    "slot in upper case": put("manifests", 0, "annotations", oci.SLOT, value="models/GPT"),
    "platform that a puller resolves": put("manifests", 0, "platform", "os", value="linux"),
    "platform with more": put("manifests", 0, "platform", "variant", value="v8"),
    "no platform": drop("manifests", 0, "platform"),
    "urls": put("manifests", 0, "urls", value=[]),
    "data": put("manifests", 0, "data", value=""),
    "size negative": put("manifests", 0, "size", value=-1),
    "no members field": drop("manifests"),
    "a manifest too": put("layers", value=[]),
    "a config too": put("config", value={}),
    "subject": put("subject", value={}),
    "media type of a manifest": put("mediaType", value=oci.MANIFEST_TYPE),
    "another artifact type": put("artifactType", value=KINDS[Kind.PROMPT].artifact_type),
    "no artifact type": drop("artifactType"),
    "schema version 2.0": put("schemaVersion", value=2.0),
    "no application": drop("annotations", oci.TITLE),
    "application that is none": put("annotations", oci.TITLE, value="agent"),
    "version that is none": put("annotations", oci.VERSION, value="2.3"),
    "no version": drop("annotations", oci.VERSION),
}


@pytest.mark.parametrize("name", BUNDLES)
def test_a_broken_bundle_is_refused(name: str) -> None:
    with pytest.raises(InvalidError):
        BundleIndex.parse(changed(INDEX.body, BUNDLES[name]))


def test_neither_document_reads_as_the_other() -> None:
    with pytest.raises(DocumentError):
        Manifest.parse(INDEX.body)
    with pytest.raises(DocumentError):
        BundleIndex.parse(ARTIFACT.manifest.body)


def test_more_than_a_thousand_members_are_refused() -> None:
    members = [Member.of(Slot(Kind.PROMPT, f"p{number:04}"), ARTIFACT) for number in range(1001)]

    assert len(BundleIndex.build(AGENT, "1.0.0", members[:1000]).members) == 1000
    with pytest.raises(TooLargeError):
        BundleIndex.build(AGENT, "1.0.0", members)


def test_an_index_over_its_cap_is_refused_unread() -> None:
    with pytest.raises(TooLargeError):
        BundleIndex.parse(INDEX.body.ljust(MAX_INDEX + 1))


def test_a_member_is_of_its_slots_kind() -> None:
    with pytest.raises(DocumentError, match="can't hold a prompt"):
        Member.of(Slot(Kind.MODEL, "gpt"), ARTIFACT)


def test_a_member_refuses_another_manifest() -> None:
    [model, _] = INDEX.members

    model.check(MODEL.manifest)
    with pytest.raises(DocumentError, match="another manifest"):
        model.check(ARTIFACT.manifest)


@given(st.binary(max_size=40))
def test_any_bytes_are_refused_by_both(body: bytes) -> None:
    with pytest.raises(InvalidError):
        Manifest.parse(body)
    with pytest.raises(InvalidError):
        BundleIndex.parse(body)
