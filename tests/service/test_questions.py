"""What people ask of snapshots and collections, from end to end: `reg`, the service, its worker, PostgreSQL."""

import json
import shutil
from collections.abc import Iterator

import psycopg
import pytest

from regalia import publishing
from regalia.client import Client
from regalia.core.bundle import BundleIndex, Member
from regalia.core.errors import DocumentError
from regalia.core.names import ApplicationName, Kind, Slot
from regalia.core.references import ArtifactReference
from regalia.core.values import replace
from regalia_cli.demo.stage import FILES
from tests.service.test_snapshots import TABLE, fill, local_of, snapshot
from tests.support.registries import Home, home

CHANGE = """
UPDATE kb SET body = 'changed' WHERE id <= 50; DELETE FROM kb WHERE id = 77;
INSERT INTO kb SELECT n, 'later ' || n, ARRAY[n, 1, 0, -n]::vector FROM generate_series(6001, 6003) n;
"""


QUESTIONS = {
    "near": "[100.4, 1, 0, -100.4]",
    "ten": "[10, 1, 0, -10]",
    "short": "[1, 2]",
    "text": '["a"]',
    "huge": "[1e39, 0, 0, 0]",
}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """Serve three snapshots: `kb` in two versions, of which the first has 5,000 rows, and `other`."""
    with home(tmp_path_factory.mktemp("home"), files=FILES) as made:
        made.must("init", "acme/support-agent", "--registry", made.url)
        made.start()
        fill(made, TABLE)
        snapshot(made, "--embedder", "local/minilm@6")
        snapshot(made, "--name", "other")
        fill(made, CHANGE)
        snapshot(made)
        for name, body in QUESTIONS.items():
            (made.project / f"{name}.json").write_text(body)
        yield made
        made.stop()
        assert "Traceback" not in (made.folder / "registry.log").read_text()
    shutil.rmtree(local_of(made).folder, ignore_errors=True)


@pytest.fixture
def as_reader(served: Home) -> Iterator[Home]:
    token = served.must("token", "create", "--name", "reader", "--right", "read", "--namespace", "acme").strip()
    served.more["REGALIA_TOKEN"] = token
    yield served
    del served.more["REGALIA_TOKEN"]


def test_a_snapshot_is_shown_with_what_it_is_made_of(served: Home) -> None:
    told = served.must("snapshot", "show", "kb@1.0.0")
    shown = json.loads(served.must("snapshot", "show", "kb", "--json"))

    for word in ("5,000 rows", "postgresql, key id bigint", "vector embedding: 4 dimensions", "body text"):
        assert word in told
    assert "embedder: local/minilm@6" in told
    assert "consistency: point-in-time" in told
    assert (shown["reference"], shown["count"]) == ("acme/snapshot/kb@1.0.1", 5002)
    assert [(one["count"], one["live"]) for one in shown["segments"]] == [(5000, 4949), (53, 53)]
    assert shown["bytes"] > sum(one["bytes"] for one in shown["segments"]) > 10_000
    assert "reg snapshot list" in served.reg("snapshot", "show", "absent").stderr
    assert served.reg("snapshot", "show", "kb@9.9.9").returncode == 1


def test_the_snapshots_of_the_namespace_are_listed_by_their_newest(served: Home) -> None:
    listed = json.loads(served.must("snapshot", "list", "--json"))

    assert [(one["name"], one["version"]) for one in listed] == [("kb", "1.0.1"), ("other", "1.0.0")]
    assert "1.0.1" in served.must("snapshot", "list")


def test_two_snapshots_are_compared_by_their_rows_by_whoever_may_read(as_reader: Home) -> None:
    told = as_reader.must("snapshot", "diff", "kb@1.0.0", "kb", "--rows")
    counted = json.loads(as_reader.must("snapshot", "diff", "kb@1.0.0", "kb@1.0.1", "--json"))

    assert "+3 -1 ~50 rows" in told
    assert "embedder local/minilm@6 → not said" in told
    for line in ("  + 6001", "  - 77", "  ~ 50"):
        assert line in told.splitlines()
    names = ("added", "removed", "changed", "unchanged", "same_schema")
    assert {name: counted[name] for name in names} == {
        "added": 3,
        "removed": 1,
        "changed": 50,
        "unchanged": 4949,
        "same_schema": True,
    }


def test_all_keys_that_differ_come_as_lines_where_a_page_is_too_short(served: Home) -> None:
    fill(served, "CREATE TABLE many AS SELECT * FROM kb; ALTER TABLE many ADD PRIMARY KEY (id)")
    served.must("snapshot", "create", "local", "public.many")
    fill(served, "UPDATE many SET body = 'x' WHERE id <= 2500")
    served.must("snapshot", "create", "local", "public.many")

    told = served.reg("snapshot", "diff", "many@1.0.0", "many@1.0.1", "--rows")
    lines = served.must("snapshot", "diff", "many@1.0.0", "many@1.0.1", "--rows", "--json").splitlines()

    assert "and 1,499 more" in told.stderr
    assert len(told.stdout.splitlines()) == 1002
    assert {int(json.loads(line)["key"]) for line in lines} == set(range(1, 2501)) - {77}
    assert {json.loads(line)["change"] for line in lines} == {"~"}
    assert len(lines) == 2499


def test_a_snapshot_answers_a_question_as_the_collection_does(served: Home) -> None:
    live = json.loads(
        served.must("collection", "search", "local", "public.kb", "--vector", "near.json", "--limit", "3", "--json")
    )

    stored = json.loads(served.must("snapshot", "query", "kb", "--vector", "near.json", "--limit", "3", "--json"))

    assert [one["key"] for one in stored["hits"]] == [one["key"] for one in live["hits"]] == ["100", "101", "99"]
    assert stored["hits"][0]["distance"] == pytest.approx(live["hits"][0]["distance"], rel=1e-4)
    assert stored["hits"][0]["properties"] == live["hits"][0]["properties"] == {"body": "passage 100"}


