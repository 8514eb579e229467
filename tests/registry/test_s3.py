"""What the S3 adapter promises beyond its port: against a real server, and one that lies, stumbles or says no."""

import re
import signal
import subprocess
import sys
import time
import tracemalloc
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from uuid import uuid4

import pytest

from regalia.core.digest import Digest
from regalia.core.errors import BusyError, ConfigurationError, DigestError, StorageFullError, UnavailableError
from regalia_registry.adapters.s3.address import Address
from regalia_registry.adapters.s3.store import S3Blobs, open_s3
from regalia_registry.ports.blobs import read_blob
from tests.servers import odd_s3
from tests.servers.odd_s3 import Between, altering, changing, cutting, losing_the_answer, refusing, saying
from tests.servers.seaweed import BUCKET, Seaweed, client_of, known

MIB = 1024 * 1024
CONTENT = bytes(range(256)) * 16 * 1024  # 4 MiB: one request
PARTS = CONTENT * 4 + b"!"
DIGEST, OF_PARTS = Digest.of(CONTENT), Digest.of(PARTS)

UPLOAD = """
import sys
from regalia.core.digest import Digest
from regalia_registry.adapters.s3.store import open_s3
open_s3(sys.argv[1]).put(digest=Digest(sys.argv[2]), source=sys.stdin.buffer, size_bytes=int(sys.argv[3]))
"""


@pytest.fixture
def between(seaweed: Seaweed) -> Iterator[Between]:
    with odd_s3.before(seaweed.endpoint) as proxy:
        yield proxy


@pytest.fixture
def prefix() -> str:
    return uuid4().hex


@pytest.fixture
def store(seaweed: Seaweed, between: Between, prefix: str) -> S3Blobs:
    opened = seaweed.open(prefix, endpoint=between.url)
    between.heard.clear()
    return opened


def put(store: S3Blobs, content: bytes) -> bool:
    return store.put(digest=Digest.of(content), source=BytesIO(content), size_bytes=len(content))


def flipped(body: bytes) -> bytes:
    return body[:1000] + bytes([body[1000] ^ 1]) + body[1001:]


def uploads(seaweed: Seaweed, prefix: str) -> list[str]:
    listed = client_of(seaweed).list_multipart_uploads(Bucket=BUCKET, Prefix=prefix)
    return [one["UploadId"] for one in listed.get("Uploads", [])]


def test_a_blob_is_an_object_under_its_digest(seaweed: Seaweed, store: S3Blobs, prefix: str) -> None:
    put(store, CONTENT)

    found = client_of(seaweed).get_object(Bucket=BUCKET, Key=f"{prefix}/sha256/{DIGEST.hex}")
    assert (found["Body"].read() == CONTENT, found["ContentType"]) == (True, "application/octet-stream")


def test_what_is_there_is_not_sent_again(store: S3Blobs, between: Between) -> None:
    put(store, PARTS)
    between.heard.clear()

    put(store, PARTS)

    assert between.calls() == ["get"]


def test_a_read_that_is_cut_goes_on_where_it_was(store: S3Blobs, between: Between) -> None:
    put(store, CONTENT)
    between.play("get", cutting(100), cutting(MIB), cutting(0))

    assert read_blob(store, DIGEST) == CONTENT
    assert [one.headers.get("range") for one in between.heard] == [
        None,
        f"bytes=100-{len(CONTENT) - 1}",
        f"bytes={MIB + 100}-{len(CONTENT) - 1}",
        f"bytes={MIB + 100}-{len(CONTENT) - 1}",
    ]


def test_a_range_that_is_cut_goes_on_up_to_its_end(store: S3Blobs, between: Between) -> None:
    put(store, CONTENT)
    between.play("get", cutting(7))

    with store.open(digest=DIGEST, start=1000, stop=2000) as source:
        assert source.read() == CONTENT[1000:2000]


def test_a_read_that_is_cut_again_and_again_is_unavailable(store: S3Blobs, between: Between) -> None:
    put(store, CONTENT)
    between.play("get", *[cutting(10)] * 5)

    with pytest.raises(UnavailableError):
        read_blob(store, DIGEST)


