"""Files of any size: out in parts that are hashed together, in without being held, whole or not at all."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from regalia import filing
from regalia._transport import Request, Response
from regalia.client import Client
from regalia.core.digest import Digest
from regalia.core.errors import (
    ConfigurationError,
    ConflictError,
    DigestError,
    InvalidError,
    NotFoundError,
    TooLargeError,
)
from regalia.core.manifest import MAX_BLOB

BODY = bytes(range(256)) * (20 * 4096)  # 20 MiB: three parts
BLOB = Digest.of(BODY)


@dataclass
class Shelf:
    """A transport to a registry that keeps blobs, and nothing else."""

    served: bytes = BODY
    kept: dict[str, bytes] = field(default_factory=dict)
    asked: list[Request] = field(default_factory=list)

    def send(self, request: Request) -> Response:
        self.asked.append(request)
        name = request.path.rpartition("/")[2]
        if request.method == "POST":
            missing = b"" if str(Digest.of(BODY)) in self.kept else b'"' + str(BLOB).encode() + b'"'
            return Response(200, {}, b'{"missing":[' + missing + b"]}")
        if request.method == "PUT":
            assert request.body is not None
            assert not isinstance(request.body, bytes)
            self.kept[name] = request.body.read()
            return Response(201, {}, b"")
        start, stop = map(int, request.headers["Range"].removeprefix("bytes=").split("-"))
        return Response(206, {}, self.served[start : stop + 1])


def client_of(shelf: Shelf) -> Client:
    return Client("http://registry.example", transport=shelf, environment={})


def test_a_blob_of_several_parts_becomes_a_file(tmp_path: Path) -> None:
    shelf = Shelf()

    filing.fetch(client_of(shelf), "acme", BLOB, tmp_path / "kb.parquet", size_bytes=len(BODY))

    assert (tmp_path / "kb.parquet").read_bytes() == BODY
    assert [request.max_bytes for request in shelf.asked] == [8 * 1024 * 1024, 8 * 1024 * 1024, 4 * 1024 * 1024]


def test_a_part_that_is_not_the_blobs_leaves_no_file(tmp_path: Path) -> None:
    shelf = Shelf(BODY[:-1] + b"x")

    with pytest.raises(DigestError, match="hash to"):
        filing.fetch(client_of(shelf), "acme", BLOB, tmp_path / "kb.parquet", size_bytes=len(BODY))
    assert list(tmp_path.iterdir()) == []


def test_of_two_that_fetch_at_once_the_later_is_refused_and_overwrites_nothing(tmp_path: Path) -> None:
    there = tmp_path / "kb.parquet"

    class Slow(Shelf):
        def send(self, request: Request) -> Response:
            there.write_bytes(b"the other's")
            return super().send(request)

    with pytest.raises(ConflictError, match="exists"):
        filing.fetch(client_of(Slow()), "acme", BLOB, there, size_bytes=len(BODY))
    assert there.read_bytes() == b"the other's"
    assert [path.name for path in tmp_path.iterdir()] == ["kb.parquet"]


@pytest.mark.parametrize("kind", ["file", "broken link", "folder"])
def test_nothing_is_overwritten(tmp_path: Path, kind: str) -> None:
    there = tmp_path / "kb.parquet"
    made: dict[str, Callable[[], None]] = {
        "file": there.touch,
        "folder": there.mkdir,
        "broken link": lambda: there.symlink_to("absent"),
    }
    made[kind]()

    with pytest.raises(ConflictError, match="exists"):
        filing.fetch(client_of(Shelf()), "acme", BLOB, there, size_bytes=len(BODY))
    assert [path.name for path in tmp_path.iterdir()] == ["kb.parquet"]
    with pytest.raises(NotFoundError, match="no folder"):
        filing.require_free(tmp_path / "absent" / "kb.parquet")


def test_a_place_that_can_not_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="too long"):
        filing.fetch(client_of(Shelf()), "acme", BLOB, tmp_path / ("k" * 300), size_bytes=len(BODY))
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_goes_away_before_it_is_sent_is_told(tmp_path: Path) -> None:
    source = tmp_path / "kb.parquet"
    source.write_bytes(BODY)

    class Slow(Shelf):
        def send(self, request: Request) -> Response:
            source.unlink()
            return super().send(request)

    with pytest.raises(ConfigurationError, match=r'kb\.parquet" can\'t be used: no such file'):
        filing.send(client_of(Slow()), "acme", source)


def test_a_file_is_sent_once_and_never_as_one_text_in_memory(tmp_path: Path) -> None:
    shelf = Shelf()
    (tmp_path / "kb.parquet").write_bytes(BODY)

    sent = [filing.send(client_of(shelf), "acme", tmp_path / "kb.parquet") for _ in range(2)]

    assert sent == [BLOB, BLOB]
    assert shelf.kept == {str(BLOB): BODY}
    [put] = [request for request in shelf.asked if request.method == "PUT"]
    assert put.headers["Content-Length"] == str(len(BODY))


def test_a_file_that_no_blob_holds_is_refused_before_it_is_read(tmp_path: Path) -> None:
    with (tmp_path / "kb.parquet").open("wb") as file:
        file.truncate(MAX_BLOB + 1)

    with pytest.raises(TooLargeError, match=str(MAX_BLOB + 1)):
        filing.send(client_of(Shelf()), "acme", tmp_path / "kb.parquet")
    with pytest.raises(NotFoundError):
        filing.send(client_of(Shelf()), "acme", tmp_path / "absent.parquet")
    with pytest.raises(InvalidError, match="does not say its form"):
        filing.form_of(tmp_path / "kb.csv")
