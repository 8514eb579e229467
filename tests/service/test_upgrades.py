"""While the next version is rolled out the tables are its, and this one goes on beside it."""

import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from regalia.client import Client
from tests.servers.postgres import Catalogs, plain
from tests.support.asking import get
from tests.support.registries import Home
from tests.support.replicas import claimed, replicas, working
from tests.support.stages import PROD

_RESOLVE = "/v1/apps/acme/support-agent/channels/prod/resolve?root=1"
_NEXT = (
    "SET lock_timeout = '2s'",
    "ALTER TABLE channel ADD COLUMN told text",
    "ALTER TABLE operation ADD COLUMN weight integer NOT NULL DEFAULT 1",
    "CREATE TABLE reminder (id bigint PRIMARY KEY)",
    "UPDATE alembic_version SET version_num = 'next'",
)


@pytest.fixture
def url(catalogs: Catalogs) -> str:
    return catalogs.make()


@pytest.fixture
def pair(tmp_path: Path, url: str) -> Iterator[tuple[Home, Home]]:
    with replicas(tmp_path, database=url, blobs=f"file://{tmp_path / 'blobs'}") as made:
        yield made


@contextmanager
def resolving(pair: tuple[Home, Home]) -> Iterator[dict[int, Counter[int]]]:
    """Resolve without pause through both; gives how often each status came from each port, 0 where nobody answered."""
    found, is_over = {made.port: Counter[int]() for made in pair}, threading.Event()

    def ask() -> None:
        while not is_over.wait(0.01):
            for made in pair:
                try:
                    found[made.port][get(made.port, _RESOLVE, pair[0].token)[0]] += 1
                except OSError:
                    found[made.port][0] += 1

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        yield found
    finally:
        is_over.set()
        asking.join()


def migrated_by_the_next_version(url: str) -> None:
    with psycopg.connect(plain(url), autocommit=True) as connection:
        for statement in _NEXT:
            connection.execute(statement.encode())


def released(made: Home, version: str) -> None:
    (made.project / "config/retrieval.yaml").write_text(f"top_k: {version[0]}\nmin_score: 0.{version[2]}\n")
    made.must("bundle", "create", version)
    made.must("promote", version, "--to", "prod")


def test_this_version_goes_on_beside_the_next_one_and_a_process_that_dies_comes_back(
    pair: tuple[Home, Home], url: str, tmp_path: Path
) -> None:
    one, other = pair
    with working(other, tmp_path / "host") as log, resolving(pair) as found:
        released(one, "1.1.0")
        one.must("gc", "--dry-run")  # the worker is at work: one that starts later would refuse
        migrated_by_the_next_version(url)
        released(one, "1.2.0")
        released(other, "1.3.0")
        before = one.web_processes()
        os.kill(before[0], signal.SIGKILL)
        deadline = time.monotonic() + 60
        while not (set(one.web_processes()) - set(before) and one.answers()):
            assert time.monotonic() < deadline, (one.folder / "registry.log").read_text()
            time.sleep(0.1)
        released(one, "1.4.0")
        one.must("gc", "--dry-run")
        late = one.reg("worker")
        bundle = Client(environment=one.environment, folder=one.project).refresh(PROD)

        assert (bundle.version, bundle.warnings) == ("1.4.0", ())
        assert len(claimed(log)) == 2
        assert (late.returncode, "run that one" in late.stderr) == (1, True)
    cut = {port: statuses for port, statuses in found.items() if set(statuses) - {200}}
    assert set(cut) <= {one.port}  # whose process was killed
    assert set(found[one.port]) <= {200, 0}
    assert found[one.port][0] < 20
    assert min(statuses[200] for statuses in found.values()) > 100