@pytest.mark.parametrize(
    "change", [flipped, lambda body: body[:-5], lambda body: body + b"!"], ids=["flipped", "shorter", "longer"]
)
def test_what_is_not_the_blob_is_never_given_whole(store: S3Blobs, between: Between, change: odd_s3.Change) -> None:
    put(store, CONTENT)
    between.play("get", changing(change))
    given = bytearray()

    def read() -> None:
        with store.open(digest=DIGEST) as source:
            while chunk := source.read(MIB):
                given.extend(chunk)

    with pytest.raises(DigestError, match="damaged"):
        read()
    assert len(given) < len(change(CONTENT))


def test_a_server_that_gives_other_bytes_than_were_asked_for_is_refused(store: S3Blobs, between: Between) -> None:
    put(store, CONTENT)
    between.play("get", saying(206, b"abc", **{"Content-Range": f"bytes 0-2/{len(CONTENT)}"}))

    with pytest.raises(UnavailableError, match="other bytes"):
        store.open(digest=DIGEST, start=5, stop=8)


def test_a_server_that_knows_no_ranges_is_refused(store: S3Blobs, between: Between) -> None:
    put(store, CONTENT)
    between.play("get", saying(200, CONTENT))

    with pytest.raises(UnavailableError, match="other bytes"):
        store.open(digest=DIGEST, start=5)


def test_a_server_that_stumbles_twice_is_asked_again(store: S3Blobs, between: Between) -> None:
    between.play("put", refusing(503, "SlowDown"), refusing(500, "InternalError"))

    assert put(store, CONTENT) is True


@pytest.mark.parametrize(
    ("status", "code", "kind", "words"),
    [
        (503, "SlowDown", BusyError, "fewer requests"),
        (503, "ServiceUnavailable", UnavailableError, "answers ServiceUnavailable"),
        (507, "XMinioStorageFull", StorageFullError, "takes no more"),
        (403, "AccessDenied", UnavailableError, "may not be used"),
        (403, "RequestTimeTooSkewed", UnavailableError, "finds our clock wrong"),
        (400, "KMS.DisabledException", UnavailableError, "its key can't be used"),
        (400, "ExpiredToken", UnavailableError, "does not know this identity"),
    ],
    ids=lambda value: value if isinstance(value, str) and " " not in value else "",
)
def test_what_s3_says_is_told_in_words(
    store: S3Blobs, between: Between, status: int, code: str, kind: type[UnavailableError], words: str
) -> None:
    between.play("put", *[refusing(status, code)] * 3)

    with pytest.raises(UnavailableError, match=words) as refused:
        put(store, CONTENT)

    assert (type(refused.value), bool(refused.value.hint)) == (kind, True)


def test_a_bucket_that_went_away_is_told_from_a_blob_that_is_not_there(store: S3Blobs, between: Between) -> None:
    between.play("get", refusing(404, "NoSuchBucket"), refusing(404, "NoSuchBucket"))

    with pytest.raises(UnavailableError, match="is not there"):
        store.stat(digest=DIGEST)
    with pytest.raises(UnavailableError, match="is not there"):
        store.open(digest=DIGEST)


@pytest.mark.parametrize(("call", "content"), [("put", CONTENT), ("part", PARTS)], ids=["at-once", "parts"])
def test_bytes_that_are_altered_on_their_way_are_not_kept(
    seaweed: Seaweed, store: S3Blobs, between: Between, prefix: str, call: str, content: bytes
) -> None:
    between.play(call, *[altering(flipped)] * 3)

    with pytest.raises(UnavailableError, match="altered"):
        put(store, content)

    assert (store.stat(digest=Digest.of(content)), list(store.list()), uploads(seaweed, prefix)) == (None, [], [])


def test_a_completion_that_fails_under_a_200_is_none(
    seaweed: Seaweed, store: S3Blobs, between: Between, prefix: str
) -> None:
    between.play("complete", *[refusing(200, "InternalError")] * 3)

    with pytest.raises(UnavailableError, match="InternalError"):
        put(store, PARTS)

    assert (store.stat(digest=OF_PARTS), uploads(seaweed, prefix)) == (None, [])


@pytest.mark.parametrize(("call", "content"), [("put", CONTENT), ("complete", PARTS)], ids=["at-once", "parts"])
def test_a_blob_whose_answer_is_lost_is_there(store: S3Blobs, between: Between, call: str, content: bytes) -> None:
    between.play(call, losing_the_answer)

    put(store, content)

    assert read_blob(store, Digest.of(content)) == content


