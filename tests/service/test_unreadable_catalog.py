"""A database that can't be read any more: what was answered before is answered on, and nothing is said to be fresh."""

import base64
import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from regalia.core.dsse import Envelope
from regalia.core.errors import UnavailableError
from regalia.core.references import BundleReference
from regalia.core.statements import Freshness
from regalia_cli.demo.stage import FILES
from regalia_registry.adapters.memory.system import MemoryClock
from regalia_registry.bootstrap.ports import make_ports
from regalia_registry.services.resolve import Body, Question, Resolver
from regalia_registry.settings import load_settings
from tests.support.asking import ask, get
from tests.support.registries import Home, home

PROD = Question(BundleReference.parse("acme/support-agent:prod"), root=1)
RESOLVE = "/v1/apps/acme/support-agent/channels/prod/resolve?root=1"


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    with home(tmp_path_factory.mktemp("home"), files=FILES) as made:
        made.must("init", "acme/support-agent", "--registry", made.url)
        made.start("--no-worker")
        made.must("bundle", "create", "1.0.0")
        made.must("promote", "1.0.0", "--to", "prod")
        made.must("promote", "1.0.0", "--to", "staging")
        made.stop()
        yield made


@pytest.fixture
def data(released: Home, tmp_path: Path) -> Path:
    shutil.copytree(released.folder / ".local/share/regalia", tmp_path / "data")
    return tmp_path / "data"


def spoil(data: Path) -> None:
    """Change the database, so that nobody believes the pages in its memory, and overwrite it where it lies."""
    with closing(sqlite3.connect(data / "registry.db", isolation_level=None)) as connection:
        connection.execute("PRAGMA user_version = 1")
        for path in (data / "registry.db", data / "registry.db-wal"):
            with path.open("r+b") as file:
                file.write(b"\xa5" * path.stat().st_size)


def freshness(body: Body) -> Freshness:
    envelope = base64.b64decode(json.loads(body.content)["freshness"])
    return Freshness.of(Envelope.parse(envelope, what="the freshness"))


class Room:
    """A resolver on a catalog that will be spoiled, at a time that is turned."""

    def __init__(self, data: Path, token: str) -> None:
        ports = make_ports(load_settings(data=data))
        self.clock = MemoryClock(ports.clock.now())
        self.store = ports.store
        self.resolver = Resolver(replace(ports, clock=self.clock))
        self.token = token

    def resolve(self) -> Body:
        seen = self.resolver.look()
        return self.resolver.resolve(self.resolver.actor(self.token, seen=seen), PROD, seen=seen)


@pytest.fixture
def room(data: Path, released: Home) -> Iterator[Room]:
    made = Room(data, released.token)
    yield made
    made.store.close()


def test_agents_are_answered_with_what_they_were_answered_before(released: Home, data: Path) -> None:
    released.more["REGALIA_DATA"] = str(data)
    token = released.token
    released.start("--no-worker")
    *before, headers_before = ask(released.port, RESOLVE, token)

    spoil(data)
    *after, headers_after = ask(released.port, RESOLVE, token)
    stranger = get(released.port, RESOLVE, "rgl_" + "A" * 43)
    other = get(released.port, RESOLVE.replace("prod", "staging"), token)
    ready = get(released.port, "/readyz", token)
    released.stop()

    assert (before[0], after) == (200, before)
    assert "cache-status" not in headers_before
    assert headers_after["cache-status"] == "regalia; hit; detail=kept"
    assert headers_after["etag"] == headers_before["etag"]
    assert [stranger[0], other[0]] == [503, 503]
    assert ready[0] == 503
    assert json.loads(ready[1])["dependencies"][0]["state"] == "failed"


def test_nothing_is_said_to_be_fresh_that_was_not_read(room: Room, data: Path) -> None:
    said = freshness(room.resolve())

    spoil(data)
    room.clock.turn(timedelta(hours=3))
    with pytest.raises(UnavailableError):
        room.resolve()
    kept = room.resolver.find_kept(room.token, PROD)

    assert kept is not None
    assert freshness(kept).issued_at == said.issued_at


def test_an_hour_in_which_it_was_read_again_is_said(room: Room) -> None:
    said = freshness(room.resolve())

    room.clock.turn(timedelta(hours=1))

    assert freshness(room.resolve()).issued_at > said.issued_at


def test_a_day_later_what_was_kept_is_nothing(room: Room, data: Path) -> None:
    room.resolve()
    spoil(data)

    room.clock.turn(timedelta(hours=24))

    assert room.resolver.find_kept(room.token, PROD) is None
