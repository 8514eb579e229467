"""A snapshot from end to end: `reg`, the service, its worker, and its embedded PostgreSQL."""

import json
import os
import shutil
import signal
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pyarrow.parquet as pq
import pytest

from regalia import operations
from regalia.client import Client
from regalia.core.errors import NotPlacedError
from regalia.core.kinds.snapshot import SnapshotConfig
from regalia.core.references import ArtifactReference
from regalia.publishing import fetch_artifact
from regalia_cli.demo.stage import FILES
from regalia_registry.adapters.vectors.pgvector.embedded import EmbeddedPostgres, wheel_binaries
from tests.servers import weaviate
from tests.support.registries import Home, home


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Home]:
    with home(tmp_path, files=FILES) as made:
        made.must("init", "acme/support-agent", "--registry", made.url)
        made.start()
        yield made
        made.stop()
        assert "Traceback" not in (made.folder / "registry.log").read_text()
    shutil.rmtree(local_of(made).folder, ignore_errors=True)


def local_of(made: Home) -> EmbeddedPostgres:
    return EmbeddedPostgres(made.folder / ".local/share/regalia/postgres", wheel_binaries())


def fill(made: Home, statements: str) -> None:
    server = local_of(made)
    server.start()
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute(statements.encode())


TABLE = """
CREATE TABLE kb (id bigint PRIMARY KEY, body text NOT NULL, embedding vector(4));
INSERT INTO kb SELECT n, 'passage ' || n, ARRAY[n, 1, 0, -n]::vector FROM generate_series(1, 5000) n;
"""


def snapshot(made: Home, *more: str) -> dict[str, object]:
    found: dict[str, object] = json.loads(made.must("snapshot", "create", "local", "public.kb", "--json", *more))
    return found


def test_what_agents_wait_for_comes_before_what_takes_long(served: Home) -> None:
    [worker], [web, *_] = served.workers(), served.web_processes()

    deadline = time.monotonic() + 60  # a worker says so when its modules are loaded
    while os.getpriority(os.PRIO_PROCESS, worker) <= os.getpriority(os.PRIO_PROCESS, web):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_collection_becomes_a_version_and_only_changes_are_stored_again(served: Home) -> None:
    fill(served, TABLE)

    first = snapshot(served)
    again = snapshot(served)
    fill(served, "UPDATE kb SET body = 'changed' WHERE id <= 50; DELETE FROM kb WHERE id = 77")
    changed = snapshot(served)

    assert (first["reference"], first["count"], first["rows_stored"]) == ("acme/snapshot/kb@1.0.0", 5000, 5000)
    assert (again["digest"], again["created"], again["rows_stored"]) == (first["digest"], False, 0)
    assert (changed["reference"], changed["count"]) == ("acme/snapshot/kb@1.0.1", 4999)
    assert (changed["rows_stored"], changed["rows_kept"]) == (50, 4949)
    assert changed["content_root"] != first["content_root"]
    listed = json.loads(served.must("snapshot", "list", "kb", "--json"))
    assert [one["version"] for one in listed] == ["1.0.1", "1.0.0"]
    assert [one["state"] for one in json.loads(served.must("operation", "list", "--json"))] == ["done"] * 3


def test_another_embedder_is_another_version(served: Home) -> None:
    fill(served, TABLE)

    one, other = snapshot(served), snapshot(served, "--embedder", "local/minilm@6")

    assert (one["content_root"], one["rows_stored"]) == (other["content_root"], 5000)
    assert (other["version"], other["rows_stored"]) == ("1.0.1", 0)


def test_what_can_not_be_a_snapshot_is_told_with_every_reason(served: Home) -> None:
    fill(served, "CREATE TABLE kb (body text, half halfvec(3))")

    refused = served.reg("snapshot", "create", "local", "kb")

    assert refused.returncode == 1
    for word in ("no primary key", "halfvec(3)", "no column of type vector"):
        assert word in refused.stderr
    assert served.reg("snapshot", "create", "local", "absent").returncode == 1
    assert 'there is no target "elsewhere"' in served.reg("snapshot", "create", "elsewhere", "kb").stderr