@pytest.mark.parametrize(("call", "content"), [("put", CONTENT), ("complete", PARTS)], ids=["at-once", "parts"])
def test_a_server_without_conditions_keeps_blobs_too(
    store: S3Blobs, between: Between, call: str, content: bytes
) -> None:
    between.play(call, refusing(501, "NotImplemented"))

    assert [put(store, content), put(store, content)] == [True, False]
    assert [one.headers.get("if-none-match") for one in between.heard if one.call == call] == ["*", None]


def test_a_conflict_with_another_writer_is_no_new_blob(store: S3Blobs, between: Between) -> None:
    between.play("get", saying(404, b""))
    between.tricks["put"] = [refusing(409, "ConditionalRequestConflict")]

    with pytest.raises(UnavailableError, match="meanwhile"):
        put(store, CONTENT)


def test_an_object_of_another_size_is_told_and_left_alone(seaweed: Seaweed, store: S3Blobs, prefix: str) -> None:
    key = f"{prefix}/sha256/{DIGEST.hex}"
    client_of(seaweed).put_object(Bucket=BUCKET, Key=key, Body=b"cut")

    with pytest.raises(UnavailableError, match="3 bytes in the blob store") as refused:
        put(store, CONTENT)

    assert key in refused.value.hint


def test_an_upload_that_was_left_a_day_ago_is_cleared_at_start(seaweed: Seaweed, between: Between, prefix: str) -> None:
    client = client_of(seaweed)
    for name in ("old", "young"):
        client.create_multipart_upload(Bucket=BUCKET, Key=f"{prefix}/sha256/{name}")
    listed = client.list_multipart_uploads(Bucket=BUCKET, Prefix=prefix)["Uploads"]
    begun = {one["Key"].rpartition("/")[2]: one for one in listed}

    def aged(body: bytes) -> bytes:
        [old] = [part for part in body.split(b"<Upload>") if begun["old"]["UploadId"].encode() in part]
        return body.replace(old, re.sub(b"<Initiated>.*?<", b"<Initiated>2020-01-01T00:00:00.000Z<", old))

    between.play("uploads", changing(aged))
    seaweed.open(prefix, endpoint=between.url)

    assert uploads(seaweed, prefix) == [begun["young"]["UploadId"]]


def test_a_process_killed_in_the_middle_of_a_put_leaves_no_blob(seaweed: Seaweed, prefix: str) -> None:
    command = [sys.executable, "-c", UPLOAD, seaweed.url(prefix), OF_PARTS.hex, str(len(PARTS))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, env=seaweed.environment) as upload:
        assert upload.stdin is not None
        upload.stdin.write(PARTS[:-1])
        upload.stdin.flush()
        deadline = time.monotonic() + 30
        while not uploads(seaweed, prefix) and time.monotonic() < deadline:
            time.sleep(0.02)
        upload.send_signal(signal.SIGKILL)

    store = seaweed.open(prefix)
    assert (store.stat(digest=OF_PARTS), list(store.list()), len(uploads(seaweed, prefix))) == (None, [], 1)
    assert put(store, PARTS) is True


def test_a_large_blob_is_never_in_memory_as_a_whole(seaweed: Seaweed, tmp_path: Path) -> None:
    file, digest, size_bytes = tmp_path / "large", OF_PARTS, 160 * MIB
    with file.open("wb") as target:
        digest, _ = Digest.of_chunks(chunk for chunk in [CONTENT] * 40 if target.write(chunk))
    store = seaweed.open()

    tracemalloc.start()
    with file.open("rb") as source:
        store.put(digest=digest, source=source, size_bytes=size_bytes)
    with store.open(digest=digest) as found:
        while found.read(MIB):
            pass
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < 64 * MIB


def test_a_list_goes_over_pages_and_passes_over_what_is_not_ours(seaweed: Seaweed, prefix: str) -> None:
    client = client_of(seaweed)
    digests = sorted(Digest.of(str(number).encode()) for number in range(1100))
    keys = [f"{prefix}/sha256/{digest.hex}" for digest in digests]
    others = [
        f"{prefix}/sha256/README",
        f"{prefix}/sha256/{'A' * 64}",
        f"{prefix}/other",
        f"{prefix}2/sha256/{'a' * 64}",
    ]
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda key: client.put_object(Bucket=BUCKET, Key=key, Body=b""), keys + others))

    assert list(seaweed.open(prefix).list(after=digests[9])) == digests[10:]


