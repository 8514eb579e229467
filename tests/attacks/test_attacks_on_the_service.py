"""What a hostile client can send to a real registry: a clear problem, nothing stored, no 500, and it serves on."""

import http.client
import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from regalia.core.digest import Digest
from regalia_cli.demo.stage import FILES
from tests.support.registries import Home, home

GOOD = Digest.of(b"hello")
NS = "/v1/namespaces/acme"
APP = "/v1/apps/acme/support-agent"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    with home(tmp_path_factory.mktemp("home"), files=FILES) as made:
        made.must("init", "acme/support-agent", "--registry", made.url)
        made.start()
        made.must("bundle", "create", "1.0.0")
        made.must("promote", "1.0.0", "--to", "prod")
        yield made
        assert made.answers()
        assert "Traceback" not in (made.folder / "registry.log").read_text()


def send(
    made: Home,
    method: str,
    path: str,
    body: bytes = b"",
    *,
    token: str | None = "",
    host: str = "127.0.0.1",
    **headers: str,
) -> tuple[int, dict[str, object]]:
    connection = http.client.HTTPConnection("127.0.0.1", made.port, timeout=20)
    try:
        connection.putrequest(method, path, skip_host=True)
        connection.putheader("Host", host)
        if token is not None:
            connection.putheader("Authorization", f"Bearer {token or made.token}")
        for name, value in {"content_length": str(len(body)), **headers}.items():
            connection.putheader(name.replace("_", "-"), value)
        connection.endheaders(body)
        response = connection.getresponse()
        told = response.read()
    finally:
        connection.close()
    problem = json.loads(told) if "json" in response.headers.get("content-type", "") and told else {}
    return response.status, problem if isinstance(problem, dict) else {}


BAD_DIGESTS = [
    "sha256:..%2f..%2fetc%2fpasswd",
    "sha256:" + "A" * 64,
    "sha256:" + "a" * 63,
    "sha256:" + "a" * 63 + "%00",
    "sha256:" + "a" * 64 + "%0a",
    "sha512:" + "a" * 128,
    "md5:" + "a" * 32,
    "sha256:" + GOOD.hex + ",sha512:" + "a" * 128,
    "a" * 64,
]


@pytest.mark.parametrize("digest", BAD_DIGESTS)
@pytest.mark.parametrize("method", ["PUT", "GET"])
def test_a_digest_of_any_other_form_is_refused(served: Home, method: str, digest: str) -> None:
    status, _ = send(served, method, f"{NS}/blobs/{digest}", b"hello" if method == "PUT" else b"")

    assert status in {400, 404, 422}


def test_a_blob_that_is_not_its_digest_is_not_kept(served: Home) -> None:
    digest = Digest.of(b"what it should be")

    status, problem = send(served, "PUT", f"{NS}/blobs/{digest}", b"what it is")

    assert (status, problem["code"]) == (400, "digest_mismatch")
    assert send(served, "GET", f"{NS}/blobs/{digest}")[0] == 404


@pytest.mark.parametrize("length", ["-1", "5x", "1e3", "99999999999999999999", " ", "٣"])
def test_a_length_that_is_none_is_refused(served: Home, length: str) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=5)
    connection.putrequest("PUT", f"{NS}/blobs/{GOOD}")
    connection.putheader("Authorization", f"Bearer {served.token}")
    connection.putheader("Content-Length", length.encode("utf-8"))
    connection.endheaders(b"hello")
    try:
        status = connection.getresponse().status
    except (ConnectionError, http.client.HTTPException, TimeoutError):
        status = 400  # the server hung up
    finally:
        connection.close()

    assert status in {400, 413}


DOCUMENTS = {
    "empty": b"",
    "no-json": b"x",
    "array": b"[]",
    "duplicate-keys": b'{"schemaVersion":2,"schemaVersion":2}',
    "nan": b'{"schemaVersion":NaN}',
    "bom": b"\xef\xbb\xbf{}",
    "lone-surrogate": b'{"a":"\\ud800"}',
    "deep": b"[" * 5000 + b"]" * 5000,
    "five-thousand-digits": b'{"schemaVersion":' + b"9" * 5000 + b"}",
    "index-as-manifest": b'{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}',
    "both": b'{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","manifests":[],"layers":[]}',
}


