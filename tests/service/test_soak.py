"""Load for minutes while the channel is restored again and again: agents resolve and search, an application writes.

`make soak MINUTES=10` runs it as long as that; the suite for half a minute. What it saw is printed.
"""

import json
import os
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from bench.processes import family, rss_mb
from regalia.client import Client
from regalia.core.errors import RegaliaError
from regalia.core.statements import Place
from tests.support.registries import Home
from tests.support.stages import PROD, local_of, release, staged

SECONDS = 60 * float(os.environ.get("REGALIA_SOAK_MINUTES", "0.5"))
PAUSE_S = 20 if SECONDS > 120 else 5
READERS, POLL_S = 6, 1.0
FIRST_WRITTEN = 100_000
SEALED = psycopg.errors.ObjectNotInPrerequisiteState
MAX_GROWTH = 1.35  # of a process, from the first quarter to the end; caches fill

TABLE = """
CREATE TABLE kb (id bigint PRIMARY KEY, body text NOT NULL, embedding vector(8));
INSERT INTO kb SELECT n, '1.0.0', ARRAY[n % 97, n % 89, n % 83, n % 79, 1, 2, 3, 4]::vector
FROM generate_series(1, 2000) n;
CREATE INDEX ON kb USING hnsw (embedding vector_cosine_ops);
"""


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Home]:
    with staged(tmp_path, workers=2) as made:
        release(made, "1.0.0", TABLE)
        release(made, "1.1.0", "UPDATE kb SET body = '1.1.0'")
        made.must("channel", "set", PROD, "--snapshot", "kb=local,mode=live")
        made.must("promote", "1.0.0", "--to", "prod")
        made.must("promote", "1.1.0", "--to", "prod")
        yield made


class Load:
    """Agents and an application at work; `seen` counts what they did and what they must never see."""

    def __init__(self, made: Home) -> None:
        self._made = made
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._read, args=(number,)) for number in range(READERS)]
        self._threads.append(threading.Thread(target=self._write))
        self.seen: Counter[str] = Counter()
        self.faults: list[str] = []

    def __enter__(self) -> None:
        for thread in self._threads:
            thread.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _client(self, name: str) -> Client:
        state = self._made.folder / "agents" / name
        return Client(state=state, environment=self._made.environment, folder=self._made.project)

    def _read(self, number: int) -> None:
        """Be an agent: each session takes a bundle and searches in its collection."""
        chance = random.Random(number)  # noqa: S311 # questions, no secrets
        with (
            self._client(str(number)).follow(PROD, every_s=POLL_S) as follower,
            psycopg.connect(local_of(self._made).url, autocommit=True) as connection,
        ):
            while not self._over.is_set():
                try:
                    bundle = follower.current()
                    told = bundle.prompt("greeting").render(name="you").split()[-1].rstrip(".")
                    asked = str([chance.random() for _ in range(8)])
                    query = sql.SQL("SELECT body FROM {} ORDER BY embedding <=> %s::vector LIMIT 3")
                    table = _table(bundle.collection("kb"))
                    rows = connection.execute(query.format(table), [asked]).fetchall()
                except (psycopg.Error, RegaliaError) as error:
                    self.faults.append(repr(error))
                    continue
                self.seen["searches"] += 1
                if {body.split()[0] for (body,) in rows} != {bundle.version} or told != bundle.version:
                    self.faults.append(f"{bundle.version} says {told} and serves {rows}")

    def _write(self) -> None:
        """Be an application that writes into what the channel serves, and resolves again where that is sealed."""
        client, number = self._client("writer"), FIRST_WRITTEN
        with psycopg.connect(local_of(self._made).url, autocommit=True) as connection:
            bundle = client.refresh(PROD)
            while not self._over.wait(0.05):
                number += 1
                given = [number, f"{bundle.version} written", str([1.0, number % 13, 0, 0, 0, 0, 0, 1])]
                statement = sql.SQL("INSERT INTO {} VALUES (%s, %s, %s::vector)")
                try:
                    connection.execute(statement.format(_table(bundle.collection("kb"))), given)
                    self.seen["writes"] += 1
                except SEALED:
                    self.seen["resolved again"] += 1
                    bundle = client.refresh(PROD)


def _table(place: Place) -> sql.Identifier:
    return sql.Identifier(place.collection, str(place.table))


def test_nobody_sees_an_error_or_a_mixture_while_a_channel_is_restored_again_and_again(served: Home) -> None:
    assert served.server is not None
    load, began, restores = Load(served), time.monotonic(), 0
    kept, early = 0, dict[int, float]()
    with load:
        while time.monotonic() - began < SECONDS:
            restores += 1
            asked = ("restore", PROD, "--to", ("1.0.0", "1.1.0")[(restores + 1) % 2], "--reason", "soak")
            told = served.reg(*asked, "--no-hold", "--yes")
            assert told.returncode == 0, told.stderr
            kept += "kept as acme/snapshot/kb-leftover" in told.stderr
            if time.monotonic() - began > SECONDS / 4 and not early:
                early = {pid: rss_mb(pid) for pid in family(served.server.pid)}
            time.sleep(PAUSE_S)
    late = {pid: rss_mb(pid) for pid in early}
    growth = max(late[pid] / early[pid] for pid in early)
    print(  # noqa: T201 # the outcome
        f"\n{SECONDS:.0f} s: {restores} restores, {dict(load.seen)}, {len(load.faults)} errors or mixed reads, "
        f"memory {json.dumps([round(late[pid]) for pid in late])} MB, at most {growth:.2f} times the first quarter's"
    )

    assert load.faults == []
    assert load.seen["resolved again"] > 0
    assert kept > 0
    assert growth < MAX_GROWTH
