"""How many SQL statements a request costs: exact, so that nobody adds one unseen."""

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import event, make_url

from regalia_registry.adapters.sql.engine import open_database
from regalia_registry.adapters.sql.store import SqlStore
from regalia_registry.ports.store import Store
from tests.support.catalogs import migrated
from tests.support.records import (
    ACTOR,
    APPLICATION,
    artifact,
    bundle,
    changing,
    deployment,
    entry,
    hold,
    move,
    pointer,
    root,
)

# What opens a transaction; the driver commits. SQLite: the pragma that lets it write, or not, BEGIN itself, and the
# mark of a change. PostgreSQL: one message with BEGIN, the limits, and the row at which writers queue.
BEGIN = {"sqlite": 2, "postgresql": 1}
MARK = {"sqlite": 1, "postgresql": 0}


@pytest.fixture
def statements() -> list[str]:
    return []


@pytest.fixture(params=list(BEGIN))
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return migrated(request, tmp_path)


@pytest.fixture
def name(url: str) -> str:
    return make_url(url).get_backend_name()


@pytest.fixture
def store(url: str, statements: list[str]) -> Iterator[SqlStore]:
    database = open_database(url)
    with closing(SqlStore(database)) as made:
        with changing(made) as tx:
            tx.roots.add(root(1))
            tx.bundles.add(bundle("2.3.1"))
        move(made, pointer(1), expected=None)

        @event.listens_for(database.engine, "before_cursor_execute")
        def keep(_connection: object, _cursor: object, statement: str, *_: object) -> None:
            statements.append(statement)

        yield made


def push(store: Store) -> None:
    with store.write(ACTOR) as tx:
        tx.artifacts.add(artifact("1.0.0"))
        tx.audit.record(entry("artifact.pushed"))


def promote(store: Store) -> None:
    with store.write(ACTOR) as tx:
        tx.channels.move(pointer(2, named="2.3.2", previous=pointer(1)), expected=pointer(1).identity)
        tx.audit.record(entry("channel.moved", record=deployment()))


def restore(store: Store) -> None:
    with store.write(ACTOR) as tx:
        tx.channels.move(pointer(2, named="2.3.0", previous=pointer(1)), expected=pointer(1).identity)
        tx.holds.add(hold("2.3.1"))
        tx.audit.record(entry("channel.moved", record=deployment()))


def look_up(store: Store) -> None:
    with store.read() as tx:
        tx.roots.newest()
        tx.channels.find(APPLICATION, "prod")
        tx.bundles.get_by_digest(APPLICATION, digest=bundle("2.3.1").digest)


@pytest.mark.parametrize(
    ("work", "expected"),
    [
        pytest.param(push, 4, id="push: version, name, entry, its texts"),
        pytest.param(promote, 5, id="promote: channel, pointer, entry, its texts, deployment"),
        pytest.param(restore, 6, id="restore: a promote and a hold"),
        pytest.param(look_up, 3, id="resolve: root, pointer, bundle"),
    ],
)
def test_a_request_costs_this_many_statements(
    store: SqlStore, statements: list[str], name: str, work: Callable[[Store], object], expected: int
) -> None:
    work(store)

    opening = BEGIN[name] + (0 if work is look_up else MARK[name])
    assert len(statements) == opening + expected, statements


def test_a_resolve_from_memory_costs_no_transaction(store: SqlStore, statements: list[str]) -> None:
    store.version()

    assert statements == []
