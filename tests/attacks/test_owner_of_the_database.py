"""What whoever owns the registry's database can do to agents with SQL alone: nothing that they don't notice.

Neither a signing key nor an engine is theirs. Each attack ends in a client's typed error, or agents see no difference.
"""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from regalia import moving, operations
from regalia.client import Client
from regalia.core.dsse import Envelope
from regalia.core.errors import RollbackError, VerificationError
from regalia.core.values import replace
from regalia.showing import shown_of
from tests.support.crashing import PROD, VERSIONS, Arena, arena
from tests.support.registries import home

OLD, NEW = VERSIONS


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arena]:
    """A channel on its second bundle, and staging on its first; agents have seen both."""
    with home(tmp_path_factory.mktemp("home")) as made, arena(made, "pgvector", mode="frozen") as found:
        made.must("channel", "set", "acme/support-agent:staging", "--snapshot", "kb=local")
        made.must("promote", OLD, "--to", "staging")
        found.carry_out(found.promote(NEW))
        yield found


@pytest.fixture
def stage(served: Arena) -> Iterator[Arena]:
    """As it was, once the attack is over."""
    yield served
    for one in operations.list_operations(served.client, "acme"):
        if one.state == "prepared":
            operations.cancel(served.client, "acme", one.id)
            served.until(one, "cancelled")
    assert served.served()[0] == NEW
    assert not served.reader.faults


# So that what was answered from memory is answered anew, as it is after the next change of anybody's.
TOLD = "INSERT INTO last_change VALUES (1, random()) ON CONFLICT (id) DO UPDATE SET mark = excluded.mark"


@contextmanager
def attacked(stage: Arena, *statements: str) -> Iterator[None]:
    """Write to the catalog, and put everything back."""
    with closing(sqlite3.connect(stage.data / "registry.db", timeout=30)) as catalog:
        tables = ("channel", "pointer", "collection", "channel_placing", "operation", "bundle", "target")
        kept = {table: catalog.execute(f"SELECT * FROM {table}").fetchall() for table in tables}  # noqa: S608 # our own names
        catalog.executescript(";".join([*statements, TOLD]))
        yield
        for table, rows in kept.items():
            if table == "operation":
                continue
            catalog.execute(f"DELETE FROM {table}")  # noqa: S608 # our own names
            marks = ",".join("?" * len(rows[0])) if rows else ""
            catalog.executemany(f"INSERT INTO {table} VALUES ({marks})", rows) if rows else None  # noqa: S608 # our own names
        catalog.execute(TOLD)
        catalog.commit()


def newcomer(stage: Arena, folder: Path, *, min_pointer: str | None = None) -> Client:
    """An agent that has seen nothing yet."""
    return Client(state=folder, environment=stage.made.environment, folder=stage.made.project, min_pointer=min_pointer)


MOVED_BACK = (
    "UPDATE channel SET pointer = (SELECT identity FROM pointer WHERE channel = 'prod' ORDER BY sequence LIMIT 1) "
    "WHERE channel = 'prod'"
)
SWAPPED = (
    "CREATE TEMP TABLE held AS SELECT p.identity, p.channel, p.envelope FROM pointer p "
    "JOIN channel c ON c.pointer = p.identity",
    "UPDATE pointer SET envelope = (SELECT envelope FROM held WHERE held.channel <> pointer.channel) "
    "WHERE identity IN (SELECT identity FROM held)",
)


def test_a_channel_that_is_turned_back_misleads_nobody_who_saw_it_move(stage: Arena) -> None:
    place = stage.served()[1]

    with attacked(stage, MOVED_BACK):
        assert stage.served() == (NEW, place)
        assert stage.client.behind > 0
        with pytest.raises(RollbackError, match="shows an older pointer"):
            stage.promote(NEW)


def test_a_channel_that_is_turned_back_is_refused_by_an_agent_that_was_told_where_it_stands(
    stage: Arena, tmp_path: Path
) -> None:
    [entry] = [json.loads(stage.made.must("channel", "show", PROD, "--json"))]
    floor = f"{entry['epoch']}.{entry['sequence']}"

    with attacked(stage, MOVED_BACK), pytest.raises(RollbackError):
        newcomer(stage, tmp_path, min_pointer=floor).refresh(PROD)


def test_the_envelope_of_another_channel_is_refused(stage: Arena, tmp_path: Path) -> None:
    with attacked(stage, *SWAPPED), pytest.raises(VerificationError, match="channel"):
        newcomer(stage, tmp_path).refresh(PROD)