def test_an_address_to_read_at_needs_no_identity(seaweed: Seaweed) -> None:
    store = seaweed.open(redirect=seaweed.endpoint)
    put(store, CONTENT)
    address = store.url_for(digest=DIGEST)

    assert address is not None
    with urllib.request.urlopen(address) as answer:  # noqa: S310 # our own loopback address
        assert answer.read() == CONTENT
    assert "X-Amz-Expires=300" in address


def test_clients_are_sent_to_the_address_that_they_know_or_nowhere(seaweed: Seaweed) -> None:
    elsewhere = seaweed.open(redirect="https://s3.example.com").url_for(digest=DIGEST)

    assert elsewhere is not None
    assert elsewhere.startswith(f"https://s3.example.com/{BUCKET}/")
    assert seaweed.open(redirect="off").url_for(digest=DIGEST) is None


def test_clients_are_not_sent_to_a_server_without_tls_unless_it_is_said_that_they_know_it(seaweed: Seaweed) -> None:
    assert seaweed.open().url_for(digest=DIGEST) is None


def test_a_key_of_the_customer_is_named_with_each_object(seaweed: Seaweed, between: Between) -> None:
    done = saying(200, b"", ETag='"1"')
    begun = saying(200, b"<R><Bucket>b</Bucket><Key>k</Key><UploadId>u</UploadId></R>")
    between.tricks |= {"begin": [begun], "abort": [saying(204, b"")], "put": [done]}
    store = seaweed.open(endpoint=between.url, encryption="aws:kms", kms_key="alias/blobs")

    put(store, CONTENT)

    made = [one.headers for one in between.heard if one.call in {"begin", "put"}]
    names = ("x-amz-server-side-encryption", "x-amz-server-side-encryption-aws-kms-key-id")
    assert [tuple(one.get(name) for name in names) for one in made] == [("aws:kms", "alias/blobs")] * 2


@pytest.mark.parametrize("content", [CONTENT, PARTS], ids=["at-once", "parts"])
def test_a_server_that_knows_md5_alone_is_sent_nothing_else(seaweed: Seaweed, between: Between, content: bytes) -> None:
    store = seaweed.open(endpoint=between.url, checksum="md5")
    put(store, content)

    sent = [one.headers for one in between.heard if one.call in {"put", "part"}]
    assert all("content-md5" in one for one in sent)
    assert [name for one in between.heard for name in one.headers if "checksum" in name or "trailer" in name] == []
    assert read_blob(store, Digest.of(content)) == content


def test_boto3s_own_checksums_are_off(store: S3Blobs, between: Between) -> None:
    put(store, CONTENT)
    put(store, PARTS)

    names = {name for one in between.heard for name in one.headers if "crc" in name or "trailer" in name}
    assert names == set()


def at_start(seaweed: Seaweed, url: str, **environment: str) -> ConfigurationError:
    with known({**seaweed.environment, **environment}), pytest.raises(ConfigurationError) as refused:
        open_s3(url)
    return refused.value


def test_a_bucket_that_is_not_there_is_told_at_start(seaweed: Seaweed) -> None:
    told = at_start(seaweed, f"s3://no-such-bucket/?endpoint={seaweed.endpoint}")

    assert told.message == 'the bucket "no-such-bucket" is not there (NoSuchBucket)'


def test_an_identity_that_is_not_known_is_told_at_start(seaweed: Seaweed) -> None:
    told = at_start(seaweed, seaweed.url("p"), AWS_SECRET_ACCESS_KEY="another")

    assert "does not know this identity (SignatureDoesNotMatch)" in told.message
    assert "another" not in f"{told.message}{told.hint}"


def test_an_identity_that_is_not_given_is_told_at_start(seaweed: Seaweed) -> None:
    told = at_start(seaweed, seaweed.url("p"), AWS_ACCESS_KEY_ID="", AWS_SECRET_ACCESS_KEY="")

    assert "AWS_PROFILE" in told.hint


