"""What the disk adapter promises beyond its port: durability, a full disk, a killed process."""

import os
import resource
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import pytest

from regalia.core.digest import Digest
from regalia.core.errors import DigestError, StorageFullError, UnavailableError
from regalia_registry.adapters.disk import DiskBlobs, open_disk

DAY_S = 24 * 3600
CONTENT = b"\x00" * 300_000

UPLOAD = """
import sys
from pathlib import Path
from regalia.core.digest import Digest
from regalia_registry.adapters.disk import DiskBlobs
DiskBlobs(Path(sys.argv[1])).put(digest=Digest(sys.argv[2]), source=sys.stdin.buffer, size_bytes=int(sys.argv[3]))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "blobs"


def put(store: DiskBlobs, content: bytes) -> bool:
    return store.put(digest=Digest.of(content), source=BytesIO(content), size_bytes=len(content))


def incoming(folder: Path) -> list[Path]:
    return list((folder / "incoming").iterdir())


@contextmanager
def room_for(size_bytes: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_blob_lies_under_the_first_two_digits_of_its_digest(folder: Path) -> None:
    put(DiskBlobs(folder), CONTENT)

    hexadecimal = Digest.of(CONTENT).hex
    assert (folder / "sha256" / hexadecimal[:2] / hexadecimal).read_bytes() == CONTENT


def test_only_the_owner_reads_the_blobs(folder: Path) -> None:
    put(DiskBlobs(folder), CONTENT)

    modes = {stat.S_IMODE(path.stat().st_mode) & 0o077 for path in (folder, *folder.rglob("*"))}
    assert modes == {0}


def test_another_process_sees_the_blobs(folder: Path) -> None:
    put(DiskBlobs(folder), CONTENT)

    assert DiskBlobs(folder).stat(digest=Digest.of(CONTENT)) == len(CONTENT)


def test_a_refused_put_leaves_no_file(folder: Path) -> None:
    store = DiskBlobs(folder)
    with pytest.raises(DigestError):
        store.put(digest=Digest.of(b"other"), source=BytesIO(CONTENT), size_bytes=len(CONTENT))

    assert incoming(folder) == []


def test_a_full_disk_is_told_as_such(folder: Path) -> None:
    store = DiskBlobs(folder)

    with room_for(100_000), pytest.raises(StorageFullError):
        put(store, CONTENT)


def test_a_full_disk_keeps_nothing_of_the_blob(folder: Path) -> None:
    store = DiskBlobs(folder)
    with room_for(100_000), pytest.raises(StorageFullError):
        put(store, CONTENT)

    assert (list(store.list()), incoming(folder)) == ([], [])


def test_a_blob_fits_once_there_is_room_again(folder: Path) -> None:
    store = DiskBlobs(folder)
    with room_for(100_000), pytest.raises(StorageFullError):
        put(store, CONTENT)

    assert put(store, CONTENT) is True


def test_a_file_becomes_a_blob_without_being_copied(folder: Path, tmp_path: Path) -> None:
    store, file, digest = DiskBlobs(folder), tmp_path / "whole", Digest.of(CONTENT)
    file.write_bytes(CONTENT)

    told = [store.link(digest=digest, path=file, size_bytes=len(CONTENT)) for _ in range(2)]

    blob = folder / "sha256" / digest.hex[:2] / digest.hex
    assert (told, blob.samefile(file), blob.stat().st_mode & 0o777) == ([True, False], True, 0o600)


def test_a_file_of_another_disk_becomes_a_blob_as_well(folder: Path) -> None:
    store, digest = DiskBlobs(folder), Digest.of(CONTENT)

    with tempfile.NamedTemporaryFile(dir="/dev/shm") as file:
        file.write(CONTENT)
        file.flush()
        is_new = store.link(digest=digest, path=Path(file.name), size_bytes=len(CONTENT))

    assert (is_new, store.open(digest=digest).read(), incoming(folder)) == (True, CONTENT, [])


@pytest.mark.parametrize(
    "content", [CONTENT[:-1], CONTENT + b"!", b"\x01" * len(CONTENT)], ids=["cut", "longer", "other"]
)
def test_a_file_that_is_not_what_its_digest_says_becomes_no_blob(folder: Path, tmp_path: Path, content: bytes) -> None:
    store, file = DiskBlobs(folder), tmp_path / "whole"
    file.write_bytes(content)

    with pytest.raises(DigestError):
        store.link(digest=Digest.of(CONTENT), path=file, size_bytes=len(CONTENT))

    assert list(store.list()) == []


def test_a_folder_that_went_away_is_unavailable(folder: Path) -> None:
    store = DiskBlobs(folder)
    folder.rename(folder.with_name("elsewhere"))

    with pytest.raises(UnavailableError):
        put(store, CONTENT)


def test_a_list_of_a_folder_that_went_away_is_unavailable(folder: Path) -> None:
    store = DiskBlobs(folder)
    folder.rename(folder.with_name("elsewhere"))

    with pytest.raises(UnavailableError):
        list(store.list())


def test_what_a_process_left_a_day_ago_is_cleared_at_start(folder: Path) -> None:
    DiskBlobs(folder)
    old, young = folder / "incoming" / "old", folder / "incoming" / "young"
    for path in (old, young):
        path.write_bytes(b"half")
    os.utime(old, (time.time() - DAY_S - 60,) * 2)

    DiskBlobs(folder)

    assert incoming(folder) == [young]


def test_a_process_killed_in_the_middle_of_a_put_leaves_no_blob(folder: Path) -> None:
    store, digest = DiskBlobs(folder), Digest.of(CONTENT * 10)
    command = [sys.executable, "-c", UPLOAD, str(folder), digest.hex, str(len(CONTENT) * 10)]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as upload:
        assert upload.stdin is not None
        upload.stdin.write(CONTENT * 5)
        upload.stdin.flush()
        _wait_for(lambda: any(path.stat().st_size for path in incoming(folder)))
        upload.send_signal(signal.SIGKILL)

    assert (store.stat(digest=digest), list(store.list()), len(incoming(folder))) == (None, [], 1)


def test_a_put_goes_through_after_another_process_was_killed_in_it(folder: Path) -> None:
    store, digest = DiskBlobs(folder), Digest.of(CONTENT)
    command = [sys.executable, "-c", UPLOAD, str(folder), digest.hex, str(len(CONTENT))]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as upload:
        _wait_for(lambda: bool(incoming(folder)))
        upload.send_signal(signal.SIGKILL)

    assert put(store, CONTENT) is True


def test_an_address_with_escapes_opens_its_folder(tmp_path: Path) -> None:
    store = open_disk(f"file://{tmp_path}/a%20b")

    put(store, CONTENT)

    assert (tmp_path / "a b" / "sha256").is_dir()


def _wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
