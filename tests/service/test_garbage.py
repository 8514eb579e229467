"""Garbage of a real registry: an admin sees what would go, and lets it go; nobody else does."""

import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from regalia import operations
from regalia.client import Client
from regalia.core.errors import ForbiddenError
from regalia_cli.demo.stage import FILES
from regalia_registry.adapters.vectors.pgvector import places
from regalia_registry.adapters.vectors.pgvector.embedded import EmbeddedPostgres, wheel_binaries
from tests.support.registries import Home, home

ORPHAN = b"of a push that never came to its manifest"
TABLE = """
CREATE TABLE kb (id bigint PRIMARY KEY, body text NOT NULL, embedding vector(4));
INSERT INTO kb SELECT n, 'passage ' || n, ARRAY[n, 1, 0, -n]::vector FROM generate_series(1, 500) n;
"""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    with home(tmp_path_factory.mktemp("home"), files=FILES) as made:
        made.must("init", "acme/support-agent", "--registry", made.url)
        made.more["REGALIA_SERVER_LEASE_S"] = "4"
        made.start()
        yield made
        made.stop()
        assert "Traceback" not in (made.folder / "registry.log").read_text()
    shutil.rmtree(places.cluster_folder(made.folder / ".local/share/regalia/postgres"), ignore_errors=True)


@pytest.fixture
def orphan(served: Home) -> Path:
    name = hashlib.sha256(ORPHAN).hexdigest()
    path = served.folder / ".local/share/regalia/blobs/sha256" / name[:2] / name
    path.write_bytes(ORPHAN)
    return path


def test_a_plan_names_what_would_go_and_leaves_it(served: Home, orphan: Path) -> None:
    told = served.must("gc", "--dry-run")
    outcome = json.loads(served.must("gc", "--dry-run", "--json"))

    assert told == f"files that no version links  would go: 1, {len(ORPHAN)} bytes\n"
    assert outcome == {
        "plan": True,
        "going": [],
        "kept": [],
        "odd": [],
        "blobs": {"count": 1, "bytes": len(ORPHAN)},
    }
    assert orphan.exists()


def test_what_nothing_links_goes_and_what_was_pushed_stays(served: Home, orphan: Path) -> None:
    served.must("push")

    told = served.must("gc", "--yes")

    assert told == f"files that no version links  went: 1, {len(ORPHAN)} bytes\n"
    assert not orphan.exists()
    assert "unchanged" in served.must("push")


def test_an_admin_of_one_namespace_alone_is_refused(served: Home) -> None:
    token = served.must("token", "create", "--name", "ci", "--right", "admin", "--namespace", "acme").strip()

    client = Client(environment={**served.environment, "REGALIA_TOKEN": token}, folder=served.project)

    with pytest.raises(ForbiddenError, match="admin on all namespaces"):
        operations.start_garbage(client, plan=True)


def schemas(server: EmbeddedPostgres) -> set[str]:
    with psycopg.connect(server.url) as connection:
        return {name for (name,) in connection.execute("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'kb\\_%'")}


def test_a_warm_collection_that_somebody_retires_is_gone_and_made_anew_under_another_name(served: Home) -> None:
    server = EmbeddedPostgres(served.folder / ".local/share/regalia/postgres", wheel_binaries())
    server.start()
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute(TABLE.encode())
    with (served.project / "regalia.yaml").open("a") as file:
        file.write("  snapshots/kb: {target: local, collection: kb, embedder: models/embedder}\n")
    served.must("push")
    served.must("bundle", "create", "1.0.0")
    served.must("channel", "set", "acme/support-agent:prod", "--snapshot", "kb=local")
    served.must("prepare", "1.0.0", "--for", "prod")
    [first] = schemas(server)

    [kept] = json.loads(served.must("gc", "--dry-run", "--json"))["kept"]
    retired = served.must("collection", "retire", "local", first, "--yes")
    gone = schemas(server)
    served.must("prepare", "1.0.0", "--for", "prod")

    assert kept["collection"] == first
    assert kept["why"].startswith("nothing names it, and it is kept until")
    assert retired == f"local  {first}  dropped\n"
    assert gone == set()
    assert first not in schemas(server)
    assert len(schemas(server)) == 1
