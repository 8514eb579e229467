"""A target that runs out of room under a real registry: the operation fails in words, and the service goes on."""

import json
import shutil
from pathlib import Path

import psycopg

from regalia_cli.demo.stage import FILES
from regalia_registry.adapters.vectors.pgvector import places
from regalia_registry.adapters.vectors.pgvector.embedded import EmbeddedPostgres, wheel_binaries
from tests.support.disks import fill, small_disk
from tests.support.registries import home

TABLE = """
CREATE TABLE kb (id int PRIMARY KEY, body text, embedding vector(1));
INSERT INTO kb SELECT n, repeat(md5(n::text), 30), '[1]' FROM generate_series(1, 40000) n;
"""


def test_a_load_that_finds_no_room_fails_in_words_and_the_next_one_succeeds(tmp_path: Path) -> None:
    data = tmp_path / ".local/share/regalia/postgres"
    server = EmbeddedPostgres(data, wheel_binaries())
    with home(tmp_path, files=FILES) as made, small_disk(places.cluster_folder(data), megabytes=400) as disk:
        made.must("init", "acme/support-agent", "--registry", made.url)
        made.start()
        server.start()
        with psycopg.connect(server.url, autocommit=True) as owner:
            owner.execute(TABLE)
        made.must("snapshot", "create", "local", "public.kb", "--name", "kb")
        filler = fill(disk)

        refused = made.reg("snapshot", "load", "kb@1.0.0", "--target", "local", "--as", "kb")
        asked = json.loads(made.must("operation", "list", "--json"))[0]["id"]
        told = json.loads(made.must("operation", "show", asked, "--json"))["operation"]
        filler.unlink()
        loaded = json.loads(made.must("snapshot", "load", "kb@1.0.0", "--target", "local", "--as", "kb", "--json"))

        made.stop()
        assert refused.returncode == 1
        assert told["outcome"]["error"] in {"storage_full", "unavailable"}
        assert loaded["count"] == 40000
        assert "Traceback" not in (tmp_path / "registry.log").read_text()
    shutil.rmtree(server.folder, ignore_errors=True)
