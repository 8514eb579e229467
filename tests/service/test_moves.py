"""Moves with vectors from end to end: `reg`, the service, its worker, and real engines."""

import json
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from regalia import moving
from regalia.client import Client
from regalia.core.statements import Place
from regalia_registry.adapters.vectors.weaviate.provider import open_weaviate
from regalia_registry.domain.operations import Holder
from regalia_registry.domain.snapshots.rows import encode_key
from tests.servers import weaviate
from tests.support.registries import Home
from tests.support.stages import PROD, TABLE, fill, local_of, release, staged


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Home]:
    """Serve a registry with the bundles 1.0.0 and 1.1.0, whose knowledge bases differ in some rows."""
    with staged(tmp_path) as made:
        release(made, "1.0.0", TABLE)
        release(made, "1.1.0", "UPDATE kb SET body = 'wrong ' || id WHERE id <= 50; DELETE FROM kb WHERE id = 1999")
        yield made


def place(made: Home) -> Place:
    bundle = Client(environment=made.environment, folder=made.project).refresh(PROD)
    return bundle.collection("kb")


def bodies(made: Home, found: Place) -> dict[int, str]:
    table = sql.Identifier(found.collection, str(found.table))
    with psycopg.connect(local_of(made).url) as connection:
        return dict(connection.execute(sql.SQL("SELECT id, body FROM {}").format(table)).fetchall())


def operations(made: Home) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(made.must("operation", "list", "--json"))
    return found


def collections(made: Home) -> set[str]:
    with psycopg.connect(local_of(made).url) as connection:
        return {name for (name,) in connection.execute("SELECT nspname FROM pg_namespace WHERE nspname ~ '^kb_'")}


def test_a_restore_brings_the_collection_back_with_the_bundle_and_at_once(served: Home) -> None:
    served.must("channel", "set", PROD, "--snapshot", "kb=local")
    served.must("promote", "1.0.0", "--to", "prod")
    good = place(served)
    served.must("promote", "1.1.0", "--to", "prod")
    bad = place(served)
    assert (bodies(served, bad)[7], len(bodies(served, bad))) == ("wrong 7", 1999)

    told = served.reg("restore", PROD, "--to", "previous", "--reason", "INC-42", "--yes")

    assert told.returncode == 0, told.stderr
    assert f"{good.collection} is there, sealed and proved (2,000 rows)" in told.stderr
    assert place(served) == good
    assert (bodies(served, good)[7], len(bodies(served, good))) == ("passage 7", 2000)
    refused = served.reg("promote", "1.1.0", "--to", "prod")
    assert "is on hold: INC-42" in refused.stderr
    assert collections(served) == {good.collection, bad.collection}


def test_who_writes_into_what_was_released_is_told_to_resolve_again(served: Home) -> None:
    served.must("channel", "set", PROD, "--snapshot", "kb=local")
    served.must("promote", "1.0.0", "--to", "prod")
    found = place(served)
    table = sql.Identifier(found.collection, str(found.table))

    with (
        psycopg.connect(local_of(served).url) as connection,
        pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState, match="sealed: resolve the channel again"),
    ):
        connection.execute(sql.SQL("DELETE FROM {}").format(table))


def test_snapshots_that_nobody_placed_are_refused_unless_that_is_meant(served: Home) -> None:
    refused = served.reg("promote", "1.0.0", "--to", "prod")

    assert refused.returncode == 1
    assert f"reg channel set {PROD} --snapshot kb=TARGET, or --unplaced" in refused.stderr
    assert served.reg("channel", "show", PROD).returncode == 1
    served.must("promote", "1.0.0", "--to", "prod", "--unplaced")
    assert "names 1.1.0" in served.must("promote", "1.1.0", "--to", "prod", "--unplaced")


def test_a_dry_run_says_what_would_be_done_and_does_nothing(served: Home) -> None:
    served.must("channel", "set", PROD, "--snapshot", "kb=local")

    told = served.reg("promote", "1.0.0", "--to", "prod", "--dry-run")

    assert told.returncode == 0
    assert "2,000 rows of snapshot/kb@1.0.0 are loaded, indexed and proved" in told.stderr
    assert served.reg("channel", "show", PROD).returncode == 1
    assert collections(served) == set()


