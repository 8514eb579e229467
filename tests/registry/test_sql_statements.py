"""How many SQL statements a request costs: exact, so that nobody adds one unseen."""

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import event

from regalia_registry.adapters.sql.engine import open_engine
from regalia_registry.adapters.sql.migrate import upgrade
from regalia_registry.adapters.sql.store import SqlStore
from regalia_registry.ports.store import Store
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

BEGIN = 2  # the pragma that lets a transaction write, or not, and BEGIN itself; the driver commits


@pytest.fixture
def statements() -> list[str]:
    return []


@pytest.fixture
def store(tmp_path: Path, statements: list[str]) -> Iterator[SqlStore]:
    url = f"sqlite:///{tmp_path / 'registry.db'}"
    upgrade(url)
    engine = open_engine(url)
    with closing(SqlStore(engine)) as made:
        with changing(made) as tx:
            tx.roots.add(root(1))
            tx.bundles.add(bundle("2.3.1"))
        move(made, pointer(1), expected=None)

        @event.listens_for(engine, "before_cursor_execute")
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
        pytest.param(push, BEGIN + 4, id="push: version, name, entry, its texts"),
        pytest.param(promote, BEGIN + 5, id="promote: channel, pointer, entry, its texts, deployment"),
        pytest.param(restore, BEGIN + 6, id="restore: a promote and a hold"),
        pytest.param(look_up, BEGIN + 3, id="resolve: root, pointer, bundle"),
        pytest.param(lambda store: store.version(), 0, id="resolve from memory: none"),
    ],
)
def test_a_request_costs_this_many_statements(
    store: SqlStore, statements: list[str], work: Callable[[Store], object], expected: int
) -> None:
    work(store)

    assert len(statements) == expected, statements
