"""Authors' files: what they become, what is wrong in them, and their bytes kept."""

import subprocess
from pathlib import Path

import pytest

from regalia import project, sources
from regalia.core.errors import SourceError
from regalia.core.kinds.code import CodeConfig
from regalia.core.kinds.config import ConfigConfig
from regalia.core.kinds.model import ModelConfig
from regalia.core.kinds.prompt import PromptConfig
from regalia.core.names import ApplicationName
from regalia.core.strict_json import JsonValue
from regalia.project import Entry
from regalia.sources import Draft, Inspection, Options


def inspect(folder: Path, slot: str, name: str | None, content: str | bytes = "", **options: JsonValue) -> Inspection:
    if name is not None:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return sources.inspect([Entry(slot, name, options)], folder=folder, options=Options())


def only(inspection: Inspection) -> Draft:
    assert inspection.errors == ()
    [draft] = inspection.drafts
    return draft


def prompt(inspection: Inspection) -> PromptConfig:
    config = only(inspection).config
    assert isinstance(config, PromptConfig)
    return config


def rules(inspection: Inspection) -> set[str]:
    return {finding.rule for finding in inspection.findings}


def test_a_yaml_prompt_keeps_the_authors_bytes(tmp_path: Path) -> None:
    body = b'version: "1.0.0"\r\nprompt_id: x\r\ntemplate: |\r\n  Hi {name}\xc3\xa9  \r\n'

    draft = only(inspect(tmp_path, "prompts/hi", "prompts/hi.yaml", body))

    assert draft.contents == {"hi.yaml": ("text/plain", body)}
    assert draft.has_version
    assert isinstance(draft.config, PromptConfig)
    assert draft.config.template == "Hi {name}é  \n"
    assert draft.config.metadata == {"prompt_id": "x"}


def test_variables_that_are_used_are_required(tmp_path: Path) -> None:
    config = prompt(inspect(tmp_path, "prompts/x", "x.yaml", 'template: "{b} {a} {b} {{literal}} {\\"json\\": 1}"'))

    assert [(one.name, one.required) for one in config.variables] == [("b", True), ("a", True)]


def test_a_chat_prompt_has_messages(tmp_path: Path) -> None:
    text = "messages:\n  - {role: system, content: Be kind.}\n  - {role: user, content: '{question}'}\n"

    config = prompt(inspect(tmp_path, "prompts/x", "x.yaml", text))

    assert [(one.role, one.content) for one in config.messages] == [("system", "Be kind."), ("user", "{question}")]


@pytest.mark.parametrize(
    ("name", "engine"), [("x.txt", "none"), ("x.md", "none"), ("x.j2", "jinja2"), ("x.jinja", "jinja2")]
)
def test_plain_files_take_their_engine_from_the_suffix(tmp_path: Path, name: str, engine: str) -> None:
    assert prompt(inspect(tmp_path, "prompts/x", name, "Hello {{ name }}\n")).template_format == engine


def test_declared_variables_make_plain_text_a_template(tmp_path: Path) -> None:
    config = prompt(inspect(tmp_path, "prompts/x", "x.md", "Hello {name}", variables=["name"]))

    assert (config.template_format, [one.name for one in config.variables]) == ("fstring", ["name"])


def test_markdown_may_have_front_matter(tmp_path: Path) -> None:
    draft = only(
        inspect(tmp_path, "prompts/x", "x.md", '---\nversion: "1.2.0"\nvariables: [name]\n---\nHello {name}\n')
    )

    assert isinstance(draft.config, PromptConfig)
    assert (draft.config.version, draft.config.template) == ("1.2.0", "Hello {name}\n")


