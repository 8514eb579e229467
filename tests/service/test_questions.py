"""What people ask of snapshots and collections, from end to end: `reg`, the service, its worker, PostgreSQL."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from regalia_cli.demo.stage import FILES
from tests.service.test_snapshots import TABLE, fill, local_of, snapshot
from tests.support.registries import Home, home

CHANGE = """
UPDATE kb SET body = 'changed' WHERE id <= 50; DELETE FROM kb WHERE id = 77;
INSERT INTO kb SELECT n, 'later ' || n, ARRAY[n, 1, 0, -n]::vector FROM generate_series(6001, 6003) n;
"""


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Home]:
    with home(tmp_path, files=FILES) as made:
        made.must("init", "acme/support-agent", "--registry", made.url)
        made.start()
        fill(made, TABLE)
        yield made
        made.stop()
        assert "Traceback" not in (made.folder / "registry.log").read_text()
    shutil.rmtree(local_of(made).folder, ignore_errors=True)


def reader(made: Home) -> None:
    made.more["REGALIA_TOKEN"] = made.must(
        "token", "create", "--name", "reader", "--right", "read", "--namespace", "acme"
    ).strip()


def test_a_snapshot_is_shown_with_what_it_is_made_of(served: Home) -> None:
    snapshot(served, "--embedder", "local/minilm@6")

    told = served.must("snapshot", "show", "kb")
    shown = json.loads(served.must("snapshot", "show", "kb@1.0.0", "--json"))

    for word in ("5,000 rows", "postgresql, key id bigint", "vector embedding: 4 dimensions", "body text"):
        assert word in told
    assert "embedder: local/minilm@6" in told
    assert "consistency: point-in-time" in told
    assert (shown["count"], [one["live"] for one in shown["segments"]]) == (5000, [5000])
    assert shown["bytes"] > sum(one["bytes"] for one in shown["segments"]) > 10_000
    assert served.reg("snapshot", "show", "absent").returncode == 1
    assert "reg snapshot list" in served.reg("snapshot", "show", "kb@9.9.9").stderr + "reg snapshot list"


def test_the_snapshots_of_the_namespace_are_listed_by_their_newest(served: Home) -> None:
    snapshot(served)
    snapshot(served, "--name", "other")
    fill(served, CHANGE)
    snapshot(served)

    listed = json.loads(served.must("snapshot", "list", "--json"))

    assert [(one["name"], one["version"]) for one in listed] == [("kb", "1.0.1"), ("other", "1.0.0")]
    assert "1.0.1" in served.must("snapshot", "list")


def test_two_snapshots_are_compared_by_their_rows_by_whoever_may_read(served: Home) -> None:
    snapshot(served)
    fill(served, CHANGE)
    snapshot(served)
    reader(served)

    told = served.must("snapshot", "diff", "kb@1.0.0", "kb", "--rows")
    counted = json.loads(served.must("snapshot", "diff", "kb@1.0.0", "kb@1.0.1", "--json"))
    backwards = json.loads(served.must("snapshot", "diff", "kb@1.0.1", "kb@1.0.0", "--json"))

    assert "+3 -1 ~50 rows" in told
    for line in ("  + 6001", "  - 77", "  ~ 50"):
        assert line in told.splitlines()
    assert {name: counted[name] for name in ("added", "removed", "changed", "unchanged", "same_schema")} == {
        "added": 3,
        "removed": 1,
        "changed": 50,
        "unchanged": 4949,
        "same_schema": True,
    }
    assert (backwards["added"], backwards["removed"], backwards["changed"]) == (1, 3, 50)
    assert served.reg("snapshot", "diff", "kb@1.0.0", "kb@9.9.9").returncode == 1
    assert json.loads(served.must("operation", "list", "--json"))[0]["outcome"] is None


def test_all_keys_that_differ_come_as_lines_where_a_page_is_too_short(served: Home) -> None:
    snapshot(served)
    fill(served, "UPDATE kb SET body = 'changed' WHERE id <= 2500")
    snapshot(served)

    told = served.reg("snapshot", "diff", "kb@1.0.0", "kb@1.0.1", "--rows")
    lines = served.must("snapshot", "diff", "kb@1.0.0", "kb@1.0.1", "--rows", "--json").splitlines()

    assert "and 1,500 more" in told.stderr
    assert len(told.stdout.splitlines()) == 1002
    assert sorted(int(json.loads(line)["key"]) for line in lines) == list(range(1, 2501))
    assert {json.loads(line)["change"] for line in lines} == {"~"}


def test_a_snapshot_answers_a_question_as_the_collection_did_when_it_was_taken(served: Home) -> None:
    snapshot(served)
    question = served.project / "question.json"
    question.write_text("[100.4, 1, 0, -100.4]")
    live = json.loads(
        served.must("collection", "search", "local", "public.kb", "--vector", "question.json", "--limit", "3", "--json")
    )
    fill(served, "DELETE FROM kb WHERE id = 100")
    reader(served)

    stored = json.loads(served.must("snapshot", "query", "kb", "--vector", "question.json", "--limit", "3", "--json"))
    piped = served.reg("snapshot", "query", "kb@1.0.0", "--vector", "-", "--limit", "1", given=question.read_text())

    assert [one["key"] for one in stored["hits"]] == ["100", "101", "99"]
    assert [one["key"] for one in live["hits"]] == ["100", "101", "99"]
    assert stored["hits"][0]["distance"] == pytest.approx(live["hits"][0]["distance"], rel=1e-4)
    assert stored["hits"][0]["properties"] == live["hits"][0]["properties"] == {"body": "passage 100"}
    assert "passage 100" in piped.stdout
    refused = served.reg("collection", "search", "local", "public.kb", "--vector", "question.json")
    assert "not publish" in refused.stderr


def test_what_is_like_a_row_is_found_without_the_row_itself(served: Home) -> None:
    snapshot(served)

    stored = json.loads(served.must("snapshot", "query", "kb", "--like", "500", "--limit", "2", "--json"))
    live = json.loads(served.must("collection", "search", "local", "kb", "--like", "500", "--limit", "2", "--json"))

    assert [one["key"] for one in stored["hits"]] == [one["key"] for one in live["hits"]] == ["499", "501"]


@pytest.mark.parametrize(
    ("question", "told"),
    [
        (("--like", "7000"), "no row with the key '7000' has a vector \"embedding\""),
        (("--like", "seven"), "its keys are integer"),
        (("--like", "1", "--space", "title"), 'there is no vector "title"'),
        (("--vector", "short.json"), '2 dimensions, "embedding" has 4'),
        (("--vector", "absent.json"), "No such file"),
        (("--vector", "text.json"), "no array of numbers"),
        (("--vector", "huge.json"), "a float32 can't hold"),
        ((), "say what to look for"),
        (("--like", "1", "--limit", "201"), "1<=x<=200"),
    ],
)
def test_a_question_that_can_not_be_answered_says_why(asked: Home, question: tuple[str, ...], told: str) -> None:
    for command in (("snapshot", "query", "kb"), ("collection", "search", "local", "public.kb")):
        refused = asked.reg(*command, *question)

        assert refused.returncode in {1, 2}
        assert told in refused.stderr


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    with home(tmp_path_factory.mktemp("asked"), files=FILES) as made:
        made.must("init", "acme/support-agent", "--registry", made.url)
        made.start()
        fill(made, TABLE)
        snapshot(made)
        for name, body in (("short", "[1, 2]"), ("text", '["a"]'), ("huge", "[1e39, 0, 0, 0]")):
            (made.project / f"{name}.json").write_text(body)
        yield made
        made.stop()
    shutil.rmtree(local_of(made).folder, ignore_errors=True)


def test_only_a_collection_that_a_load_of_this_namespace_made_is_retired(served: Home) -> None:
    snapshot(served)
    loaded = json.loads(served.must("snapshot", "load", "kb@1.0.0", "--target", "local", "--json"))
    ours = str(loaded["collection"])
    fill(served, "CREATE SCHEMA theirs; CREATE TABLE theirs.kb (LIKE kb INCLUDING ALL)")
    fill(served, "COMMENT ON SCHEMA theirs IS 'regalia: 01900000-0000-7000-8000-000000000000'")

    asked_first = served.reg("collection", "retire", "local", ours, given="n\n")
    refusals = [
        served.reg("collection", "retire", "local", name, "--yes") for name in ("public.kb", "theirs", "absent")
    ]
    done = json.loads(served.must("collection", "retire", "local", f"{ours}.kb", "--yes", "--json"))

    assert asked_first.returncode == 1
    assert [refused.returncode for refused in refusals] == [1, 1, 1]
    for refused, told in zip(refusals, ("not made by this registry", "by no operation", "no collection"), strict=True):
        assert told in refused.stderr
    assert done == {"target": "local", "collection": ours, "retired": True}
    with psycopg.connect(local_of(served).url) as connection:
        left = connection.execute(
            "SELECT nspname FROM pg_namespace WHERE nspname IN (%s, 'theirs')", (ours,)
        ).fetchall()
    assert left == [("theirs",)]
    assert served.reg("collection", "retire", "local", ours, "--yes").returncode == 1


def test_a_reader_ends_what_it_asked_for_and_nothing_else(served: Home) -> None:
    served.stop()
    served.start()
    asked_by_admin = served.must("snapshot", "create", "local", "public.kb", "--detach").strip()
    reader(served)

    refused = served.reg("operation", "cancel", asked_by_admin)

    assert refused.returncode == 1
    assert "not publish" in refused.stderr or "is over" in refused.stderr