def test_an_older_snapshot_answers_as_it_was_and_a_reader_may_ask_it(as_reader: Home) -> None:
    then = as_reader.reg("snapshot", "query", "kb@1.0.0", "--vector", "-", "--limit", "1", given="[10, 1, 0, -10]")
    now = as_reader.must("snapshot", "query", "kb@1.0.1", "--vector", "ten.json", "--limit", "1")

    assert "passage 10" in then.stdout
    assert "body changed" in now
    refused = as_reader.reg("collection", "search", "local", "public.kb", "--vector", "ten.json")
    assert "not publish" in refused.stderr


def test_what_is_like_a_row_is_found_without_the_row_itself(served: Home) -> None:
    stored = json.loads(served.must("snapshot", "query", "kb", "--like", "500", "--limit", "2", "--json"))
    live = json.loads(served.must("collection", "search", "local", "kb", "--like", "500", "--limit", "2", "--json"))

    assert [one["key"] for one in stored["hits"]] == [one["key"] for one in live["hits"]] == ["499", "501"]


@pytest.mark.parametrize(
    ("question", "told"),
    [
        (("--like", "70000"), "no row with the key '70000' has a vector \"embedding\""),
        (("--like", "seven"), "its keys are integer"),
        (("--vector", "short.json"), '2 dimensions, "embedding" has 4'),
        (("--vector", "absent.json"), "No such file"),
        (("--vector", "text.json"), "no array of numbers"),
        (("--vector", "huge.json"), "a float32 can't hold"),
        ((), "say what to look for"),
        (("--like", "1", "--limit", "201"), "1<=x<=200"),
    ],
)
def test_a_question_that_can_not_be_answered_says_why(served: Home, question: tuple[str, ...], told: str) -> None:
    refused = served.reg("snapshot", "query", "kb", *question)

    assert refused.returncode in {1, 2}
    assert told in refused.stderr


def test_only_a_collection_that_a_load_of_this_namespace_made_is_retired(served: Home) -> None:
    loaded = json.loads(served.must("snapshot", "load", "kb@1.0.0", "--target", "local", "--json"))
    ours = str(loaded["collection"])
    fill(served, "CREATE SCHEMA theirs; CREATE TABLE theirs.kb (LIKE kb INCLUDING ALL)")
    fill(served, "COMMENT ON SCHEMA theirs IS 'regalia: 01900000-0000-7000-8000-000000000000'")

    not_sure = served.reg("collection", "retire", "local", ours, given="n\n")
    refusals = [served.reg("collection", "retire", "local", name, "--yes").stderr for name in ("public.kb", "theirs")]
    done = json.loads(served.must("collection", "retire", "local", f"{ours}.kb", "--yes", "--json"))

    assert not_sure.returncode == 2
    assert "without a terminal to ask on, say --yes" in not_sure.stderr
    assert "not made by this registry" in refusals[0]
    assert "made by no operation" in refusals[1]
    assert done == {"target": "local", "collection": ours, "retired": True}
    with psycopg.connect(local_of(served).url) as connection:
        left = connection.execute(
            "SELECT nspname FROM pg_namespace WHERE nspname IN (%s, 'theirs')", (ours,)
        ).fetchall()
    assert left == [("theirs",)]
    assert "no collection" in served.reg("collection", "retire", "local", ours, "--yes").stderr


def test_a_diff_of_bundles_counts_the_rows_of_their_snapshots(served: Home) -> None:
    with_kb = ("bundle", "create", "--with")
    served.must(*with_kb, "snapshots/kb=snapshot/kb@1.0.1", "1.0.0")
    fill(served, "DELETE FROM kb WHERE id > 4000")
    snapshot(served)

    created = served.reg(*with_kb, "snapshots/kb=snapshot/kb@1.0.2", "1.0.1")
    told = served.must("diff", "1.0.0", "1.0.1")

    assert created.returncode == 0, created.stderr
    for text in (created.stderr, told):
        assert "Updated kb snapshot: 5,002 → 3,999 rows" in text
        assert "rows: +0 -1,003 ~0" in text
    [kb] = [one for one in json.loads(served.must("diff", "1.0.1", "1.0.0", "--json")) if one["slot"] == "snapshots/kb"]
    assert kb["lines"] == ["rows: +1,003 -0 ~0"]


def test_a_bundle_that_tells_of_a_snapshot_what_is_not_so_is_refused(served: Home) -> None:
    client = Client(environment=served.environment, folder=served.project)
    application = ApplicationName("acme", "support-agent")
    other = publishing.fetch_artifact(client, ArtifactReference.parse("acme/snapshot/other@1.0.0"))
    honest = Member.of(Slot(Kind.SNAPSHOT, "other"), other)
    told = {**honest.descriptor.annotations, "dev.regalia.snapshot.count": "1"}
    lying = replace(honest, descriptor=replace(honest.descriptor, annotations=told))
    plans = [
        publishing.BundlePlan(BundleIndex.build(application, version, [member]), {}, None, (), (), is_unchanged=False)
        for version, member in (("7.0.0", lying), ("7.0.1", honest))
    ]
    signer = publishing.release_signer(client, application)

    with pytest.raises(DocumentError, match="its config says '5000'"):
        publishing.release(client, plans[0], signer)

    assert publishing.release(client, plans[1], signer).created
