"""The same registry with its blobs in a bucket: the whole story, larger blobs, and a bucket that dies."""

import http.client
import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from regalia.client import Client
from regalia.core.digest import Digest
from tests.servers import seaweed as servers
from tests.servers.seaweed import Seaweed
from tests.support.registries import Home
from tests.support.stages import PROD, TABLE, local_of, release, staged

LARGE = os.urandom(1024) * 3000
SMALL = b"small"
PROMPT = 'version: "3.0.0"\nprompt_id: greeting\ntemplate: "Hi."\n'
ORPHAN = b"of a push that never came to its manifest"


@contextmanager
def on_bucket(folder: Path, server: Seaweed, prefix: str, **given: str) -> Iterator[Home]:
    """Serve a registry whose blobs are there, with a worker of its own."""
    environment = {**server.environment, "REGALIA_SERVER_BLOBS": server.url(prefix, redirect=server.endpoint, **given)}
    with staged(folder, "--no-worker", settings=environment) as made:
        worker = made.work("worker.log")
        try:
            yield made
        finally:
            worker.terminate()
            worker.wait(60)


@pytest.fixture
def prefix() -> str:
    return uuid4().hex


@pytest.fixture
def served(tmp_path: Path, seaweed: Seaweed, prefix: str) -> Iterator[Home]:
    with on_bucket(tmp_path, seaweed, prefix) as made:
        yield made


@pytest.fixture
def mortal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seaweed]:
    """Start a bucket of the test's own, which it may kill."""
    with servers.running(tmp_path_factory.mktemp("mortal")) as server:
        yield server


def client_of(made: Home, **environment: str) -> Client:
    return Client(environment={**made.environment, **environment}, folder=made.project)


def ask(made: Home, method: str, path: str, token: str = "", **headers: str) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", made.port, timeout=90)
    try:
        connection.request(method, path, headers={"Authorization": f"Bearer {token or made.token}", **headers})
        answer = connection.getresponse()
        answer.read()
    finally:
        connection.close()
    return answer


def blob_path(content: bytes) -> str:
    return f"/v1/namespaces/acme/blobs/{Digest.of(content)}"


def rows(made: Home) -> int:
    place = client_of(made).refresh(PROD).collection("kb")
    table = sql.Identifier(place.collection, str(place.table))
    with psycopg.connect(local_of(made).url) as connection:
        [found] = connection.execute(sql.SQL("SELECT count(*) FROM {}").format(table)).fetchall()
    return int(found[0])


def test_a_bucket_is_the_whole_change(served: Home, seaweed: Seaweed, prefix: str) -> None:
    release(served, "1.0.0", TABLE)
    release(served, "1.1.0", "DELETE FROM kb WHERE id <= 500")
    served.must("channel", "set", PROD, "--snapshot", "kb=local")
    served.must("promote", "1.0.0", "--to", "prod")
    served.must("promote", "1.1.0", "--to", "prod")
    promoted = rows(served)
    served.must("restore", PROD, "--to", "previous", "--reason", "INC-42", "--yes")
    store = seaweed.open(prefix)
    with (served.folder / "orphan").open("w+b") as file:
        file.write(ORPHAN)
        file.seek(0)
        store.put(digest=Digest.of(ORPHAN), source=file, size_bytes=len(ORPHAN))

    collected = served.must("gc", "--yes")

    assert (promoted, rows(served)) == (1500, 2000)
    assert f"files that no version links  went: 1, {len(ORPHAN)} bytes" in collected
    assert store.stat(digest=Digest.of(ORPHAN)) is None
    served.must("snapshot", "verify", "kb@1.0.1")
    assert not (served.folder / ".local/share/regalia/blobs").exists()
    assert len(list(store.list())) > 5


