"""The commands against a real registry: answers on stdout, the rest on stderr, exits, next steps."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from regalia_cli.demo.stage import FILES
from tests.support.registries import Home, home

PROD = "acme/support-agent:prod"


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    with home(tmp_path_factory.mktemp("home"), files=FILES) as made:
        made.must("init", "acme/support-agent", "--registry", made.url)
        made.start()
        made.must("bundle", "create", "1.0.0")
        made.must("promote", "1.0.0", "--to", "prod")
        yield made


def edit(made: Home, version: str) -> None:
    path = made.project / "prompts/customer_support.yaml"
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text(f'version: "{version}"\n' + "".join(lines[1:]) + f"# {version}\n", encoding="utf-8")


def test_init_where_a_project_is_writes_nothing(released: Home) -> None:
    before = (released.project / "regalia.root.json").read_bytes()

    done = released.reg("init", "acme/other")

    assert (done.returncode, done.stdout) == (1, "")
    assert "is here already" in done.stderr
    assert (released.project / "regalia.root.json").read_bytes() == before


def test_a_second_project_joins_the_registry_of_this_machine(released: Home) -> None:
    other = released.folder / "other"
    other.mkdir(exist_ok=True)

    done = released.reg("init", "acme/other", cwd=other)

    assert done.returncode == 0, done.stderr
    assert "joined" in done.stderr
    assert (other / "regalia.root.json").read_bytes() == (released.project / "regalia.root.json").read_bytes()


def test_json_is_json_alone(released: Home) -> None:
    for command in (
        ("bundle", "list"),
        ("bundle", "show", "1.0.0"),
        ("channel", "list"),
        ("channel", "show", "prod"),
        ("history",),
        ("status",),
        ("resolve", ":prod"),
        ("token", "list"),
        ("trust", "show"),
        ("key", "list"),
        ("doctor",),
        ("lint",),
        ("push", "--dry-run"),
        ("diff", "1.0.0", ":prod"),
    ):
        assert json.loads(released.must(*command, "--json")) is not None, command


def test_promoting_what_is_there_is_unchanged(released: Home) -> None:
    assert "unchanged" in released.must("promote", "1.0.0", "--to", "prod")


def test_a_release_and_its_way_back(released: Home) -> None:
    edit(released, "2.4.0")
    released.must("bundle", "create", "1.1.0")
    released.must("promote", "1.1.0", "--to", "prod", "--reason", "CHG-7")

    restored = released.reg("restore", PROD, "--to", "previous", "--reason", "INC-42", "--yes")
    refused = released.reg("promote", "1.1.0", "--to", "prod")
    released.must("lift", "acme/support-agent@1.1.0", "--reason", "fixed")

    assert restored.returncode == 0, restored.stderr
    assert "names 1.0.0  moved" in restored.stdout
    assert refused.returncode == 1
    assert "is on hold: INC-42" in refused.stderr
    record = json.loads(released.must("history", PROD, "--limit", "1", "--json"))[0]
    assert (record["version"], record["move"], record["reason"], record["success"]) == (
        "1.0.0",
        "restore",
        "INC-42",
        True,
    )


def test_restore_without_a_terminal_wants_yes(released: Home) -> None:
    edit(released, "2.5.0")
    released.must("bundle", "create", "1.2.0")
    released.must("promote", "1.2.0", "--to", "dev")
    edit(released, "2.5.1")
    released.must("bundle", "create", "1.2.1")
    released.must("promote", "1.2.1", "--to", "dev")

    done = released.reg("restore", ":dev", "--to", "previous", "--reason", "INC-1")

    assert done.returncode == 2
    assert "--yes" in done.stderr


def test_a_channel_with_one_bundle_has_nothing_to_go_back_to(released: Home) -> None:
    released.must("promote", "1.0.0", "--to", "lonely")

    done = released.reg("restore", ":lonely", "--to", "previous", "--reason", "INC-1", "--yes")

    assert done.returncode == 1
    assert "lonely has named no other bundle" in done.stderr


def test_the_same_version_with_other_content_is_a_conflict_that_says_how_to_go_on(released: Home) -> None:
    path = released.project / "prompts/customer_support.yaml"
    kept = path.read_text(encoding="utf-8")
    released.must("push")
    path.write_text(kept + "# changed\n", encoding="utf-8")

    done = released.reg("push")
    bumped = released.reg("push", "--bump", "patch")
    path.write_text(kept, encoding="utf-8")

    assert done.returncode == 1
    assert "hint: set version:" in done.stderr
    assert bumped.returncode == 0, bumped.stderr


def test_a_secret_is_refused_with_its_place_and_not_its_value(released: Home) -> None:
    secret = "ghp_" + "a1B2" * 9
    path = released.project / "prompts/leaky.yaml"
    path.write_text(f'version: "1.0.0"\ntemplate: |\n  Use {secret}\n', encoding="utf-8")

    done = released.reg("push", "prompts/leaky.yaml")
    path.unlink()

    assert done.returncode == 1
    assert "prompts/leaky.yaml:line 3" in done.stderr
    assert secret not in done.stderr + done.stdout


def test_a_file_is_pushed_where_another_one_of_the_project_is_missing(released: Home) -> None:
    models = released.project / "model_registry.yaml"
    kept = models.read_bytes()
    models.unlink()

    one = released.reg("push", "prompts/customer_support.yaml")
    whole = released.reg("push")
    models.write_bytes(kept)

    assert one.returncode == 0, one.stderr
    assert whole.returncode == 1
    assert "model_registry.yaml" in whole.stderr
    assert "Traceback" not in whole.stderr


def test_resolve_writes_the_files_whole_and_never_over_others(released: Home, tmp_path: Path) -> None:
    released.must("resolve", "1.0.0", "--output", str(tmp_path / "out"))

    again = released.reg("resolve", "1.0.0", "--output", str(tmp_path / "out"))

    assert (tmp_path / "out/prompts/customer_support/customer_support.yaml").is_file()
    assert json.loads((tmp_path / "out/bundle.json").read_text())["version"] == "1.0.0"
    assert again.returncode == 1


def test_render_prints_the_prompt_alone(released: Home) -> None:
    out = released.must("render", "1.0.0", "customer_support", "--var", "context=C", "--var", "user_query={q}")

    assert out.endswith("C\nUser: {q}\n")


def test_an_export_verifies_elsewhere_and_comes_back_unchanged(released: Home, tmp_path: Path) -> None:
    for name in ("out.tar", "out"):
        released.must("export", "1.0.0", str(tmp_path / name))

        assert "unchanged" in released.must("import", str(tmp_path / name))


def test_keys_survive_a_backup(released: Home, tmp_path: Path) -> None:
    released.more["REGALIA_KEY_PASSPHRASE"] = "four words make one"
    released.must("key", "backup", str(tmp_path / "backup"))
    folder = next((released.folder / ".config/regalia/keys").iterdir())
    kept = {path.name: path.read_bytes() for path in folder.glob("*.pem")}
    shutil.rmtree(folder)

    released.must("key", "restore", str(tmp_path / "backup"))

    assert {path.name: path.read_bytes() for path in folder.glob("*.pem")} == kept
    assert b"PRIVATE KEY" in (tmp_path / "backup").read_bytes()
    assert all(body not in (tmp_path / "backup").read_bytes() for body in kept.values())


def test_a_token_reads_what_it_may_and_nothing_once_revoked(released: Home) -> None:
    made = json.loads(
        released.must("token", "create", "--name", "agents", "--right", "read", "--namespace", "acme", "--json")
    )
    released.more["REGALIA_TOKEN"] = made["token"]
    reads, promotes = released.reg("resolve", ":prod"), released.reg("hold", "1.0.0", "--reason", "x")
    del released.more["REGALIA_TOKEN"]
    released.must("token", "revoke", made["entry"]["id"])
    released.more["REGALIA_TOKEN"] = made["token"]
    revoked = released.reg("token", "list")
    del released.more["REGALIA_TOKEN"]

    assert reads.returncode == 0, reads.stderr
    assert promotes.returncode == 1
    assert "not promote" in promotes.stderr
    assert revoked.returncode == 1
    assert made["token"] not in released.must("token", "list")


@pytest.mark.parametrize("role", ["release", "channel", "root", "freshness", "log"])
def test_after_a_rotation_old_and_new_clients_verify_the_running_bundle(
    released: Home, tmp_path: Path, role: str
) -> None:
    released.must("resolve", ":prod")

    told = released.must("trust", "rotate", role)

    assert told.startswith("root v")
    assert json.loads(released.must("resolve", ":prod", "--json"))["provenance"] == "fresh"
    released.more["REGALIA_STATE"] = str(tmp_path / "new")
    assert json.loads(released.must("resolve", ":prod", "--json"))["provenance"] == "fresh"
    assert released.reg("bundle", "verify", "1.0.0").returncode == 0
    del released.more["REGALIA_STATE"]


def test_wrong_usage_exits_2(released: Home) -> None:
    assert released.reg("promote").returncode == 2
    assert released.reg("no-such-command").returncode == 2


def test_the_help_lists_every_command(released: Home) -> None:
    told = released.must("--help")

    assert all(name in told for name in ("init", "restore", "import", "doctor"))


def test_outside_of_a_project_the_next_step_is_named(released: Home, tmp_path: Path) -> None:
    done = released.reg("push", cwd=tmp_path)

    assert done.returncode == 1
    assert "reg init" in done.stderr


def test_after_a_stolen_key_the_channel_goes_on_with_what_is_signed_anew(tmp_path: Path) -> None:
    with home(tmp_path, files=FILES) as made:
        made.must("init", "acme/support-agent", "--registry", made.url)
        made.start()
        made.must("bundle", "create", "1.0.0")
        made.must("promote", "1.0.0", "--to", "prod")
        made.must("promote", "1.0.0", "--to", "abandoned")
        made.must("resolve", ":prod")

        stopped = made.reg("trust", "rotate", "channel", "--compromised")
        edit(made, "2.3.1")
        made.must("bundle", "create", "1.0.1")
        made.must("promote", "1.0.1", "--to", "prod", "--reason", "INC-9")
        followed = json.loads(made.must("resolve", ":prod", "--json"))
        held = made.reg("trust", "rotate", "release", "--compromised")
        edit(made, "2.3.2")
        made.must("bundle", "create", "1.0.2")
        made.must("promote", "1.0.2", "--to", "prod", "--reason", "INC-9")
        again = json.loads(made.must("resolve", ":prod", "--json"))
        for role in ("release", "channel", "root"):
            made.must("trust", "rotate", role)
        made.must("trust", "renew")
        later = json.loads(made.must("resolve", ":prod", "--json"))

    assert (later["version"], later["provenance"]) == ("1.0.2", "fresh")
    assert "stopped: acme/support-agent:prod" in stopped.stderr
    assert (followed["version"], followed["provenance"]) == ("1.0.1", "fresh")
    assert "on hold: sha256:" in held.stderr
    assert (again["version"], again["provenance"]) == ("1.0.2", "fresh")


def test_the_running_bundle_and_its_fallbacks_verify_after_a_rotation(tmp_path: Path) -> None:
    with home(tmp_path, files=FILES) as made:
        made.must("init", "acme/support-agent", "--registry", made.url)
        made.start()
        for number in range(4):
            edit(made, f"2.4.{number}")
            made.must("bundle", "create", f"1.0.{number}")
            made.must("promote", f"1.0.{number}", "--to", "prod")
        made.must("resolve", ":prod")
        fallbacks = json.loads(made.must("channel", "show", ":prod", "--json"))["fallbacks"]

        for role in ("release", "channel", "freshness", "root"):
            made.must("trust", "rotate", role)
            for state in ("", str(tmp_path / f"new-{role}")):
                made.more["REGALIA_STATE"] = state or str(tmp_path / "kept")
                for reference in (":prod", *(f"acme/support-agent@{digest}" for digest in fallbacks)):
                    made.must("bundle", "verify", reference)

    assert len(fallbacks) == 3


@pytest.mark.parametrize("command", [("load", "--target", "local"), ("verify",), ("show",), ("query", "--like", "1")])
def test_a_snapshots_name_keeps_its_namespace(released: Home, command: tuple[str, ...]) -> None:
    named = released.reg("snapshot", command[0], "other/snapshot/kb@1.0.0", *command[1:])
    newest = released.reg("snapshot", command[0], "other/snapshot/kb", *command[1:])

    assert (named.returncode, named.stdout, newest.returncode, newest.stdout) == (1, "", 1, "")
    assert '"other/snapshot/kb@1.0.0"' in named.stderr
    assert 'no snapshot "kb" in "other"' in newest.stderr


def test_lint_and_a_dry_run_leave_a_snapshot_to_the_push(released: Home) -> None:
    project = released.project / "regalia.yaml"
    kept = project.read_text(encoding="utf-8")
    project.write_text(kept + "  snapshots/kb: {target: local, collection: kb_working}\n", encoding="utf-8")

    linted = released.reg("lint")
    dry = released.reg("push", "--dry-run")
    project.write_text(kept, encoding="utf-8")

    assert (linted.returncode, linted.stderr) == (0, "")
    assert (dry.returncode, "snapshot" in dry.stdout) == (0, False)
    assert "snapshots/kb: whether its collection changed" in dry.stderr
