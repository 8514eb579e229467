"""The whole service on PostgreSQL: the same story, a server that is restarted under it, and two replicas as one."""

import http.client
import json
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import make_url

from regalia.client import Client
from regalia.places import ADMIN_TOKEN_HASH_FILE
from regalia_registry.adapters.sql.store import SqlStore
from regalia_registry.adapters.vectors.pgvector.embedded import EmbeddedPostgres
from regalia_registry.admin.prepare import prepare
from regalia_registry.settings import load_settings
from tests.servers import pooler, postgres
from tests.servers.postgres import Catalogs
from tests.servers.seaweed import Seaweed
from tests.support import releases
from tests.support.asking import get
from tests.support.registries import Home, home, replica
from tests.support.stages import PROD, fill, local_of, release, staged

MOVES = 20
RESOLVE = "/v1/apps/acme/support-agent/channels/prod/resolve"
CHANNELS = "/v1/apps/acme/support-agent/channels"  # what no replica keeps
TABLE = """
CREATE TABLE kb (id bigint PRIMARY KEY, body text NOT NULL, embedding vector(4));
INSERT INTO kb SELECT n, 'passage ' || n, ARRAY[n, 1, 0, -n]::vector FROM generate_series(1, 200) n;
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    with postgres.running(tmp_path_factory.mktemp("postgres")) as started:
        yield started


@pytest.fixture
def settings(server: EmbeddedPostgres, tmp_path: Path) -> dict[str, str]:
    return {
        "REGALIA_SERVER_DATABASE": Catalogs(server).make(),
        "REGALIA_SERVER_BLOBS": f"file://{tmp_path / 'blobs'}",
    }


def lasting(answer: tuple[int, dict[str, object]]) -> tuple[int, dict[str, object]]:
    """Leave out what is signed anew each hour."""
    status, body = answer
    return status, {name: value for name, value in body.items() if name != "freshness"}


def send(processes: Sequence[int], number: signal.Signals) -> None:
    for process in processes:
        with suppress(ProcessLookupError):  # a backend that ended by itself
            os.kill(process, number)


def ask(made: Home, path: str = RESOLVE, *, token: str | None = None) -> tuple[int, dict[str, object]]:
    """Resolve as plainly as can be."""
    connection = http.client.HTTPConnection("127.0.0.1", made.port, timeout=10)
    try:
        connection.request("GET", path, headers={"Authorization": f"Bearer {token or made.token}"})
        answered = connection.getresponse()
        return answered.status, json.loads(answered.read())
    finally:
        connection.close()


def until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def move(client: Client, version: str) -> None:
    releases.release(client, releases.push(client, version))
    releases.promote(client, version)


def client_of(made: Home, state: Path) -> Client:
    return Client(environment={**made.environment, "REGALIA_STATE": str(state)}, folder=made.project)


def test_the_story_is_the_same_and_nothing_of_the_catalog_is_in_the_data_folder(
    tmp_path: Path, settings: dict[str, str]
) -> None:
    with staged(tmp_path, settings=settings, workers=2) as made:
        fill(made, TABLE)
        for version in ("1.0.0", "1.1.0"):
            release(made, version, "UPDATE kb SET body = 'now ' || id WHERE id = 7")
            made.must("promote", version, "--to", "prod", "--unplaced")
        made.must("restore", PROD, "--to", "previous", "--reason", "INC-42", "--yes", "--unplaced")

        assert "Hello Ann, this is 1.0.0." in made.must("render", PROD, "greeting", "--var", "name=Ann")
        assert "INC-42" in made.must("history", PROD)
        assert "snapshot/kb" in made.must("operation", "list")
        assert not (tmp_path / ".local/share/regalia/registry.db").exists()


def test_behind_a_pooler_that_shares_its_connections_it_is_the_same_and_as_exact(
    tmp_path: Path, settings: dict[str, str], server: EmbeddedPostgres
) -> None:
    with pooler.pooled(tmp_path, server) as port:
        database = make_url(settings["REGALIA_SERVER_DATABASE"]).database
        settings |= {"REGALIA_SERVER_DATABASE": f"postgresql+psycopg://regalia@127.0.0.1:{port}/{database}"}
        with staged(tmp_path, settings=settings, workers=2) as made, replica(made) as other:
            other.start("--no-worker")
            fill(made, TABLE)
            release(made, "1.0.0")
            made.must("promote", "1.0.0", "--to", "prod", "--unplaced")
            made.must("admin", "check")
            seen = []
            for number in range(12):  # often enough for a driver to prepare its statements
                version = f"2.0.{number}"
                move(client_of(made, tmp_path / "one"), version)
                asked = client_of(other, tmp_path / "two")
                seen.append(asked.refresh(PROD).version == version)

    assert seen == [True] * 12


def test_the_database_is_checked_and_migrated_without_being_served(tmp_path: Path, settings: dict[str, str]) -> None:
    with home(tmp_path) as made:
        made.more |= settings

        before = made.reg("admin", "check")
        made.must("admin", "migrate")
        found = json.loads(made.must("admin", "check", "--json"))

        assert (before.returncode, "reg admin migrate" in before.stdout) == (1, True)
        assert {one["check"]: one["state"] for one in found} == {
            name: "ok" for name in ("database", "version", "encoding", "durability", "rights", "tables")
        }


def test_a_restart_of_the_server_is_told_as_such_and_got_over_by_everybody(
    tmp_path: Path, settings: dict[str, str], server: EmbeddedPostgres
) -> None:
    with staged(tmp_path, "--no-worker", settings=settings, snapshots=False, workers=2) as made:
        release(made, "1.0.0")
        made.must("promote", "1.0.0", "--to", "prod")
        worker = made.work("worker.log")
        try:
            made.must("gc", "--yes")
            before = lasting(ask(made))
            server.stop()
            refused = ask(made, CHANNELS)
            is_alive = get(made.port, "/healthz")[0]
            started = made.reg("restore", PROD, "--to", "previous", "--reason", "INC-42", "--yes")
            server.start()
            until(lambda: ask(made)[0] == 200)

            assert (refused[0], refused[1]["code"], is_alive) == (503, "unavailable", 200)
            assert (started.returncode, "Traceback" in started.stderr) == (1, False)
            assert lasting(ask(made)) == before
            made.must("gc", "--yes")
            assert worker.poll() is None
        finally:
            worker.terminate()
            worker.wait()
        assert "Traceback" not in (tmp_path / "worker.log").read_text()


def test_a_server_that_hangs_keeps_no_web_process_from_answering(
    tmp_path: Path, settings: dict[str, str], server: EmbeddedPostgres
) -> None:
    with staged(tmp_path, "--no-worker", settings=settings, snapshots=False) as made:
        release(made, "1.0.0")
        made.must("promote", "1.0.0", "--to", "prod")
        before = lasting(ask(made))
        processes = postgres.processes(server)
        try:
            send(processes, signal.SIGSTOP)
            answered, alive_s = [], []
            for _ in range(5):
                found = ask(made, CHANNELS)[0], ask(made)[0]
                began = time.monotonic()
                answered.append((*found, get(made.port, "/healthz")[0]))
                alive_s.append(time.monotonic() - began)
        finally:
            send(processes, signal.SIGCONT)
        until(lambda: ask(made)[0] == 200)

        assert answered == [(503, 200, 200)] * 5  # what was answered before is kept
        assert min(alive_s) < 1.5
        assert lasting(ask(made)) == before


def test_a_move_through_one_replica_is_seen_by_the_next_request_to_the_other(
    tmp_path: Path, settings: dict[str, str]
) -> None:
    with (
        staged(tmp_path, "--no-worker", settings=settings, snapshots=False, workers=2) as made,
        replica(made) as other,
    ):
        other.start("--no-worker", workers=2)
        clients = [client_of(made, tmp_path / "state-1"), client_of(other, tmp_path / "state-2")]
        seen = []
        for number in range(MOVES):
            move(clients[number % 2], f"1.0.{number}")
            seen.append({client.refresh(PROD).version for client in clients for _ in range(4)})

        assert seen == [{f"1.0.{number}"} for number in range(MOVES)]


def test_a_token_that_is_revoked_through_one_replica_opens_no_other(tmp_path: Path, settings: dict[str, str]) -> None:
    with (
        staged(tmp_path, "--no-worker", settings=settings, snapshots=False) as made,
        replica(made) as other,
    ):
        other.start("--no-worker")
        release(made, "1.0.0")
        made.must("promote", "1.0.0", "--to", "prod")
        told = made.must("token", "create", "--name", "ci", "--right", "read", "--namespace", "acme", "--json")
        created = json.loads(told)
        before = [ask(one, token=created["token"])[0] for one in (made, other)]

        made.must("token", "revoke", created["entry"]["id"])

        assert before == [200, 200]
        assert [ask(one, token=created["token"])[0] for one in (other, made, other, other)] == [401] * 4


def test_replicas_that_start_at_once_on_an_empty_database_all_start(
    tmp_path: Path, settings: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    replicas = []
    for number in range(4):
        data = tmp_path / f"data-{number}"
        data.mkdir()
        (data / ADMIN_TOKEN_HASH_FILE).write_text("0" * 64)
        replicas.append(load_settings(data=data))

    with ThreadPoolExecutor(len(replicas)) as pool:
        list(pool.map(prepare, replicas))

    with closing(SqlStore.open(settings["REGALIA_SERVER_DATABASE"])) as store, store.read() as tx:
        assert [token.name for token in tx.access.list(after=None, limit=9)] == ["admin of day one"]


def test_a_registry_that_is_copied_to_postgresql_and_a_bucket_goes_on_and_its_agents_notice_nothing(
    tmp_path: Path, settings: dict[str, str], seaweed: Seaweed
) -> None:
    settings |= {**seaweed.environment, "REGALIA_SERVER_BLOBS": seaweed.url(uuid4().hex)}
    command = ("admin", "copy", "--to-database", settings["REGALIA_SERVER_DATABASE"])
    with staged(tmp_path, workers=2) as made:
        made.must("channel", "set", PROD, "--snapshot", "kb=local")
        for version, before in (("1.0.0", TABLE), ("1.1.0", "DELETE FROM kb WHERE id > 150")):
            release(made, version, before)
            made.must("promote", version, "--to", "prod")
        served = client_of(made, tmp_path / "state").refresh(PROD).collection("kb")
        history = made.must("history", PROD, "--json")
        refused = made.reg(*command)
        made.stop()

        made.more |= seaweed.environment
        told = made.reg(*command, "--to-blobs", settings["REGALIA_SERVER_BLOBS"])
        shutil.move(tmp_path / ".local/share/regalia/blobs", tmp_path / "what-nobody-reads-any-more")
        made.more |= settings
        made.start(workers=2)

        assert (refused.returncode, "is served already" in refused.stderr) == (1, True)
        assert (told.returncode, "pointer: 2 rows, the same in both" in told.stderr) == (0, True), told.stderr
        bundle = client_of(made, tmp_path / "state").refresh(PROD)
        assert (bundle.version, bundle.provenance, bundle.warnings) == ("1.1.0", "fresh", ())
        assert bundle.collection("kb") == served
        greeting = client_of(made, tmp_path / "no-state").refresh(PROD).prompt("greeting")
        assert greeting.render(name="Ann") == "Hello Ann, this is 1.1.0."
        assert made.must("history", PROD, "--json") == history
        assert "verified  200 rows" in made.must("snapshot", "verify", "kb@1.0.0")
        made.must("restore", PROD, "--to", "previous", "--reason", "INC-42", "--yes")
        followed = client_of(made, tmp_path / "state").refresh(PROD)
        assert (followed.version, followed.warnings) == ("1.0.0", ())
        with psycopg.connect(local_of(made).url) as connection:
            place = followed.collection("kb")
            count = sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(place.collection, str(place.table)))
            assert connection.execute(count).fetchone() == (200,)