def test_a_larger_blob_comes_from_the_bucket_and_a_small_one_from_the_registry(served: Home, seaweed: Seaweed) -> None:
    client = client_of(served)
    for content in (LARGE, SMALL):
        client.registry.put_blob("acme", Digest.of(content), content)

    large, small = ask(served, "GET", blob_path(LARGE)), ask(served, "GET", blob_path(SMALL))
    part = ask(served, "GET", blob_path(LARGE), Range="bytes=0-9")

    assert [one.status for one in (large, part, small)] == [307, 307, 200]
    assert str(large.headers["location"]).startswith(f"{seaweed.endpoint}/regalia/")
    assert (large.headers["cache-control"], large.headers["content-length"]) == ("no-store", "0")
    parts = client.registry.blob_parts("acme", Digest.of(LARGE), size_bytes=len(LARGE))
    assert client.registry.blob("acme", Digest.of(LARGE), size_bytes=len(LARGE)) == LARGE
    assert b"".join(parts) == LARGE


def test_a_look_at_a_larger_blob_is_answered_by_the_registry(served: Home) -> None:
    client_of(served).registry.put_blob("acme", Digest.of(LARGE), LARGE)

    seen = ask(served, "HEAD", blob_path(LARGE))

    assert (seen.status, seen.headers["content-length"], seen.headers["location"]) == (200, str(len(LARGE)), None)
    assert seen.headers["etag"] == f'"{Digest.of(LARGE)}"'


def test_clients_that_do_not_reach_the_bucket_get_every_byte_and_range_through_the_registry(
    tmp_path: Path, seaweed: Seaweed, prefix: str
) -> None:
    environment = {**seaweed.environment, "REGALIA_SERVER_BLOBS": seaweed.url(prefix, redirect="off")}
    with staged(tmp_path, "--no-worker", snapshots=False, settings=environment) as made:
        client_of(made).registry.put_blob("acme", Digest.of(LARGE), LARGE)

        part = ask(made, "GET", blob_path(LARGE), Range="bytes=10-19")

        assert (part.status, part.headers["content-range"]) == (206, f"bytes 10-19/{len(LARGE)}")
        assert client_of(made).registry.blob("acme", Digest.of(LARGE), size_bytes=len(LARGE)) == LARGE


@pytest.fixture(params=["in a folder", "in a bucket"])
def stored(request: pytest.FixtureRequest, tmp_path: Path, seaweed: Seaweed, prefix: str) -> Iterator[Home]:
    kept = seaweed.environment | {"REGALIA_SERVER_BLOBS": seaweed.url(prefix, redirect=seaweed.endpoint)}
    settings = kept if request.param == "in a bucket" else {}
    with staged(tmp_path, "--no-worker", snapshots=False, settings=settings) as made:
        yield made


def test_a_blob_or_a_manifest_is_read_only_through_a_namespace_that_links_it(stored: Home) -> None:
    client_of(stored).registry.put_blob("acme", Digest.of(LARGE), LARGE)
    (stored.project / "prompts/greeting.yaml").write_text(PROMPT)
    [pushed] = json.loads(stored.must("push", "prompts/greeting.yaml", "--json"))
    made = ("token", "create", "--name", "other", "--right", "read", "--namespace", "other", "--json")
    other = json.loads(stored.must(*made))["token"]
    paths = [
        f"/v1/namespaces/{namespace}/{what}"
        for namespace in ("acme", "other")
        for what in (f"blobs/{Digest.of(LARGE)}", f"manifests/{pushed['digest']}")
    ]

    answers = [ask(stored, method, path, other) for path in paths for method in ("GET", "HEAD")]

    assert {one.status for one in answers} == {404, 405}  # a manifest has no HEAD
    assert {one.headers["location"] for one in answers} == {None}


