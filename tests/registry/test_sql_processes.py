"""What a database keeps when several processes use it at once."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import pytest

from regalia_registry.adapters.sql.store import SqlStore
from tests.support.catalogs import migrated
from tests.support.records import ACTOR, APPLICATION, append_pointers, hold

WRITERS = 4
CHANGES = 40
LOOKS = 200
CHECKOUT = Path(__file__).parents[2]

WRITER = """
import sys
from regalia_registry.adapters.sql.store import SqlStore
from tests.support.records import append_pointers
append_pointers(SqlStore.open(sys.argv[1]), times=int(sys.argv[3]), writer=sys.argv[2])
"""


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return migrated(request, tmp_path)


@pytest.fixture
def store(url: str) -> Iterator[SqlStore]:
    with closing(SqlStore.open(url)) as made:
        yield made


def start_writer(url: str, name: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", WRITER, url, name, str(CHANGES)], cwd=CHECKOUT)


def test_four_processes_lose_none_of_each_others_changes(url: str, store: SqlStore) -> None:
    writers = [start_writer(url, f"process-{number}") for number in range(WRITERS)]

    assert [writer.wait() for writer in writers] == [0] * WRITERS
    with store.read() as tx:
        found = tx.channels.history(APPLICATION, "prod", after=None, limit=1000)
    assert [one.pointer.sequence for one in found] == list(range(WRITERS * CHANGES, 0, -1))


def test_the_version_differs_after_another_process_committed(url: str, store: SqlStore) -> None:
    before = store.version()

    start_writer(url, "other").wait()

    assert store.version() != before


def test_a_commit_is_seen_by_the_next_look_of_everybody_else(url: str, store: SqlStore) -> None:
    seen = [store.version()]
    with closing(SqlStore.open(url)) as other:
        for number in range(LOOKS):
            append_pointers(other, times=1, writer=f"writer-{number}")
            seen.append(store.version())

    assert all(before != after for before, after in pairwise(seen))


def test_a_change_that_was_rolled_back_is_no_change(store: SqlStore) -> None:
    before = store.version()

    with pytest.raises(RuntimeError), store.write(ACTOR) as tx:
        tx.holds.add(hold("2.3.1"))

    assert store.version() == before