@pytest.mark.parametrize("defect", DOCUMENTS)
def test_a_broken_manifest_is_refused(served: Home, defect: str) -> None:
    body = DOCUMENTS[defect]

    status, problem = send(served, "PUT", f"{NS}/manifests/{Digest.of(body)}", body)

    assert status == 400
    assert problem["code"] == "invalid_document"


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{", b'{"digests": 1}', b'{"digests": ["x"]}', b'{"digests": [], "a": 1}']
)
def test_a_body_of_another_shape_is_refused(served: Home, body: bytes) -> None:
    status, _ = send(served, "POST", f"{NS}/blobs/missing", body, content_type="application/json")

    assert status in {400, 422}


@pytest.mark.parametrize(
    "path", [f"{APP}/bundles?limit=1000000000", f"{APP}/bundles?limit=0", f"{APP}/bundles?limit=-1"]
)
def test_a_list_is_never_longer_than_its_cap(served: Home, path: str) -> None:
    assert send(served, "GET", path)[0] == 422


@pytest.mark.parametrize("host", ["evil.example.com", "", "127.0.0.1.evil.example.com", "localhost@evil"])
def test_another_host_is_misdirected(served: Home, host: str) -> None:
    assert send(served, "GET", "/v1/whoami", host=host)[0] in {400, 421}


@pytest.mark.parametrize("token", [None, "rgl_" + "A" * 43, "x" * 10_000, "Bearer", "rgl_"])
def test_no_path_reads_without_a_known_token(served: Home, token: str | None) -> None:
    for path in (
        "/v1/whoami",
        f"{APP}/channels/prod/resolve",
        f"{APP}/channels/prod/resolve/",
        f"/{APP}/channels/prod/resolve",
        f"{APP}/bundles/1.0.0",
        f"{NS}/artifacts",
        "/v1/trust/roots/1",
    ):
        assert send(served, "GET", path, token=token)[0] in {401, 404}, path


def test_another_tenants_things_are_not_there(served: Home) -> None:
    made = json.loads(
        served.must("token", "create", "--name", "other", "--right", "publish", "--namespace", "other", "--json")
    )
    held = Digest.of((served.project / "prompts/customer_support.yaml").read_bytes())

    for method, path in (
        ("GET", f"{APP}/channels/prod/resolve"),
        ("GET", f"{NS}/blobs/{held}"),
        ("GET", f"/v1/namespaces/other/blobs/{held}"),
        ("GET", f"{APP}/channels"),
    ):
        assert send(served, method, path, token=made["token"])[0] in {403, 404}, path
    body = json.dumps({"digests": [str(held)]}).encode()
    status, answer = send(
        served, "POST", "/v1/namespaces/other/blobs/missing", body, token=made["token"], content_type="application/json"
    )
    assert (status, answer["missing"]) == (200, [str(held)])


@pytest.mark.parametrize(
    "path",
    [
        f"{APP}/channels/prod/resolve?root=-1",
        f"{APP}/channels/prod/resolve?root=99999999999999999999",
        f"{APP}/channels/prod/resolve?have=x",
        f"{APP}/channels/..%2fprod/resolve",
        f"{APP}/channels/PROD/resolve",
        f"{APP}/bundles/1.0.0%0a/resolve",
        f"{APP}/bundles/%5e1.0/resolve",
        "/v1/apps/prompt/x/channels/prod/resolve",
        f"{APP}/channels/prod/history?after=99999999999999999999",
        "/v1/trust/roots/99999999999999999999",
        "/v1/trust/roots/-1",
    ],
)
def test_a_name_or_number_of_another_form_is_refused(served: Home, path: str) -> None:
    status, problem = send(served, "GET", path)

    assert 400 <= status < 500
    assert problem["hint"] is not None


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("snapshots", {"target": "local", "name": "kb", "collection": "a\0b"}),
        ("targets/local/look", {"what": "show", "collection": "a\0b"}),
        ("targets/local/retire", {"collection": "a\0b"}),
        ("targets/local/search", {"collection": "a\0b", "like": "1"}),
        ("targets/local/search", {"collection": "kb", "like": "\0"}),
        ("targets/local/search", {"collection": "kb", "vector": [1e39]}),
        ("targets/local/search", {"collection": "kb"}),
    ],
)
def test_a_question_that_would_spoil_the_journal_is_not_taken(served: Home, path: str, body: dict[str, object]) -> None:
    status, problem = send(served, "POST", f"{NS}/{path}", json.dumps(body).encode(), content_type="application/json")

    assert status in {400, 422}
    assert problem["code"] in {"invalid", "invalid_request", "invalid_document"}
    assert json.loads(served.must("operation", "list", "--json")) == []