def test_what_was_prepared_before_is_promoted_without_making_anything(served: Home) -> None:
    served.must("channel", "set", PROD, "--snapshot", "kb=local")
    warm = served.must("prepare", "1.0.0", "--for", "prod")

    told = served.reg("promote", "1.0.0", "--to", "prod")

    assert told.returncode == 0, told.stderr
    assert "is there, sealed and proved" in told.stderr
    assert place(served).collection in warm
    assert len(collections(served)) == 1


def test_a_promotion_that_is_asked_for_again_tells_what_stands(served: Home) -> None:
    served.must("channel", "set", PROD, "--snapshot", "kb=local")
    moved = json.loads(served.must("promote", "1.0.0", "--to", "prod", "--json"))

    again = json.loads(served.must("promote", "1.0.0", "--to", "prod", "--json"))

    assert moved["collections"] == [place(served).written()]
    assert again == {**moved, "state": "unchanged", "deployment": None, "changes": []}


def test_a_collection_that_somebody_opened_is_never_taken_as_it_is(served: Home) -> None:
    served.must("channel", "set", PROD, "--snapshot", "kb=local")
    served.must("promote", "1.0.0", "--to", "prod")
    good = place(served)
    served.must("promote", "1.1.0", "--to", "prod")
    server = local_of(served)
    table = sql.SQL("{}.{}").format(sql.Identifier(good.collection), sql.Identifier(str(good.table)))
    with psycopg.connect(server.url, autocommit=True) as connection:
        for statement in (
            "ALTER TABLE {} DISABLE TRIGGER USER",
            "DELETE FROM {}",
            "ALTER TABLE {} ENABLE TRIGGER USER",
        ):
            connection.execute(sql.SQL(statement).format(table))

    served.must("restore", PROD, "--to", "1.0.0", "--reason", "INC-42", "--yes")

    anew = place(served)
    assert anew.collection != good.collection
    assert len(bodies(served, anew)) == 2000


def test_an_alias_leads_where_its_channel_is_and_what_a_hand_changed_is_set_right(served: Home) -> None:
    served.must("channel", "set", PROD, "--snapshot", "kb=local,alias=help")

    def through_alias() -> str:
        with psycopg.connect(local_of(served).url) as connection:
            [[body]] = connection.execute("SELECT body FROM help WHERE id = 7")
        return str(body)

    served.must("promote", "1.0.0", "--to", "prod")
    assert through_alias() == "passage 7"
    served.must("promote", "1.1.0", "--to", "prod")
    assert through_alias() == "wrong 7"
    told = served.reg("restore", PROD, "--to", "previous", "--reason", "INC-42", "--yes")
    assert f"alias help leads to {place(served).collection}, set in" in told.stderr
    assert through_alias() == "passage 7"

    fill(
        served,
        "CREATE OR REPLACE VIEW help AS SELECT id, 'by hand'::text AS body, NULL::vector(4) AS embedding FROM kb",
    )
    deadline = time.monotonic() + 30
    while through_alias() != "passage 7":
        assert time.monotonic() < deadline
        time.sleep(0.2)


def unsigned(made: Home, version: str) -> str:
    """Let a promotion be prepared, as by somebody who never comes back to sign it; gives the operation."""
    client = Client(environment=made.environment, folder=made.project)
    plan = moving.plan_promote(client, client.parse(PROD), client.parse(version), moving.Facts())
    return str(moving.prepare(client, plan, lambda _: None).operation)


def test_who_comes_back_signs_what_was_prepared(served: Home) -> None:
    served.must("channel", "set", PROD, "--snapshot", "kb=local")
    operation = unsigned(served, "1.0.0")

    served.must("promote", "1.0.0", "--to", "prod")

    [found] = [one for one in operations(served) if one["kind"] == "promote" and not one["request"]["plan"]]
    assert (found["id"], found["state"]) == (operation, "done")


