"""What every blob store keeps."""

from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regalia.core.digest import Digest
from regalia.core.errors import DigestError, NotFoundError
from regalia_registry.ports.blobs import BlobStore, read_blob
from tests.support.blobs import STORES, MakeBlobs

CONTENT = b"0123456789"
ABSENT = Digest.of(b"nobody put this")
LARGE = bytes(range(256)) * 12_289  # three chunks of 1 MiB and a bit
EXACT = bytes(range(256)) * 32_768  # one part of an upload, to the byte
LARGER = EXACT * 2 + b"!"


@pytest.fixture(params=list(STORES.values()), ids=list(STORES), scope="module")
def shared_store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> BlobStore:
    make: MakeBlobs = request.param
    return make(tmp_path_factory.mktemp("store"), request)


@pytest.fixture(params=list(STORES.values()), ids=list(STORES))
def store(request: pytest.FixtureRequest, tmp_path: Path) -> BlobStore:
    make: MakeBlobs = request.param
    return make(tmp_path, request)


def put(store: BlobStore, content: bytes) -> bool:
    return store.put(digest=Digest.of(content), source=BytesIO(content), size_bytes=len(content))


@pytest.mark.parametrize(
    "content",
    [b"", b"x", CONTENT, LARGE, EXACT, EXACT * 2, LARGER],
    ids=["empty", "one-byte", "small", "chunks", "a-part", "two-parts", "parts"],
)
def test_what_was_put_is_read_back(store: BlobStore, content: bytes) -> None:
    put(store, content)

    assert read_blob(store, Digest.of(content)) == content


@pytest.mark.parametrize("content", [b"", b"x", CONTENT, LARGER], ids=["empty", "one-byte", "small", "parts"])
def test_the_second_put_of_a_blob_is_not_new(store: BlobStore, content: bytes) -> None:
    first, second = put(store, content), put(store, content)

    assert (first, second) == (True, False)


def test_a_deleted_blob_is_new_again(store: BlobStore) -> None:
    put(store, CONTENT)
    store.delete(digest=Digest.of(CONTENT))

    assert put(store, CONTENT) is True


def test_bytes_under_another_digest_are_refused(store: BlobStore) -> None:
    with pytest.raises(DigestError):
        store.put(digest=ABSENT, source=BytesIO(CONTENT), size_bytes=len(CONTENT))


@pytest.mark.parametrize("size_bytes", [0, 9, 11, 2**40], ids=["none", "one-less", "one-more", "a-tebibyte"])
def test_another_length_than_declared_is_refused(store: BlobStore, size_bytes: int) -> None:
    with pytest.raises(DigestError):
        store.put(digest=Digest.of(CONTENT), source=BytesIO(CONTENT), size_bytes=size_bytes)


@pytest.mark.parametrize("content", [CONTENT, LARGER], ids=["small", "parts"])
@pytest.mark.parametrize(
    ("is_other", "excess"), [(True, 0), (False, -1), (False, 1)], ids=["other-digest", "too-long", "too-short"]
)
def test_nothing_is_kept_of_a_refused_put(store: BlobStore, content: bytes, is_other: bool, excess: int) -> None:  # noqa: FBT001 # parameters of the test
    digest = ABSENT if is_other else Digest.of(content)
    with pytest.raises(DigestError):
        store.put(digest=digest, source=BytesIO(content), size_bytes=len(content) + excess)

    assert (store.stat(digest=digest), list(store.list())) == (None, [])


def test_a_refused_put_leaves_the_blob_that_is_there(store: BlobStore) -> None:
    put(store, CONTENT)
    with pytest.raises(DigestError):
        store.put(digest=Digest.of(CONTENT), source=BytesIO(b"9876543210"), size_bytes=len(CONTENT))

    assert read_blob(store, Digest.of(CONTENT)) == CONTENT


def test_of_many_puts_at_once_exactly_one_is_new(store: BlobStore) -> None:
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: put(store, LARGE), range(16)))

    assert answers.count(True) == 1


def test_many_puts_of_parts_at_once_keep_the_blob_whole(store: BlobStore) -> None:
    with ThreadPoolExecutor(4) as threads:
        answers = set(threads.map(lambda _: put(store, LARGER), range(4)))

    assert (True in answers, read_blob(store, Digest.of(LARGER)) == LARGER) == (True, True)


def test_puts_at_once_keep_every_blob_whole(store: BlobStore) -> None:
    contents = [bytes([number]) * 100_000 for number in range(32)]

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda content: put(store, content), contents * 2))

    assert [read_blob(store, Digest.of(content)) for content in contents] == contents


@pytest.mark.parametrize(
    ("start", "stop", "expected"),
    [
        (0, None, CONTENT),
        (3, None, b"3456789"),
        (0, 4, b"0123"),
        (3, 4, b"3"),
        (0, 10, CONTENT),
        (0, 99, CONTENT),
        (4, 4, b""),
        (10, None, b""),
        (99, None, b""),
    ],
    ids=["whole", "tail", "head", "one", "exact", "beyond", "nothing", "at-the-end", "behind-the-end"],
)
def test_a_range_is_read(store: BlobStore, start: int, stop: int | None, expected: bytes) -> None:
    put(store, CONTENT)

    with store.open(digest=Digest.of(CONTENT), start=start, stop=stop) as source:
        assert source.read() == expected


@settings(deadline=None)  # a server answers beside other tests
@given(start=st.integers(0, len(LARGE) + 5), length=st.integers(0, len(LARGE)))
def test_a_range_is_that_slice_of_the_content(shared_store: BlobStore, start: int, length: int) -> None:
    put(shared_store, LARGE)

    with shared_store.open(digest=Digest.of(LARGE), start=start, stop=start + length) as source:
        assert source.read() == LARGE[start : start + length]


def test_a_blob_is_read_in_pieces(store: BlobStore) -> None:
    put(store, CONTENT)

    with store.open(digest=Digest.of(CONTENT), stop=9) as source:
        assert [source.read(4), source.read(4), source.read(4), source.read(4)] == [b"0123", b"4567", b"8", b""]


def test_an_absent_blob_can_not_be_opened(store: BlobStore) -> None:
    with pytest.raises(NotFoundError):
        store.open(digest=ABSENT)


def test_stat_gives_the_size(store: BlobStore) -> None:
    put(store, LARGE)

    assert (store.stat(digest=Digest.of(LARGE)), store.stat(digest=ABSENT)) == (len(LARGE), None)


def test_delete_tells_whether_there_was_one(store: BlobStore) -> None:
    put(store, CONTENT)

    first, second = store.delete(digest=Digest.of(CONTENT)), store.delete(digest=Digest.of(CONTENT))

    assert (first, second, store.stat(digest=Digest.of(CONTENT))) == (True, False, None)


def test_all_blobs_are_listed_in_the_order_of_their_digests(store: BlobStore) -> None:
    digests = sorted(Digest.of(bytes([number])) for number in range(100))
    for number in range(100):
        put(store, bytes([number]))

    assert list(store.list()) == digests


def test_a_list_goes_on_behind_a_digest(store: BlobStore) -> None:
    digests = sorted(Digest.of(bytes([number])) for number in range(100))
    for number in range(100):
        put(store, bytes([number]))

    assert [list(store.list(after=digest)) for digest in digests[::25]] == [
        digests[at + 1 :] for at in range(0, 100, 25)
    ]


def test_a_list_goes_on_behind_a_digest_that_is_gone(store: BlobStore) -> None:
    put(store, CONTENT)

    assert list(store.list(after=Digest("0" * 64))) == [Digest.of(CONTENT)]
