"""Replicas and workers on hosts of their own: nothing but the database and the blob store is shared."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.asking import get
from tests.support.registries import Home
from tests.support.replicas import claimed, replicas, working


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[Home, Home]]:
    with replicas(tmp_path) as made:
        yield made


def test_what_one_replica_was_told_the_other_tells_in_the_same_bytes(pair: tuple[Home, Home]) -> None:
    one, other = pair
    path = "/v1/apps/acme/support-agent/channels/prod/resolve?root=1"

    assert get(other.port, path, one.token) == get(one.port, path, one.token)
    assert get(other.port, path, one.token)[0] == 200


def test_workers_of_other_hosts_do_each_operation_once(pair: tuple[Home, Home], tmp_path: Path) -> None:
    one, other = pair
    with ExitStack() as stack:
        logs = [stack.enter_context(working(other, tmp_path / name)) for name in ("third", "fourth")]
        for _ in range(6):
            one.must("gc", "--dry-run")
        done = [operation for log in logs for operation in claimed(log)]

    assert len(done) == len(set(done)) == 6
