"""Kinds: configs read back from what they write, refuse what means nothing, and tell their changes."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regalia.core.diff import PinChange, SlotChange, apply, describe, diff, pins_of, sentences
from regalia.core.digest import Digest
from regalia.core.errors import DocumentError, InvalidError
from regalia.core.fields import Fields
from regalia.core.kinds import KINDS, Config, Content
from regalia.core.kinds.code import CodeConfig, GitPin, ImagePin
from regalia.core.kinds.config import TREE_TITLE, ConfigConfig
from regalia.core.kinds.model import ModelConfig
from regalia.core.kinds.prompt import Message, PromptConfig, Variable
from regalia.core.kinds.snapshot import DerivedFrom, Embedding, SnapshotConfig, VectorSpace
from regalia.core.names import Kind, Slot
from regalia.core.strict_json import JsonObject, parse_object, write
from regalia.core.values import replace

TEXTS = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=12)
SEGMENTS = st.from_regex(r"[a-z0-9]{1,8}", fullmatch=True)
VERSIONS = st.sampled_from(["1.0.0", "2.3.1-rc.1"])
OBJECTS: st.SearchStrategy[JsonObject] = st.dictionaries(TEXTS, st.integers(-9, 9) | TEXTS | st.booleans(), max_size=3)
DIGESTS = st.binary(max_size=4).map(Digest.of)
VARIABLES = st.lists(
    st.builds(Variable, TEXTS, st.booleans(), st.none() | TEXTS, st.none() | OBJECTS),
    max_size=3,
    unique_by=lambda v: v.name,
).map(tuple)
EXTRA = {
    "variables": VARIABLES,
    "response_format": st.none() | OBJECTS,
    "model": st.none() | OBJECTS,
    "metadata": st.none() | OBJECTS,
}
PROMPTS = st.builds(PromptConfig, SEGMENTS, VERSIONS, TEXTS, template=TEXTS, messages=st.just(()), **EXTRA)
CHATS = st.builds(
    PromptConfig,
    SEGMENTS,
    VERSIONS,
    TEXTS,
    template=st.none(),
    messages=st.lists(st.builds(Message, TEXTS, TEXTS), min_size=1, max_size=3).map(tuple),
    **EXTRA,
)
MODELS = st.builds(
    ModelConfig,
    SEGMENTS,
    VERSIONS,
    TEXTS,
    *[st.none() | TEXTS] * 3,
    parameters=st.none() | OBJECTS,
    retires_on=st.none() | TEXTS,
)
CONFIGS = st.builds(ConfigConfig, SEGMENTS, VERSIONS, st.none() | OBJECTS)
GIT = GitPin("https://git.example/acme/agent", "c0ffee00" * 5)
IMAGES = st.builds(ImagePin, DIGESTS.map("registry.example/agent@{}".format), st.lists(TEXTS, max_size=2).map(tuple))
CODES = st.builds(CodeConfig, SEGMENTS, VERSIONS, st.just(GIT), st.lists(IMAGES, max_size=2).map(tuple))
SNAPSHOTS = st.builds(
    SnapshotConfig,
    SEGMENTS,
    VERSIONS,
    st.integers(0, 10**9),
    DIGESTS,
    DIGESTS,
    st.lists(st.builds(VectorSpace, TEXTS, st.integers(1, 4096), TEXTS), max_size=2).map(tuple),
    st.none() | st.builds(Embedding, TEXTS, TEXTS, TEXTS),
    st.none() | TEXTS,
    st.none() | TEXTS,
    st.none() | st.builds(DerivedFrom, TEXTS, DIGESTS),
)
SLOTS = st.builds(Slot, st.sampled_from(Kind), SEGMENTS)
PINS = st.dictionaries(SLOTS, DIGESTS, max_size=5)


def read(config: Config, body: bytes) -> Config:
    return KINDS[config.kind].parse_config(Fields(parse_object(body, what="it", max_bytes=10**6), "it"))


def told(before: Config | None, after: Config | None, *, restoring: bool = False) -> str:
    kind = (after or before).kind  # type: ignore[union-attr] # one of them is given
    old, new = (None if config is None else Content(config, {}) for config in (before, after))
    return describe(Slot(kind, "it"), old, new, restoring=restoring).sentence


@given(PROMPTS | CHATS | MODELS | CONFIGS | CODES | SNAPSHOTS)
def test_a_config_reads_back_from_what_it_writes(config: Config) -> None:
    body = write(config.written())

    assert read(config, body) == config
    assert b":null" not in write({key: value for key, value in config.written().items() if not isinstance(value, dict)})


@given(PROMPTS | MODELS | CODES | SNAPSHOTS, st.data())
def test_a_config_with_a_field_of_another_type_is_read_or_refused(config: Config, data: st.DataObject) -> None:
    written = config.written()
    name = data.draw(st.sampled_from(sorted(written)))
    value = data.draw(st.sampled_from([None, True, 1, 1.5, "", "x", [], [1], {}, {"a": 1}]))

    try:
        again = read(config, write({**written, name: value}))  # type: ignore[dict-item] # JSON, if of another type
    except InvalidError as error:
        assert error.message  # noqa: PT017 # the refusal is half of the law
        return

    assert again.kind is config.kind


GOOD = PromptConfig("a", "1.0.0", "fstring", template="{x}", variables=(Variable("x"),)).written()


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "../a"},
        {"version": "1.0"},
        {"type": "poem"},
        {"type": "chat"},
        {"type": "chat", "messages": []},
        {"template": 1},
        {"variables": [{"name": "x"}]},
        {"variables": [{"name": "x", "required": 1}]},
        {"variables": [{"name": "x", "required": True}] * 2},
        {"variables": {}},
        {"metadata": []},
        {"template_format": "f" * 33},
    ],
    ids=str,
)
def test_a_prompt_that_means_nothing_is_refused(changes: JsonObject) -> None:
    with pytest.raises(InvalidError):
        PromptConfig.parse(Fields({**GOOD, **changes}, "it"))


def test_a_prompt_is_either_text_or_chat() -> None:
    for fields in ({}, {"template": "t", "messages": (Message("user", "m"),)}):
        with pytest.raises(DocumentError, match="either"):
            PromptConfig("a", "1.0.0", "none", **fields)  # type: ignore[arg-type] # the table is of mixed types


@pytest.mark.parametrize(
    "uri", ["https://user:pw@git.example/a", "https://token@git.example/a", "HTTPS://u@h/x", "ssh://git:pw@h/x"]
)
def test_a_code_pin_holds_no_credentials(uri: str) -> None:
    with pytest.raises(DocumentError, match="user or password") as caught:
        GitPin(uri, "0" * 40)

    assert "pw" not in str(caught.value)


@pytest.mark.parametrize("commit", ["", "main", "c0ffee", "0" * 39, "0" * 41, "A" * 40, "0" * 40 + "\n"])
def test_a_code_pin_is_a_whole_commit(commit: str) -> None:
    with pytest.raises(DocumentError, match="commit"):
        GitPin("https://git.example/a", commit)


@pytest.mark.parametrize("ref", ["a", "a:latest", "a@sha256:0", "a@", "a:1@sha512:" + "0" * 128])
def test_an_image_is_pinned_by_digest(ref: str) -> None:
    with pytest.raises(InvalidError):
        ImagePin(ref)


def test_a_snapshot_of_no_other_says_nothing_of_an_origin() -> None:
    assert "derived_from" not in SNAPSHOT.written()


def test_an_empty_code_pin_is_refused() -> None:
    with pytest.raises(DocumentError, match="neither"):
        CodeConfig("a", "1.0.0")


OLD_MODEL = ModelConfig("complex", "1.0.0", "gpt-3.5-turbo", "0125", provider="openai")
NEW_MODEL = ModelConfig("complex", "1.0.1", "gpt-4-turbo", "0125", provider="openai")
TEXT = PromptConfig("support", "1.0.0", "none", template="hello\nyou")
OTHER_GIT = replace(GIT, commit="0" * 40)
SNAPSHOT = SnapshotConfig("kb", "1.0.0", 1234, Digest.of(b""), Digest.of(b""), ())


@pytest.mark.parametrize(
    ("before", "after", "sentence"),
    [
        (None, TEXT, "Added prompts/it 1.0.0"),
        (TEXT, None, "Removed prompts/it 1.0.0"),
        (TEXT, replace(TEXT, template="hi\nyou"), "Updated support prompt template"),
        (TEXT, replace(TEXT, metadata={"a": 1}), "Updated support prompt: metadata"),
        (OLD_MODEL, NEW_MODEL, "Model upgrade: gpt-3.5-turbo → gpt-4-turbo (complex)"),
        (OLD_MODEL, replace(OLD_MODEL, revision="0613"), "Model upgrade: 0125 → 0613 (complex)"),
        (OLD_MODEL, replace(OLD_MODEL, parameters={"t": 1}), "Model settings: t (complex)"),
        (SNAPSHOT, replace(SNAPSHOT, count=5678), "Updated kb snapshot: 1,234 → 5,678 rows"),
        (
            CodeConfig("a", "1.0.0", GIT),
            CodeConfig("a", "1.0.1", OTHER_GIT),
            "Updated a code: c0ffee00c0ff → 000000000000",
        ),
    ],
)
def test_a_change_is_told_in_a_sentence(before: Config | None, after: Config | None, sentence: str) -> None:
    assert told(before, after) == sentence


def test_on_the_way_back_a_model_is_restored() -> None:
    assert told(NEW_MODEL, OLD_MODEL, restoring=True) == "Model restored: gpt-4-turbo → gpt-3.5-turbo (complex)"
    assert told(TEXT, replace(TEXT, template="x"), restoring=True) == "Updated support prompt template"


def test_a_prompts_lines_are_a_unified_diff() -> None:
    new = replace(TEXT, version="1.0.1", template="hi\nyou")

    change = describe(Slot(Kind.PROMPT, "it"), Content(TEXT, {}), Content(new, {}))

    assert change.lines == ("--- 1.0.0", "+++ 1.0.1", "@@ -1,2 +1,2 @@", "-hello", "+hi", " you")


def test_a_config_tells_its_keys() -> None:
    config = ConfigConfig("retrieval", "1.0.0")
    old = Content(config, {TREE_TITLE: json.dumps({"top": {"k": 3}, "gone": 1}).encode()})
    new = Content(config, {TREE_TITLE: json.dumps({"top": {"k": 5}, "new": [1]}).encode()})

    change = describe(Slot(Kind.CONFIG, "retrieval"), old, new)

    assert change.sentence == "Updated retrieval config: -gone, +new [1], top.k 3 → 5"


def test_kinds_are_never_compared_across() -> None:
    with pytest.raises(DocumentError, match="where a model was expected"):
        KINDS[Kind.MODEL].compare(Content(TEXT, {}), Content(NEW_MODEL, {}))


@given(PINS, PINS)
def test_applying_the_diff_gives_the_new_bundle(old: dict[Slot, Digest], new: dict[Slot, Digest]) -> None:
    assert apply(diff(old, new), to=old) == new


@given(PINS, PINS)
def test_the_diff_back_is_the_diff_mirrored(old: dict[Slot, Digest], new: dict[Slot, Digest]) -> None:
    mirrored = tuple(PinChange(change.slot, change.after, change.before) for change in diff(old, new))

    assert diff(new, old) == mirrored


@given(PINS)
def test_a_bundle_differs_from_itself_in_nothing(pins: dict[Slot, Digest]) -> None:
    assert diff(pins, pins) == ()
    assert pins_of(None) == {}


def test_a_record_tells_fifty_changes_and_counts_the_rest() -> None:
    changes = [SlotChange(Slot(Kind.PROMPT, "a"), str(number)) for number in range(53)]

    assert sentences(changes[:50]) == tuple(map(str, range(50)))
    assert sentences(changes)[-2:] == ("49", "and 3 more")