def test_a_worker_that_is_killed_is_followed_by_another_that_finishes(served: Home) -> None:
    fill(served, TABLE.replace("5000", "60000"))
    asked = served.must("snapshot", "create", "local", "public.kb", "--detach").strip()
    deadline = time.monotonic() + 20
    while not json.loads(served.must("operation", "show", asked, "--json"))["events"] and time.monotonic() < deadline:
        time.sleep(0.05)
    [worker] = served.workers()
    os.kill(worker, signal.SIGTERM)

    watched = served.reg("operation", "watch", asked)

    assert watched.returncode == 0, watched.stderr
    done = json.loads(served.must("operation", "show", asked, "--json"))["operation"]
    assert (done["state"], done["outcome"]["count"]) == ("done", 60000)


def test_targets_are_named_connections_without_secrets(served: Home) -> None:
    served.must("target", "add", "prod", "postgresql://reader@db.example.com/kb", "--credential", "env:KB_PASSWORD")

    assert [one["name"] for one in json.loads(served.must("target", "list", "--json"))] == ["local", "prod"]
    refused = served.reg("target", "add", "bad", "postgresql://reader:hunter2@db.example.com/kb")
    assert refused.returncode == 1
    assert "holds a password" in refused.stderr
    assert "hunter2" not in (served.folder / "registry.log").read_text() + refused.stderr
    assert "env:NAME" in served.reg("target", "add", "bad", "postgresql://db/kb", "--credential", "hunter2").stderr
    missing = served.reg("snapshot", "create", "prod", "kb")
    assert "the worker's environment has no KB_PASSWORD" in missing.stderr
    served.must("target", "remove", "prod")
    assert served.reg("target", "show", "prod").returncode == 1


def test_a_target_is_looked_at_by_the_worker(served: Home) -> None:
    fill(served, TABLE + "CREATE TABLE bad (body text, e vector(3)); ANALYZE kb;")

    checked = json.loads(served.must("target", "check", "local", "--json"))
    listed = json.loads(served.must("collection", "list", "--json"))
    shown = served.must("collection", "show", "local", "public.bad")

    assert checked["version"].startswith("PostgreSQL 18")
    assert checked["warnings"] == []
    assert {one["collection"]: one["rows"] for one in listed}["public.kb"] == 5000
    assert "can't be a snapshot: it has no primary key" in shown
    assert "vector e: 3 dimensions" in shown
    assert served.reg("collection", "show", "local", "absent").returncode == 1


def test_nothing_of_the_service_is_left_running(served: Home) -> None:
    fill(served, TABLE)
    snapshot(served)
    server = local_of(served)

    served.stop()

    assert not (server.folder / "cluster" / "postmaster.pid").exists()


def test_a_snapshot_is_loaded_beside_its_source_and_is_the_same(served: Home) -> None:
    fill(served, TABLE + "CREATE INDEX ON kb USING hnsw (embedding vector_l2_ops);")
    taken = snapshot(served)

    loaded = json.loads(served.must("snapshot", "load", "kb@1.0.0", "--target", "local", "--as", "kb", "--json"))
    again = json.loads(
        served.must("snapshot", "create", "local", str(loaded["collection"]), "--name", "copy", "--json")
    )

    assert loaded["content_root"] == again["content_root"] == taken["content_root"]
    assert loaded["recall"]["embedding"]["asked"] == 64
    assert loaded["recall"]["embedding"]["recall"] >= 0.9
    assert "USING hnsw (embedding vector_l2_ops);" in served.must("snapshot", "show", "kb", "--definition")
    assert "made of local/public.kb by PostgreSQL 18" in served.must("snapshot", "show", "kb")
    assert "canary: 64 questions" in served.must("snapshot", "show", "kb")
    assert "where it was taken, recall of embedding" in served.must("snapshot", "show", "kb")
    assert str(loaded["collection"]).startswith("kb_")
    with psycopg.connect(local_of(served).url) as connection:
        found = connection.execute(f"SELECT count(*) FROM {loaded['collection']}.kb").fetchone()  # noqa: S608 # our name
    assert found == (5000,)
    assert "no snapshot" not in served.reg("snapshot", "load", "kb@9.9.9", "--target", "local").stdout
    assert served.reg("snapshot", "load", "kb@1.0.0", "--target", "local", "--as", "KB; DROP").returncode == 1