def test_one_operation_of_a_channel_is_open_at_a_time_and_a_restore_goes_first(served: Home) -> None:
    served.must("channel", "set", PROD, "--snapshot", "kb=local")
    served.must("promote", "1.0.0", "--to", "prod")
    served.must("promote", "1.1.0", "--to", "prod")
    release(served, "1.2.0")
    operation = unsigned(served, "1.2.0")

    release(served, "1.3.0")
    refused = served.reg("promote", "1.3.0", "--to", "prod")
    served.must("restore", PROD, "--to", "previous", "--reason", "INC-42", "--yes")

    assert f'an operation of "{PROD}" is open already' in refused.stderr
    states = {one["id"]: one["state"] for one in operations(served)}
    assert states[operation] == "cancelled"


def write(made: Home, found: Place, statement: str) -> None:
    table = sql.SQL("{}.{}").format(sql.Identifier(found.collection), sql.Identifier(str(found.table)))
    with psycopg.connect(local_of(made).url, autocommit=True) as connection:
        connection.execute(sql.SQL(statement).format(table))


def test_what_was_written_to_a_live_collection_is_kept_when_its_channel_leaves_it(served: Home) -> None:
    served.must("channel", "set", PROD, "--snapshot", "kb=local,mode=live")
    served.must("promote", "1.0.0", "--to", "prod")
    served.must("promote", "1.1.0", "--to", "prod")
    live = place(served)
    write(
        served,
        live,
        "INSERT INTO {} SELECT n, 'written ' || n, ARRAY[n, 1, 0, 1]::vector FROM generate_series(9001, 9007) n",
    )
    write(served, live, "DELETE FROM {} WHERE id IN (3, 4)")

    told = served.reg("restore", PROD, "--to", "previous", "--reason", "INC-42", "--yes")

    assert told.returncode == 0, told.stderr
    assert (
        f"7 rows were written to {live.collection} and 2 removed: kept as acme/snapshot/kb-leftover@1.0.0"
        in told.stderr
    )
    assert bodies(served, place(served))[7] == "passage 7"
    with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState):
        write(served, live, "DELETE FROM {}")
    written = json.loads(served.must("snapshot", "diff", "kb@1.0.1", "kb-leftover@1.0.0", "--json"))
    assert (written["added"], written["removed"]) == (7, 2)
    back = served.project / "written.jsonl"
    told = served.reg("snapshot", "export", "kb-leftover", str(back), "--changed-since", "kb@1.0.1")
    assert "2 rows are gone since then" in told.stderr
    assert sorted(json.loads(line)["body"] for line in back.read_text().splitlines()[-7:]) == [
        f"written {number}" for number in range(9001, 9008)
    ]


def test_a_bundle_without_vectors_leaves_a_live_collection_through_a_worker_or_not_at_all(served: Home) -> None:
    served.must("channel", "set", PROD, "--snapshot", "kb=local,mode=live")
    served.must("promote", "1.0.0", "--to", "prod")
    live = place(served)
    write(served, live, "DELETE FROM {} WHERE id IN (3, 4)")
    project = served.project / "regalia.yaml"
    project.write_text(project.read_text().replace("  snapshots/kb: {target: local, collection: kb}\n", ""))
    release(served, "2.0.0")

    refused = served.reg("promote", "2.0.0", "--to", "prod", "--unplaced")
    told = served.reg("promote", "2.0.0", "--to", "prod")

    assert refused.returncode == 1
    assert f"would leave {live.collection}, and nothing would keep what its application wrote there" in refused.stderr
    assert told.returncode == 0, told.stderr
    assert f"0 rows were written to {live.collection} and 2 removed: kept as" in told.stderr