@pytest.mark.parametrize("call", ["list", "get", "begin", "abort"])
def test_a_right_that_is_missing_is_told_at_start(seaweed: Seaweed, between: Between, call: str) -> None:
    between.play(call, refusing(403, "AccessDenied"))

    told = at_start(seaweed, seaweed.url("p", endpoint=between.url))

    assert ("may not be used" in told.message, "s3:ListBucket" in told.hint) == (True, True)


def test_what_is_no_s3_is_told_at_start(seaweed: Seaweed, between: Between) -> None:
    between.play("list", saying(200, b"<html><body>hello</body></html>"))

    assert "what answers is no S3" in at_start(seaweed, seaweed.url("p", endpoint=between.url)).message


def test_what_says_nothing_that_s3_would_say_is_told_as_such(store: S3Blobs, between: Between) -> None:
    between.play("list", *[saying(200, b"hello")] * 3)

    with pytest.raises(UnavailableError, match="nothing of S3's") as refused:
        list(store.list())

    assert "is the endpoint an S3" in refused.value.hint


def test_a_server_that_is_silent_at_start_may_answer_later(seaweed: Seaweed, between: Between) -> None:
    between.tricks["list"] = [refusing(503, "SlowDown")] * 3

    store = seaweed.open(endpoint=between.url)

    assert put(store, CONTENT) is True


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("s3://AKIDEXAMPLE:hush-hush@bucket/p", "a user or password"),
        ("s3://bucket/p?secret_access_key=hush-hush", 'no parameter "secret_access_key"'),
        ("s3://bucket/p?endpoint=https://me:hush-hush@s3.example.com", '"endpoint" holds a user or password'),
        ("s3://bucket/p?redirect=https://me:hush-hush@s3.example.com", '"redirect" holds a user or password'),
        ("s3://bucket/p?endpoint=ftp://s3.example.com", '"endpoint" is no address'),
        ("s3://bucket/p?endpoint=https://s3.example.com/path", '"endpoint" is no address'),
        ("s3://bucket/p?region=eu&region=us", '"region" stands twice'),
        ("s3://bucket/p?region=EU WEST", '"region" is'),
        ("s3://bucket/p?path_style=maybe", '"path_style" is'),
        ("s3://bucket/p?checksum=crc32", '"checksum" is'),
        ("s3://bucket/p?encryption=rot13", '"encryption" is'),
        ("s3://bucket/p?kms_key=alias/a", '"kms_key" needs'),
        ("s3://bucket/p?encryption=AES256&kms_key=alias/a", '"kms_key" needs'),
        ("s3://bucket/p?region", "no URL"),
        ("s3://bucket/p#x", "a fragment"),
        ("s3:///p", "no name of a bucket"),
        ("s3://Bucket/p", "no name of a bucket"),
        ("s3://b/p", "no name of a bucket"),
        ("s3://bucket:9000/p", "no name of a bucket"),
        ("s3://[bucket/p", "no URL"),
        ("s3://bucket/a//b", "no prefix"),
        ("s3://bucket/a/../b", "no prefix"),
        ("s3://bucket/a%00b", "no prefix"),
        ("s3://bucket/" + "a" * 513, "no prefix"),
    ],
)
def test_an_address_that_is_wrong_is_refused_without_its_secrets(url: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words) as refused:
        Address.parse(url)

    assert "hush-hush" not in f"{refused.value.message}{refused.value.hint}"


def test_an_address_says_how_the_server_is_spoken_to() -> None:
    given = "region=eu-central-1&encryption=aws:kms&kms_key=arn:aws:kms:eu-central-1:1:key/2&redirect=off&checksum=md5"

    assert Address.parse(f"s3://bucket/a/b/?{given}") == Address(
        "bucket",
        "a/b/",
        region="eu-central-1",
        checksum="md5",
        encryption="aws:kms",
        kms_key="arn:aws:kms:eu-central-1:1:key/2",
        redirects=False,
    )


@pytest.mark.parametrize(("given", "is_path_style"), [("", True), ("&path_style=false", False)])
def test_an_endpoint_is_spoken_to_by_paths_unless_it_is_said_otherwise(given: str, is_path_style: bool) -> None:  # noqa: FBT001 # a parameter of the test
    assert Address.parse(f"s3://bucket?endpoint=http://127.0.0.1:9000{given}").path_style is is_path_style