ERRORS = {
    "version-is-a-float": ("prompts/x", "x.yaml", "version: 1.2\ntemplate: a", "file"),
    "version-is-no-semver": ("prompts/x", "x.yaml", 'version: "v1.2"\ntemplate: a', "file"),
    "no-template": ("prompts/x", "x.yaml", "prompt_id: x", "file"),
    "both": ("prompts/x", "x.yaml", "template: a\nmessages: [{role: user, content: a}]", "file"),
    "unknown-role": ("prompts/x", "x.yaml", "messages: [{role: root, content: a}]", "file"),
    "unknown-engine": ("prompts/x", "x.yaml", "template: a\ntemplate_format: php", "file"),
    "engine-of-later": ("prompts/x", "x.yaml", "template: a\ntemplate_format: mustache", "file"),
    "broken-jinja": ("prompts/x", "x.j2", "{% for x in %}", "file"),
    "jinja-include": ("prompts/x", "x.j2", "{% include '/etc/passwd' %}", "file"),
    "undeclared": ("prompts/x", "x.yaml", "template: '{a} {b}'\nvariables: [a]", "undeclared-variable"),
    "unused": ("prompts/x", "x.yaml", "template: '{a}'\nvariables: [a, b]", "unused-variable"),
    "bad-response-format": ("prompts/x", "x.yaml", "template: a\nresponse_format: {type: 12}", "file"),
    "unknown-suffix": ("prompts/x", "x.docx", "a", "file"),
    "floating": ("models", "m.yaml", "models: [{name: gpt-4o, use_case: a}]", "floating-model"),
    "floating-latest": ("models", "m.yaml", "models: [{name: a, version: a-latest, use_case: a}]", "floating-model"),
    "twice": (
        "models",
        "m.yaml",
        "models: [{name: a, version: '1', use_case: a}, {name: b, version: '1', use_case: a}]",
        "slot",
    ),
    "no-models": ("models", "m.yaml", "models: []", "file"),
    "aws-key": ("config/x", "x.yaml", "key: AKIA" + "Z7Q4" * 4, "secret"),
    "private-key": ("prompts/x", "x.txt", "-----BEGIN RSA " + "PRIVATE KEY-----", "secret"),
    "password": ("config/x", "x.yaml", "password: hunter2hunter2", "secret"),
    "bad-toml": ("config/x", "x.toml", "a = ", "file"),
    "duplicate-json": ("config/x", "x.json", '{"a": 1, "a": 2}', "file"),
}


@pytest.mark.parametrize("defect", ERRORS)
def test_what_is_wrong_stops_a_push(tmp_path: Path, defect: str) -> None:
    slot, name, content, rule = ERRORS[defect]

    inspection = inspect(tmp_path, slot, name, content)

    assert {finding.rule for finding in inspection.errors} == {rule}


def test_a_secrets_value_is_never_told(tmp_path: Path) -> None:
    inspection = inspect(tmp_path, "config/x", "x.yaml", "a: 1\npassword: hunter2hunter2\n")

    [finding] = inspection.errors
    assert finding.place == "x.yaml:line 2"
    assert "hunter2" not in str(finding)


@pytest.mark.parametrize("value", ["env:OPENAI_KEY", "${OPENAI_KEY}", "file:/run/secrets/key"])
def test_a_reference_to_a_secret_is_none(tmp_path: Path, value: str) -> None:
    assert inspect(tmp_path, "config/x", "x.yaml", f'api_key: "{value}"').errors == ()


def test_mixed_braces_are_a_warning(tmp_path: Path) -> None:
    inspection = inspect(tmp_path, "prompts/x", "x.yaml", 'template: "{a} {{b}}"')

    assert inspection.errors == ()


def test_unknown_keys_are_kept_and_told(tmp_path: Path) -> None:
    inspection = inspect(tmp_path, "prompts/x", "x.yaml", "template: a\ntemperature: 1")

    assert rules(inspection) == {"unknown-key"}
    assert inspection.errors == ()


def test_each_model_is_an_artifact_of_its_own_entry(tmp_path: Path) -> None:
    text = "models:\n- {name: a, version: a-1, use_case: one}\n- {name: b, version: b-1, use_case: two, note: kept}\n"

    drafts = inspect(tmp_path, "models", "m.yaml", text).drafts

    assert [str(draft.slot) for draft in drafts] == ["models/one", "models/two"]
    assert drafts[1].contents["two.json"][1] == b'{"name":"b","note":"kept","use_case":"two","version":"b-1"}'
    assert isinstance(drafts[0].config, ModelConfig)
    assert drafts[0].config.revision == "a-1"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.yaml", "top_k: 8\nday: 2026-01-01"),
        ("x.json", '{"day":"2026-01-01","top_k":8}'),
        ("x.toml", "top_k = 8\nday = 2026-01-01"),
    ],
)
def test_a_config_is_its_tree_in_every_format(tmp_path: Path, name: str, content: str) -> None:
    draft = only(inspect(tmp_path, "config/x", name, content))

    assert draft.contents["tree.json"] == ("application/json", b'{"day":"2026-01-01","top_k":8}')