def test_a_load_whose_worker_is_stopped_goes_on_in_the_same_collection(served: Home) -> None:
    fill(served, TABLE.replace("5000", "60000"))
    taken = snapshot(served)
    client = Client(environment=served.environment, folder=served.project)
    asked = operations.start_load(client, "acme", "kb", "1.0.0", target="local", logical="kb")
    steps = []
    for progress in operations.watch(client, "acme", asked.id):
        steps += [str(event.body["step"]) for event in progress.events]
        if "loading" in steps:
            break
    os.kill(served.workers()[0], signal.SIGTERM)

    watched = served.reg("operation", "watch", asked.id)

    assert watched.returncode == 0, watched.stderr
    done = json.loads(served.must("operation", "show", asked.id, "--json"))
    assert done["operation"]["outcome"]["content_root"] == taken["content_root"]
    assert [event["body"]["step"] for event in done["events"]].count("connecting") == 2
    with psycopg.connect(local_of(served).url) as connection:
        [ours] = connection.execute("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'kb\\_%'").fetchall()
    assert ours == (done["operation"]["outcome"]["collection"],)


def test_a_stored_snapshot_is_verified_and_damage_is_named(served: Home) -> None:
    fill(served, TABLE)
    snapshot(served)
    assert "verified" in served.must("snapshot", "verify", "kb@1.0.0")
    blobs = served.folder / ".local/share/regalia/blobs/sha256"
    largest = max((path for path in blobs.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)
    body = bytearray(largest.read_bytes())
    body[len(body) // 2] ^= 1
    largest.chmod(0o600)
    largest.write_bytes(body)

    refused = served.reg("snapshot", "verify", "kb@1.0.0")

    assert refused.returncode == 1
    assert largest.name[:12] in refused.stderr
    largest.unlink()
    assert largest.name[:12] in served.reg("snapshot", "verify", "kb@1.0.0").stderr


TYPED = """
CREATE TABLE kb (passage bigint PRIMARY KEY, body text NOT NULL, score double precision, seen boolean,
                 raw bytea, at timestamptz, embedding vector(4));
INSERT INTO kb SELECT n + 9007199254740992, 'Łódź ' || n, 'NaN', n % 2 = 0, decode('deadbeef', 'hex'), 'infinity',
                      CASE WHEN n % 7 > 0 THEN format('[%s,1e-45,-0,%s]', n / 3.0, -n)::vector END
FROM generate_series(1, 7000) n;
CREATE INDEX ON kb USING hnsw (embedding vector_cosine_ops);
"""


def read(path: Path) -> dict[object, tuple[bytes | None, str]]:
    table = pq.read_table(path)
    vectors = [None if one is None else struct.pack("<4f", *one) for one in table["vector:embedding"].to_pylist()]
    return dict(zip(table["id"].to_pylist(), zip(vectors, table["body"].to_pylist(), strict=True), strict=True))


@pytest.mark.parametrize("form", ["parquet", "jsonl"])
def test_an_exported_snapshot_is_imported_with_its_keys_and_vectors(served: Home, form: str) -> None:
    fill(served, TYPED)
    taken, file = snapshot(served), served.project / f"kb.{form}"

    exported = json.loads(served.must("snapshot", "export", "kb@1.0.0", str(file), "--json"))
    imported = json.loads(served.must("snapshot", "import", str(file), "--name", "again", "--json"))
    same = json.loads(served.must("snapshot", "import", str(file), "--name", "again", "--json"))
    served.must("snapshot", "export", "again", str(served.project / "again.parquet"))
    if form == "jsonl":
        served.must("snapshot", "export", "kb@1.0.0", str(served.project / "kb.parquet"))

    assert (imported["reference"], imported["count"]) == ("acme/snapshot/again@1.0.0", 7000)
    assert (same["created"], same["rows_stored"]) == (False, 0)
    client = Client(environment=served.environment, folder=served.project)
    config = fetch_artifact(client, ArtifactReference.parse("acme/snapshot/again@1.0.0")).config
    assert isinstance(config, SnapshotConfig)
    assert config.derived_from is not None
    assert config.derived_from.reference == "acme/snapshot/kb@1.0.0"
    assert str(config.derived_from.content_root) == taken["content_root"]
    assert config.fidelity == "; ".join(exported["fidelity"])
    for told in ("passage: the key, as id", "score: double precision as text", "seen: boolean", "raw: bytea as bytes"):
        assert (told in str(config.fidelity)) == (told != "seen: boolean")
    before, after = read(served.project / "kb.parquet"), read(served.project / "again.parquet")
    assert before == after
    assert before[2**53 + 1] == (struct.pack("<4f", 1 / 3, 1e-45, -0.0, -1), "Łódź 1")
    assert before[2**53 + 7][0] is None
    assert len(before) == 7000


def test_what_came_from_a_table_becomes_one_again_with_its_properties_as_text_and_jsonb(served: Home) -> None:
    fill(served, TYPED)
    taken, file = snapshot(served), served.project / "kb.parquet"
    served.must("snapshot", "export", "kb@1.0.0", str(file))
    imported = json.loads(served.must("snapshot", "import", str(file), "--name", "again", "--json"))

    loaded = json.loads(served.must("snapshot", "load", "again@1.0.0", "--target", "local", "--json"))

    assert loaded["content_root"] not in (taken["content_root"], imported["content_root"])
    assert "all properties as JSON in the one text column properties" in loaded["fidelity"]
    with psycopg.connect(local_of(served).url) as connection:
        found = connection.execute(
            f"SELECT count(*), bool_and(r.embedding IS NOT DISTINCT FROM k.embedding), "  # noqa: S608 # our name
            f"bool_and(r.properties_json->>'body' = k.body) FROM {loaded['collection']}.rows r "
            f"JOIN public.kb k ON k.passage = r.id"
        ).fetchone()
    assert found == (7000, True, True)


def test_content_goes_through_a_file_into_weaviate_and_out_again_as_a_file(served: Home, tmp_path: Path) -> None:
    kb = TYPED.replace("passage bigint", "passage uuid").replace("n + 9007199254740992", "md5(n::text)::uuid")
    fill(served, kb)
    taken = snapshot(served)
    served.must("snapshot", "export", "kb@1.0.0", str(served.project / "kb.parquet"))
    served.must("snapshot", "import", str(served.project / "kb.parquet"), "--name", "passages")

    with weaviate.running(tmp_path) as server:
        served.must("target", "add", "far", server.url, "--provider", "weaviate")
        loaded = json.loads(served.must("snapshot", "load", "passages@1.0.0", "--target", "far", "--json"))
        served.must("snapshot", "create", "far", str(loaded["collection"]), "--name", "far")
    served.must("snapshot", "export", "far@1.0.0", str(served.project / "far.parquet"))

    client = Client(environment=served.environment, folder=served.project)
    configs = [
        fetch_artifact(client, ArtifactReference.parse(f"acme/snapshot/{name}@1.0.0")).config
        for name in ("passages", "far")
    ]
    origins = [config.derived_from for config in configs if isinstance(config, SnapshotConfig)]
    named = [None if origin is None else origin.reference for origin in origins]
    assert named == ["acme/snapshot/kb@1.0.0", "acme/snapshot/passages@1.0.0"]
    assert origins[0] is not None
    assert str(origins[0].content_root) == taken["content_root"]
    before, after = read(served.project / "kb.parquet"), read(served.project / "far.parquet")
    assert before == after
    assert len(before) == 7000


def test_a_folder_is_a_target(served: Home, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "kb.jsonl").write_text('{"id": "a", "vector": [1, 2], "text": "x"}\n{"id": "b", "vector": [3, 4]}\n')
    served.must("target", "add", "files", folder.as_uri(), "--provider", "files", "--namespace", "acme")

    taken = json.loads(served.must("snapshot", "create", "files", "kb.jsonl", "--json"))
    loaded = json.loads(served.must("snapshot", "load", "kb@1.0.0", "--target", "files", "--as", "copy", "--json"))
    again = json.loads(served.must("snapshot", "create", "files", str(loaded["collection"]), "--name", "b", "--json"))

    assert again["content_root"] == loaded["content_root"] == taken["content_root"]
    assert sorted(path.name for path in folder.iterdir()) == [loaded["collection"], "kb.jsonl"]
    [first, *_] = json.loads(served.must("collection", "list", "files", "--json"))
    assert (first["collection"], first["rows"], first["ours"]) == (loaded["collection"], 2, True)


def test_a_file_that_can_not_be_a_snapshot_is_refused_and_nothing_is_made(served: Home) -> None:
    bad, wrong = served.project / "bad.jsonl", served.project / "wrong.csv"
    bad.write_text('{"name": 1}\n')
    wrong.write_text("a,b")

    refused = served.reg("snapshot", "import", str(bad))

    assert refused.returncode == 1
    for word in ('name it "id" or "key"', "no row has a vector"):
        assert word in refused.stderr
    assert "ends in .parquet or .jsonl" in served.reg("snapshot", "import", str(wrong)).stderr
    assert served.reg("snapshot", "export", "bad@1.0.0", str(served.project / "bad.parquet")).returncode == 1
    bad.write_text('{"id": 1, "vector": [1]}\n')
    served.must("snapshot", "import", str(bad))
    taken = served.reg("snapshot", "export", "bad@1.0.0", str(bad))
    assert "nothing is overwritten" in taken.stderr
    assert sorted(path.name for path in served.project.glob("*bad*")) == ["bad.jsonl"]


def test_a_snapshot_is_a_member_of_a_bundle_and_its_embedder_is_bound(served: Home) -> None:
    fill(served, TABLE)
    lines = (served.project / "regalia.yaml").read_text()
    models = (
        (served.project / "model_registry.yaml")
        .read_text()
        .replace("    use_case", "    provider: openai\n    use_case")
    )
    (served.project / "model_registry.yaml").write_text(models)
    wanted = "  snapshots/kb: {target: local, collection: kb, embedder: models/complex_queries}\n"
    (served.project / "regalia.yaml").write_text(lines + wanted)

    pushed = json.loads(served.must("push", "--json"))
    assert {one["slot"]: one["created"] for one in pushed}["snapshots/kb"]
    again = json.loads(served.must("push", "--json"))
    assert not any(one["created"] for one in again)
    served.must("bundle", "create", "1.0.0")
    served.must("promote", "1.0.0", "--to", "prod", "--unplaced")
    fill(served, "DELETE FROM kb WHERE id > 4000")
    created = served.reg("bundle", "create", "1.0.1")
    assert "Updated kb snapshot: 5,000 → 4,000 rows" in created.stderr

    bundle = Client(environment=served.environment, folder=served.project).resolve("acme/support-agent:prod")
    assert "snapshots/kb" in bundle.slots
    with pytest.raises(NotPlacedError, match="is not placed"):
        bundle.collection("kb")

    (served.project / "regalia.yaml").write_text(lines)
    (served.project / "model_registry.yaml").write_text(models.replace("gpt-4-0125-preview", "gpt-4-0613"))
    refused = served.reg("bundle", "create", "1.0.2", "--with", "snapshots/kb=acme/snapshot/kb@1.0.0")
    assert refused.returncode == 1
    assert "was embedded by" in refused.stderr
    assert "gpt-4-0613" in refused.stderr


def test_a_worn_snapshot_is_compacted_into_a_version_with_the_same_root(served: Home) -> None:
    fill(served, TABLE)
    snapshot(served)
    fill(served, "DELETE FROM kb WHERE id % 5 < 3")
    worn = snapshot(served)

    compacted = json.loads(served.must("snapshot", "compact", "kb", "--json"))

    assert worn["worn_segments"] == 1
    assert (compacted["reference"], compacted["created"]) == ("acme/snapshot/kb@1.0.2", True)
    assert compacted["content_root"] == worn["content_root"]
    assert "2,000 rows" in served.must("snapshot", "verify", "kb@1.0.2")
    again = snapshot(served)
    assert (again["reference"], again["created"], again["rows_stored"]) == ("acme/snapshot/kb@1.0.2", False, 0)
    assert "nothing to do" in served.must("snapshot", "compact", "kb")
    assert 'there is no snapshot "acme/snapshot/absent"' in served.reg("snapshot", "compact", "absent").stderr