def test_a_pointer_that_nobody_signed_moves_nothing(served: Home) -> None:
    before = served.must("channel", "show", "prod", "--json")

    status, problem = send(
        served, "POST", f"{APP}/channels/prod/pointers", b'{"pointer": "e30="}', content_type="application/json"
    )

    assert (status, problem["step"]) == (400, "pointer")
    assert served.must("channel", "show", "prod", "--json") == before


def test_the_log_holds_no_token(served: Home) -> None:
    send(served, "GET", "/v1/whoami")

    assert served.token not in (served.folder / "registry.log").read_text()


def test_a_read_only_data_folder_is_told_in_words(tmp_path: Path) -> None:
    with home(tmp_path) as made:
        (tmp_path / "file").write_text("")

        done = made.reg("serve", "--data", str(tmp_path / "file" / "data"))

    assert done.returncode == 1
    assert "can't be the data folder" in done.stderr


NOBODY = [
    ("../../etc/passwd", f"1.7 sha256:{'0' * 64}"),
    ("a" * 10_000, f"1.7 sha256:{'0' * 64}"),
    ("a1'; DROP TABLE agent; --", f"1.7 sha256:{'0' * 64}"),
    ("a1", "9" * 10_000),
    ("a1", f"1.9999999999999999 sha256:{'0' * 64}"),
    ("a1", f"1.7 sha256:{'0' * 64} and more"),
    ("a1", ""),
]


def test_who_tells_nonsense_of_itself_is_answered_and_not_listed(served: Home) -> None:
    listed: object = []
    deadline = time.monotonic() + 30

    answered = {
        send(served, "GET", f"{APP}/channels/prod/resolve", Regalia_Instance=instance, Regalia_Serves=serves)[0]
        for instance, serves in NOBODY
    }
    sound = f"1.7 sha256:{'0' * 64}"
    send(served, "GET", f"{APP}/channels/prod/resolve", Regalia_Instance="sound", Regalia_Serves=sound)
    while not listed and time.monotonic() < deadline:  # polls are noted together, every few seconds
        time.sleep(0.1)
        listed = send(served, "GET", f"{APP}/channels/prod/agents")[1]["items"]

    assert answered == {200}
    assert isinstance(listed, list)
    assert [one["instance"] for one in listed] == ["sound"]


@pytest.mark.parametrize("pin", ["", "sha256:", "sha256:" + "A" * 64, "1.0.0", "sha256:" + "0" * 64, "sha256:../.."])
@pytest.mark.parametrize("channel", ["prod", "absent"])
def test_a_pin_of_any_other_form_is_refused(served: Home, channel: str, pin: str) -> None:
    status, _ = send(served, "GET", f"{APP}/channels/{channel}@{pin}/resolve")

    assert status in {400, 404}


@pytest.mark.parametrize("path", ["agents?limit=1000000000", "agents?limit=0", "agents?after=" + "a" * 300])
def test_a_list_of_agents_has_its_bounds(served: Home, path: str) -> None:
    status, _ = send(served, "GET", f"{APP}/channels/prod/{path}")

    assert status == 422


@pytest.mark.parametrize("what", ["agents", "readiness"])
def test_agents_and_readiness_are_shown_to_who_may_read_alone(served: Home, what: str) -> None:
    made = json.loads(
        served.must("token", "create", "--name", "x", "--right", "read", "--namespace", "other", "--json")
    )

    assert send(served, "GET", f"{APP}/channels/prod/{what}", token=None)[0] == 401
    assert send(served, "GET", f"{APP}/channels/prod/{what}", token=made["token"])[0] == 404
