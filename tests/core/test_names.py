"""Names, digests and references: one spelling each, parsed and printed as inverses."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regalia.core.digest import Digest
from regalia.core.errors import DigestError, InvalidError, InvalidNameError
from regalia.core.names import ApplicationName, ArtifactName, Kind, Slot, check_channel, check_namespace, check_segment
from regalia.core.references import ArtifactReference, BundleReference

RESERVED = {*Kind, *(kind.folder for kind in Kind), "configs", "codes"}
SEGMENTS = st.from_regex(r"[a-z0-9]+([._-][a-z0-9]+){0,3}", fullmatch=True).filter(lambda text: len(text) <= 32)
NAMESPACES = SEGMENTS.filter(lambda text: text not in RESERVED)
APPLICATIONS = st.builds(ApplicationName, NAMESPACES, SEGMENTS)
DIGESTS = st.binary(max_size=9).map(Digest.of)
VERSIONS = st.from_regex(r"(0|[1-9][0-9]?)\.[1-9]\.0(-rc\.[1-9])?", fullmatch=True)

NO_SEGMENT = [
    "",
    ".",
    "..",
    "a..b",
    "a/b",
    "/a",
    "a/",
    "a\\b",
    "A",
    "aB",
    "é",
    "e\u0301",
    "\uff41",
    "a b",
    " a",
    "a ",
    "a\n",
    "a\x00",
    "-a",
    "a-",
    "_a",
    "a_",
    ".a",
    "a.",
    "a--b",
    "a__b",
    "a.-b",
    "a:b",
    "a@b",
    "a%2fb",
    "a+b",
    "~",
    "$HOME",
    "a;b",
    "\u0661",
    "\u212a",
    "a\u200b",
    "a" * 65,
]
NO_DIGEST = [
    "",
    "sha256:",
    "0" * 64,
    "sha256:" + "0" * 63,
    "sha256:" + "0" * 65,
    "sha256:" + "A" * 64,
    "SHA256:" + "0" * 64,
    "sha512:" + "0" * 128,
    "sha256:../" + "0" * 61,
    "sha256:" + "0" * 64 + "\n",
    "sha256:" + "0" * 63 + "\n",
    "sha256:" + "0" * 63 + "\x00",
    " sha256:" + "0" * 64,
    "sha256:" + "\u0660" * 64,
    "sha256:sha256:" + "0" * 64,
    "sha256:" + "g" * 64,
    "sha256:0x" + "0" * 62,
    "md5:" + "0" * 32,
]


@given(SEGMENTS)
def test_a_segment_is_itself(text: str) -> None:
    assert check_segment(text, what="name") == check_channel(text) == text


@pytest.mark.parametrize("text", NO_SEGMENT, ids=repr)
def test_what_is_no_segment_is_refused_everywhere(text: str) -> None:
    for parse in (
        lambda: check_segment(text, what="name"),
        lambda: check_channel(text),
        lambda: ApplicationName("acme", text),
        lambda: ApplicationName(text, "agent"),
        lambda: ArtifactName("acme", Kind.PROMPT, text),
        lambda: Slot(Kind.PROMPT, text),
    ):
        with pytest.raises(InvalidNameError):
            parse()


@given(st.text(max_size=70))
def test_any_text_is_a_plain_segment_or_refused(text: str) -> None:
    try:
        check_segment(text, what="name")
    except InvalidNameError as error:
        assert error.message.isprintable()  # noqa: PT017 # the refusal is half of the law
    else:
        assert text.isascii()
        assert text == text.casefold()
        assert ".." not in text


@pytest.mark.parametrize("text", sorted(RESERVED))
def test_a_kind_is_no_namespace(text: str) -> None:
    with pytest.raises(InvalidNameError, match="kind"):
        check_namespace(text)


def test_lengths_are_capped() -> None:
    assert check_segment("a" * 64, what="name")
    assert check_channel("a" * 32)
    with pytest.raises(InvalidNameError):
        check_channel("a" * 33)


@given(APPLICATIONS)
def test_applications_parse_and_print(application: ApplicationName) -> None:
    assert ApplicationName.parse(str(application)) == application


@given(st.builds(Slot, st.sampled_from(Kind), SEGMENTS))
def test_slots_parse_and_print(slot: Slot) -> None:
    assert Slot.parse(str(slot)) == slot


@pytest.mark.parametrize(
    "text",
    [
        "prompts",
        "prompts/",
        "/a",
        "prompt/a",
        "prompts/a/b",
        "prompts/../models/a",
        "Prompts/a",
        "code\\a",
        "prompts/" + "a" * 57,
    ],
)
def test_what_is_no_slot_is_refused(text: str) -> None:
    with pytest.raises(InvalidNameError):
        Slot.parse(text)


def test_a_slot_has_64_characters_at_most() -> None:
    assert len(str(Slot.parse("prompts/" + "a" * 56))) == 64


@pytest.mark.parametrize("text", NO_DIGEST, ids=lambda text: repr(text)[:40])
def test_what_is_no_digest_is_refused(text: str) -> None:
    with pytest.raises(InvalidNameError):
        Digest.parse(text)


@given(st.binary())
def test_digests_parse_and_print(content: bytes) -> None:
    digest = Digest.of(content)

    assert Digest.parse(str(digest)) == digest
    assert digest.hex == hashlib.sha256(content).hexdigest()


@given(st.lists(st.binary(max_size=9), max_size=5))
def test_a_stream_has_the_digest_of_its_bytes(chunks: list[bytes]) -> None:
    whole = b"".join(chunks)

    assert Digest.of_chunks(chunks) == (Digest.of(whole), len(whole))


@given(st.lists(DIGESTS))
def test_digests_sort_as_their_texts(digests: list[Digest]) -> None:
    assert list(map(str, sorted(digests))) == sorted(map(str, digests))


def test_bytes_of_another_digest_are_refused_with_both() -> None:
    with pytest.raises(DigestError, match=f"{Digest.of(b'b').short}, expected {Digest.of(b'a').short}") as caught:
        Digest.of(b"a").check(b"b", what="the blob", step="bundle")

    assert caught.value.step == "bundle"


@given(APPLICATIONS, SEGMENTS, VERSIONS, DIGESTS)
def test_references_to_bundles_parse_and_print(
    app: ApplicationName, channel: str, version: str, digest: Digest
) -> None:
    for reference in (
        BundleReference(app, channel=channel),
        BundleReference(app, version=version),
        BundleReference(app, digest=digest),
    ):
        assert BundleReference.parse(str(reference)) == reference


@given(APPLICATIONS, SEGMENTS, VERSIONS, DIGESTS)
def test_inside_a_project_its_name_may_be_left_out(
    app: ApplicationName, channel: str, version: str, digest: Digest
) -> None:
    assert BundleReference.parse(f":{channel}", project=app) == BundleReference(app, channel=channel)
    assert BundleReference.parse(version, project=app) == BundleReference(app, version=version)
    assert BundleReference.parse(f"@{version}", project=app) == BundleReference(app, version=version)
    assert BundleReference.parse(str(digest), project=app) == BundleReference(app, digest=digest)


@pytest.mark.parametrize("text", [":prod", "2.3.1", "sha256:" + "0" * 64])
def test_a_short_reference_needs_a_project(text: str) -> None:
    with pytest.raises(InvalidNameError, match="no project"):
        BundleReference.parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":",
        "@",
        "acme",
        "acme/agent",
        "acme/agent:",
        "acme/agent@",
        "acme/agent:prod:prod",
        "acme/agent:Prod",
        "acme/agent@1.2",
        "acme/agent@v1.2.3",
        "acme/agent@^1.2",
        "acme/agent@latest",
        "acme/agent@sha256:0",
        "acme/agent@sha512:" + "0" * 128,
        "acme/agent/x:prod",
        "prompt/agent:prod",
        "../agent:prod",
        "acme/agent:../prod",
        "acme/agent:prod\n",
        "acme/agent@1.2.3\n",
        "a" * 600,
        "acme/agent@1.2.3@1.2.3",
        "acme/agent:prod@1.2.3",
        "acme/agent:prod@",
        "acme/agent:prod@sha256:0",
        "acme/agent:@sha256:" + "0" * 64,
        "http://acme/agent:prod",
    ],
    ids=lambda text: repr(text)[:40],
)
def test_what_is_no_reference_to_a_bundle_is_refused(text: str) -> None:
    with pytest.raises(InvalidError):
        BundleReference.parse(text, project=ApplicationName("acme", "agent"))


def test_a_pin_in_a_channel_names_both() -> None:
    pinned = BundleReference.parse(f":prod@{Digest.of(b'')}", project=ApplicationName("acme", "agent"))

    assert pinned == BundleReference(ApplicationName("acme", "agent"), channel="prod", digest=Digest.of(b""))
    assert (pinned.is_pinned, pinned.moves) == (True, False)
    assert BundleReference.parse(str(pinned)) == pinned


@given(NAMESPACES, st.sampled_from(Kind), SEGMENTS, VERSIONS | DIGESTS.map(str) | st.just("^2.3"))
def test_references_to_artifacts_parse_and_print(namespace: str, kind: Kind, name: str, selector: str) -> None:
    reference = ArtifactReference(ArtifactName(namespace, kind, name), selector)

    assert ArtifactReference.parse(str(reference)) == reference
    assert ArtifactReference.parse(f"{kind}/{name}@{selector}", namespace=namespace) == reference


@pytest.mark.parametrize(
    "text",
    [
        "",
        "@",
        "prompt/a",
        "prompt/a@",
        "a@1.2.3",
        "prompts/a@1.2.3",
        "acme/prompts/a@1.2.3",
        "acme/x/prompt/a@1.2.3",
        "acme/prompt/../a@1.2.3",
        "prompt/prompt/a@1.2.3",
        "a" * 600,
    ],
    ids=lambda text: repr(text)[:40],
)
def test_what_is_no_reference_to_an_artifact_is_refused(text: str) -> None:
    with pytest.raises(InvalidNameError):
        ArtifactReference.parse(text, namespace="acme")


@given(st.text(max_size=90))
def test_any_text_is_a_reference_or_refused(text: str) -> None:
    project = ApplicationName("acme", "agent")
    try:
        reference = BundleReference.parse(text, project=project)
    except InvalidError:
        return

    assert BundleReference.parse(str(reference)) == reference