def test_a_signature_that_was_moved_to_other_content_is_refused(stage: Arena, tmp_path: Path) -> None:
    """The very pointer, but for the name of its collection, under the signature that was made for it."""
    name = stage.served()[1].collection
    with closing(sqlite3.connect(stage.data / "registry.db")) as catalog:
        current = "SELECT pointer FROM channel WHERE channel = 'prod'"
        [[body]] = catalog.execute(f"SELECT envelope FROM pointer WHERE identity = ({current})")  # noqa: S608 # our own
    signed = Envelope.parse(body, what="the pointer")
    evil = signed.payload.replace(name.encode(), b"evil".ljust(len(name), b"l"))
    moved = bytes(Envelope(signed.payload_type, evil, signed.signatures)).hex()

    with (
        attacked(stage, f"UPDATE pointer SET envelope = x'{moved}' WHERE identity = ({current})"),  # noqa: S608 # the attack
        pytest.raises(VerificationError, match="signature"),
    ):
        newcomer(stage, tmp_path).refresh(PROD)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE collection SET name = 'evil_' || substr(name, 4)",
        "UPDATE collection SET target = 'evil'",
        "UPDATE collection SET state = 'dropped'",
        "DELETE FROM collection",
        "UPDATE channel_placing SET target = 'evil', logical = 'evil'",
        "UPDATE target SET url = 'postgresql://evil@203.0.113.7/x'",
    ],
)
def test_no_row_but_the_pointer_says_where_agents_read(stage: Arena, statement: str, tmp_path: Path) -> None:
    place = stage.served()[1]

    with attacked(stage, statement):
        assert stage.served() == (NEW, place)
        assert newcomer(stage, tmp_path).refresh(PROD).collection("kb") == place


def test_a_collection_that_got_another_ones_name_is_not_taken_for_it(stage: Arena) -> None:
    """The engine knows by its own mark which is which."""
    swap = (
        "CREATE TEMP TABLE held AS SELECT id, name FROM collection WHERE state = 'ready'",
        "UPDATE collection SET name = name || '_' WHERE state = 'ready'",
        "UPDATE collection SET name = (SELECT name FROM held WHERE held.id <> collection.id) WHERE state = 'ready'",
    )

    with attacked(stage, *swap):
        plan = stage.restore(OLD)
        found = stage.ready(stage.ask(plan), plan)
        [place] = found.pointer.collections
        assert all(body.startswith(OLD) for body in stage.engine.bodies(place))


def forged(stage: Arena, **changed: str) -> tuple[moving.MovePlan, str]:
    """Let a restore be prepared, and its outcome be forged before it is signed."""
    plan = stage.restore(OLD)
    plan = replace(plan, shown=shown_of(moving.preview(stage.client, plan, lambda _: None)))
    asked = stage.ask(plan)
    stage.until(asked, "prepared")
    with closing(sqlite3.connect(stage.data / "registry.db", timeout=30)) as catalog:
        [[outcome]] = catalog.execute("SELECT outcome FROM operation WHERE id = ?", [asked.id])
        told = json.loads(outcome)
        told["collections"][0] |= changed
        catalog.execute("UPDATE operation SET outcome = ? WHERE id = ?", [json.dumps(told), asked.id])
        catalog.commit()
    return plan, asked.id


@pytest.mark.parametrize(
    "changed",
    [
        {"snapshot": "sha256:" + "0" * 64},
        {"slot": "snapshots/other"},
        {"target": "evil"},
        {"collection": "evil_abcdefgh"},
        {"table": "evil"},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_nobody_signs_other_places_than_the_registrys_key_vouches_for(stage: Arena, changed: dict[str, str]) -> None:
    plan, operation = forged(stage, **changed)

    with pytest.raises(VerificationError, match="has proved other collections for this move"):
        moving.resume(stage.client, plan, operation)


def test_nobody_signs_the_collection_of_another_bundle(stage: Arena) -> None:
    plan, operation = forged(stage, collection=stage.served()[1].collection)

    with pytest.raises(VerificationError, match="has proved other collections for this move"):
        moving.resume(stage.client, plan, operation)


def test_nobody_signs_what_was_prepared_elsewhere_than_was_shown(stage: Arena) -> None:
    plan, operation = forged(stage)
    elsewhere = replace(plan, shown=(("snapshots/kb", "far"),))

    with pytest.raises(VerificationError, match='"snapshots/kb" on "local", expected was "snapshots/kb" on "far"'):
        moving.resume(stage.client, elsewhere, operation)