def test_a_bucket_that_dies_is_told_and_everything_goes_on_when_it_is_back(
    tmp_path: Path, mortal: Seaweed, prefix: str
) -> None:
    with on_bucket(tmp_path, mortal, prefix) as made:
        release(made, "1.0.0", TABLE)
        made.must("channel", "set", PROD, "--snapshot", "kb=local")
        made.must("promote", "1.0.0", "--to", "prod")
        agent = client_of(made)
        agent.refresh(PROD)
        mortal.stop(signal.SIGKILL)
        made.stop()
        made.start("--no-worker")

        (made.project / "prompts/greeting.yaml").write_text(PROMPT)
        refused = made.reg("push", "prompts/greeting.yaml")
        asked = made.must("snapshot", "create", "local", "kb", "--detach").strip()
        resolved = agent.refresh(PROD)
        deadline = time.monotonic() + 60
        while not events(made, asked) and time.monotonic() < deadline:
            time.sleep(0.2)
        mortal.start()

        made.must("operation", "watch", asked)
        made.must("push", "prompts/greeting.yaml")
        assert json.loads(made.must("operation", "show", asked, "--json"))["operation"]["state"] == "done"
        assert resolved.version == "1.0.0"
        assert (refused.returncode, "does not answer" in refused.stderr) == (1, True)
        assert rows(made) == 2000


def events(made: Home, asked: str) -> list[object]:
    found: list[object] = json.loads(made.must("operation", "show", asked, "--json"))["events"]
    return found


def test_a_bucket_that_hangs_is_given_up_and_resolves_go_on_meanwhile(
    tmp_path: Path, mortal: Seaweed, prefix: str
) -> None:
    with on_bucket(tmp_path, mortal, prefix) as made:
        release(made, "1.0.0", TABLE)
        made.must("promote", "1.0.0", "--to", "prod", "--unplaced")
        client = client_of(made)
        client.registry.put_blob("acme", Digest.of(SMALL), SMALL)
        mortal.send(signal.SIGSTOP)
        try:
            answered = ask(made, "GET", blob_path(SMALL))
            resolved = client.refresh(PROD)
        finally:
            mortal.send(signal.SIGCONT)

        assert (answered.status, answered.headers["retry-after"]) == (503, "1")
        assert resolved.version == "1.0.0"
        assert client.registry.blob("acme", Digest.of(SMALL), size_bytes=len(SMALL)) == SMALL


def test_an_upload_whose_bucket_is_killed_in_the_middle_leaves_nothing_and_goes_through_later(
    tmp_path: Path, mortal: Seaweed, prefix: str
) -> None:
    content = LARGE * 8
    with on_bucket(tmp_path, mortal, prefix) as made:
        connection = http.client.HTTPConnection("127.0.0.1", made.port, timeout=90)
        connection.putrequest("PUT", blob_path(content))
        connection.putheader("Authorization", f"Bearer {made.token}")
        connection.putheader("Content-Length", str(len(content)))
        connection.endheaders(content[: len(content) // 2])
        mortal.stop(signal.SIGKILL)
        connection.send(content[len(content) // 2 :])
        answer = connection.getresponse()
        told = json.loads(answer.read())
        connection.close()
        mortal.start()

        assert (answer.status, told["code"]) == (503, "unavailable")
        assert ask(made, "HEAD", blob_path(content)).status == 404
        assert list(mortal.open(prefix).list()) == []
        client_of(made).registry.put_blob("acme", Digest.of(content), content)
        assert ask(made, "HEAD", blob_path(content)).status == 200


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("s3://no-such-bucket/p?endpoint={endpoint}", 'the bucket "no-such-bucket" is not there'),
        ("s3://me:hush-hush@regalia/p?endpoint={endpoint}", "it holds a user or password"),
        ("s4://regalia/p", 'no blob store opens "s4:" addresses'),
    ],
    ids=["no-bucket", "a-secret", "another-scheme"],
)
def test_an_address_that_can_not_work_is_told_at_start(
    tmp_path: Path, seaweed: Seaweed, address: str, words: str
) -> None:
    made = Home(tmp_path, 0, more={**seaweed.environment})
    made.project.mkdir()
    made.more["REGALIA_SERVER_BLOBS"] = address.format(endpoint=urlsplit(seaweed.endpoint).geturl())

    told = made.reg("serve", "--port", "0")

    assert (told.returncode, words in told.stderr, "hush-hush" in told.stderr) == (1, True, False)
    assert "hint" in told.stderr or "REGALIA_SERVER_BLOBS" in told.stderr