def test_a_config_is_held_to_its_schema_without_showing_values(tmp_path: Path) -> None:
    (tmp_path / "s.json").write_text('{"properties": {"top_k": {"maximum": 5}}}')

    inspection = inspect(tmp_path, "config/x", "x.yaml", "top_k: 8888", schema="s.json")

    [finding] = inspection.errors
    assert finding.message == "$.top_k breaks the schema: maximum 5"


def test_the_schema_is_part_of_the_config(tmp_path: Path) -> None:
    (tmp_path / "s.json").write_text('{"type": "object"}')

    config = only(inspect(tmp_path, "config/x", "x.yaml", "a: 1", schema="s.json")).config

    assert isinstance(config, ConfigConfig)
    assert config.schema == {"type": "object"}


@pytest.mark.parametrize("schema", ["../s.json", "/etc/passwd", "missing.json"])
def test_a_schema_outside_of_the_project_is_not_read(tmp_path: Path, schema: str) -> None:
    assert inspect(tmp_path, "config/x", "x.yaml", "a: 1", schema=schema).errors != ()


def test_a_schema_that_refers_elsewhere_is_not_fetched(tmp_path: Path) -> None:
    (tmp_path / "s.json").write_text('{"$ref": "http://127.0.0.1:9/evil.json"}')

    [finding] = inspect(tmp_path, "config/x", "x.yaml", "a: 1", schema="s.json").errors

    assert "which is not in it" in finding.message


def git(folder: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=J", "-c", "user.email=j@example.com", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


def test_a_checkout_is_pinned_by_its_commit_without_credentials(tmp_path: Path) -> None:
    git(tmp_path, "init")
    git(tmp_path, "commit", "--allow-empty", "-m", "one")
    git(tmp_path, "remote", "add", "origin", "https://user:secret@example.com/agent.git")

    config = only(inspect(tmp_path, "code/agent", None, git=".")).config

    assert isinstance(config, CodeConfig)
    assert config.git is not None
    assert config.git.uri == "https://example.com/agent.git"


def test_a_dirty_tree_is_refused_unless_allowed(tmp_path: Path) -> None:
    git(tmp_path, "init")
    git(tmp_path, "commit", "--allow-empty", "-m", "one")
    (tmp_path / "new.py").write_text("x")
    entry = Entry("code/agent", None, {"git": "."})

    refused = inspect(tmp_path, "code/agent", None, git=".")
    allowed = sources.inspect([entry], folder=tmp_path, options=Options(allow_dirty=True))

    assert [finding.rule for finding in refused.errors] == ["dirty"]
    assert allowed.errors == ()


def test_a_project_file_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts/Hello.yaml").write_text("template: a")
    (tmp_path / "model_registry.yaml").write_text("models: []")
    found = project.recognise(tmp_path)
    name = ApplicationName.parse("acme/agent")
    (tmp_path / "regalia.yaml").write_text(project.write(name, "http://127.0.0.1:1", found))

    read = project.find(tmp_path / "prompts")

    assert (read.application, read.registry, read.entries) == (name, "http://127.0.0.1:1", found)
    assert [entry.slot for entry in found] == ["prompts/hello", "models"]


@pytest.mark.parametrize(
    "push", ["prompts/x: ../up.yaml", "prompts/X: x.yaml", "prompts/x: 12", "x/y: z.yaml", "prompts/x: {fil: x}"]
)
def test_a_wrong_line_of_the_project_file_is_named(tmp_path: Path, push: str) -> None:
    (tmp_path / "regalia.yaml").write_text(f"application: acme/agent\npush:\n  {push}\n")

    with pytest.raises(SourceError, match="line 3"):
        project.find(tmp_path)