def test_this_mornings_ingestion_is_undone_without_leaving_the_bundle(served: Home) -> None:
    served.must("channel", "set", PROD, "--snapshot", "kb=local,mode=live")
    served.must("promote", "1.0.0", "--to", "prod")
    live = place(served)
    write(served, live, "UPDATE {} SET body = 'this morning'")

    told = served.reg("restore", PROD, "--to", "current", "--reason", "INC-44", "--yes", "--seal-first")

    assert told.returncode == 0, told.stderr
    assert f"2,000 rows were written to {live.collection} and 2,000 removed" in told.stderr
    assert bodies(served, place(served))[7] == "passage 7"
    assert json.loads(served.must("channel", "show", PROD, "--json"))["move"] == "rebind"
    assert "is on hold" not in served.reg("status", "acme/support-agent").stdout


def test_a_sealed_channel_has_nothing_to_bring_back(served: Home) -> None:
    served.must("channel", "set", PROD, "--snapshot", "kb=local")
    served.must("promote", "1.0.0", "--to", "prod")
    before = place(served)

    told = served.reg("restore", PROD, "--to", "current", "--reason", "INC-44", "--yes")

    assert told.returncode == 0, told.stderr
    assert "nothing was written to them" in told.stderr
    assert place(served) == before


def test_a_table_in_use_becomes_the_live_collection_of_a_channel_and_its_application_goes_on(served: Home) -> None:
    served.must("channel", "set", PROD, "--snapshot", "kb=local")
    served.must("promote", "1.1.0", "--to", "prod")

    asked = ("target", "adopt", "local", "kb", "--for", PROD, "--slot", "kb", "--reason", "CHG-7")
    told = served.reg(*asked, "--dry-run")
    assert told.returncode == 0, told.stderr
    assert "TRUNCATE" in told.stderr
    served.must(*asked, "--yes")

    live = place(served)
    fill(served, "INSERT INTO kb SELECT 9001, 'as ever', ARRAY[1, 2, 3, 4]::vector")
    assert bodies(served, live)[9001] == "as ever"
    assert json.loads(served.must("channel", "show", PROD, "--json"))["move"] == "rebind"
    left = served.reg("restore", PROD, "--to", "current", "--reason", "INC-45", "--yes")
    assert "1 rows were written" in left.stderr
    with psycopg.connect(local_of(served).url) as connection:
        assert connection.execute("SELECT count(*) FROM kb").fetchall() == [(1999,)]


@pytest.fixture
def far(tmp_path: Path) -> Iterator[weaviate.Weaviate]:
    (tmp_path / "weaviate").mkdir()
    with weaviate.running(tmp_path / "weaviate") as server:
        yield server


def test_two_engines_of_one_bundle_are_restored_together(served: Home, far: weaviate.Weaviate) -> None:
    with (served.project / "regalia.yaml").open("a") as file:
        file.write("  snapshots/more: {target: local, collection: kb}\n")
    served.must("target", "add", "far", far.url, "--provider", "weaviate")
    served.must("channel", "set", PROD, "--snapshot", "kb=local", "--snapshot", "more=far,alias=More")
    release(served, "2.0.0")
    fill(served, "UPDATE kb SET body = 'worse ' || id WHERE id <= 9")
    release(served, "2.1.0")
    served.must("promote", "2.0.0", "--to", "prod")
    served.must("promote", "2.1.0", "--to", "prod")

    def seen() -> tuple[str, str]:
        client = Client(environment=served.environment, folder=served.project)
        bundle = client.refresh(PROD)
        here = bodies(served, bundle.collection("kb"))[7]
        with closing(open_weaviate(far.url, holder=Holder("test", 1))) as provider:
            name = bundle.collection("more").collection
            assert provider.aliases.get("More") == name
            with provider.source.open(name) as reading:
                rows = {row.key: row for batch in reading.batches() for row in batch}
        return here, json.loads(rows[encode_key(7)].properties)["body"]

    assert seen() == ("worse 7", "worse 7")
    far.stop()
    refused = served.reg("restore", PROD, "--to", "previous", "--reason", "INC-43", "--yes", "--dry-run")
    assert refused.returncode == 1
    far.start()
    served.must("restore", PROD, "--to", "previous", "--reason", "INC-43", "--yes")
    assert seen() == ("wrong 7", "wrong 7")
