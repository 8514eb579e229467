"""Hosts whose clocks are five minutes apart: replicas agree, agents are not warned, work is done once."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from regalia.administration import who_am_i
from regalia.client import Client
from regalia.core import times
from tests.servers.postgres import Catalogs
from tests.support import clock
from tests.support.asking import get
from tests.support.registries import Home
from tests.support.replicas import claimed, replicas, working
from tests.support.stages import PROD

_OFF_S = 150
_CHANNELS = "/v1/apps/acme/support-agent/channels"


def off_by(seconds: int) -> dict[str, str]:
    """Say how a process comes to have a clock that is wrong."""
    return {"PYTHONPATH": str(Path(clock.__path__[0])), "CLOCK_OFF_S": str(seconds)}


BEHIND, AHEAD = off_by(-_OFF_S), off_by(_OFF_S)


@pytest.fixture
def pair(tmp_path: Path, catalogs: Catalogs) -> Iterator[tuple[Home, Home]]:
    """Start one replica whose clock is behind that of this machine, and one whose clock is ahead."""
    blobs = f"file://{tmp_path / 'blobs'}"
    with replicas(tmp_path, clocks=(BEHIND, AHEAD), database=catalogs.make(), blobs=blobs) as made:
        behind, ahead = (times.parse(who_am_i(agent(one, tmp_path)).server_time, what="time") for one in made)
        assert 2 * _OFF_S - 60 < (ahead - behind).total_seconds() < 2 * _OFF_S + 60
        yield made


def agent(made: Home, state: Path) -> Client:
    return Client(environment={**made.environment, "REGALIA_STATE": str(state)}, folder=made.project)


def test_an_agent_that_asks_both_in_turn_is_told_the_same_and_not_warned(
    pair: tuple[Home, Home], tmp_path: Path
) -> None:
    one, other = pair
    found = []
    for number in range(1, 4):
        for made, asked in ((one, other), (other, one)):
            version = f"1.{number}.{int(made is one)}"
            (made.project / "config/retrieval.yaml").write_text(f"top_k: {number}\nmin_score: 0.{int(made is one)}\n")
            made.must("bundle", "create", version)
            made.must("promote", version, "--to", "prod")
            for replica in (asked, made):
                bundle = agent(replica, tmp_path / "state").refresh(PROD)
                found.append((bundle.version == version, bundle.provenance, bundle.warnings))

    assert found == [(True, "fresh", ())] * 12


def test_a_token_of_one_is_let_in_by_the_other_until_it_is_revoked(pair: tuple[Home, Home]) -> None:
    for maker, asked in (pair, pair[::-1]):
        told = maker.must("token", "create", "--name", "ci", "--right", "read", "--namespace", "acme", "--json")
        made = json.loads(told)
        before = get(asked.port, _CHANNELS, made["token"])[0]
        maker.must("token", "revoke", made["entry"]["id"])

        assert (before, get(asked.port, _CHANNELS, made["token"])[0]) == (200, 401)


def test_workers_do_each_operation_once(pair: tuple[Home, Home], tmp_path: Path) -> None:
    one, other = pair
    with ExitStack() as stack:
        hosts = {"behind": BEHIND, "ahead": AHEAD}
        logs = [stack.enter_context(working(other, tmp_path / name, off)) for name, off in hosts.items()]
        for made in (one, other) * 3:
            made.must("gc", "--dry-run")
        done = [operation for log in logs for operation in claimed(log)]

    assert len(done) == len(set(done)) == 6
