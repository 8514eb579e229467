"""What goes wrong around a move, with real parts: each ends in words or goes on later, and the old bundle is served."""

from collections.abc import Iterator

import psycopg
import pytest
from psycopg import sql

from regalia import moving, operations
from regalia.core.errors import ConflictError, PointerMovedError
from regalia.wire.answers import OperationEntry
from tests.support.crash_engines import OfWeaviate, Pgvector
from tests.support.crashing import Arena, arena
from tests.support.registries import home

FIRST, SECOND, THIRD = "1.0.0", "1.1.0", "1.2.0"


@pytest.fixture(scope="module", params=["pgvector", "weaviate"])
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arena]:
    """A channel that has named three bundles, whose collections are all there and warm; its worker runs."""
    with home(tmp_path_factory.mktemp("home")) as here, arena(here, request.param, mode="frozen") as found:
        found.carry_out(found.promote(SECOND))
        found.release(THIRD)
        found.carry_out(found.promote(THIRD))
        yield found


@pytest.fixture
def stage(made: Arena) -> Iterator[Arena]:
    """The channel on its third bundle; what was left open is ended, and everything holds afterwards."""
    if made.served()[0] != THIRD:
        made.carry_out(made.promote(THIRD))
    yield made
    for one in operations.list_operations(made.client, "acme"):
        if one.state in {"queued", "running", "prepared"}:
            operations.cancel(made.client, "acme", one.id)
            made.until(one, "cancelled")
    made.check((FIRST, SECOND, THIRD))


only_pgvector = pytest.mark.parametrize("made", ["pgvector"], indirect=True)
only_weaviate = pytest.mark.parametrize("made", ["weaviate"], indirect=True)


def told(stage: Arena, asked: OperationEntry, step: str) -> str:
    """Wait until an operation tells a step, and give why."""
    for progress in operations.watch(stage.client, "acme", asked.id):
        for event in progress.events:
            if event.body["step"] == step:
                return str(event.body["why"])
    raise AssertionError(f"it never told {step}")


def failed(stage: Arena, asked: OperationEntry) -> str:
    found = stage.until(asked, "failed", "prepared", "done")
    assert found.state == "failed", found
    return str((found.outcome or {})["message"])


@only_pgvector
def test_a_second_restore_is_refused_or_ends_the_first_and_just_one_wins(stage: Arena) -> None:
    first, second = stage.restore(FIRST), stage.restore(SECOND)
    asked = stage.ask(first)
    signed = stage.ready(asked, first)
    with pytest.raises(ConflictError, match="is open already"):
        stage.ask(second)

    superseding = stage.ask(second, supersede=True)
    with pytest.raises(ConflictError, match="waits for no pointer"):
        stage.sign(signed)
    stage.sign(stage.ready(superseding, second))

    assert stage.until(asked, "cancelled", "done").state == "cancelled"
    assert stage.until(superseding, "cancelled", "done").state == "done"
    assert stage.served()[0] == SECOND


@only_pgvector
def test_a_promotion_never_ends_a_restore(stage: Arena) -> None:
    stage.carry_out(stage.restore(SECOND))
    plan = stage.restore(FIRST)
    asked = stage.ask(plan)

    for supersede in (False, True):
        with pytest.raises(ConflictError, match="is open already"):
            stage.ask(stage.promote(THIRD), supersede=supersede)

    stage.sign(stage.ready(asked, plan))
    assert stage.until(asked, "done", "cancelled").state == "done"
    assert stage.served()[0] == FIRST


@only_pgvector
def test_a_restore_waits_for_no_snapshot_of_its_target(stage: Arena) -> None:
    assert isinstance(stage.engine, Pgvector)
    with psycopg.connect(stage.engine.url) as holding:
        holding.execute("LOCK TABLE kb IN ACCESS EXCLUSIVE MODE")
        endless = operations.start_snapshot(stage.client, "acme", target="local", collection="kb", name="endless")
        stage.until(endless, "running")

        stage.carry_out(stage.restore(FIRST))

        assert operations.get_operation(stage.client, "acme", endless.id).operation.state == "running"
    assert stage.until(endless, "done", "failed").state == "done"


@only_pgvector
def test_a_pointer_that_is_signed_after_its_channel_moved_is_void(stage: Arena) -> None:
    stage.carry_out(stage.restore(SECOND))
    slow = stage.promote(THIRD)
    stage.carry_out(stage.restore(FIRST))
    signer = moving.channel_signer(stage.client, slow.channel)

    for _ in range(2):
        with pytest.raises(PointerMovedError):
            moving.execute(stage.client, slow, signer, unplaced=True)

    assert stage.served()[0] == FIRST


@only_weaviate
def test_an_engine_that_is_down_keeps_a_move_waiting_and_moves_nothing(stage: Arena) -> None:
    assert isinstance(stage.engine, OfWeaviate)
    plan = stage.restore(FIRST)
    stage.reader.is_engine_there = False
    stage.engine.stop()

    asked = stage.ask(plan)
    why = told(stage, asked, "waiting")

    assert "does not answer" in why
    assert stage.served()[0] == THIRD
    stage.engine.start()
    stage.reader.is_engine_there = True
    stage.sign(stage.ready(asked, plan))
    assert stage.until(asked, "done", "failed").state == "done"


@only_weaviate
def test_an_engine_that_is_down_once_the_channel_has_moved_is_settled_later(stage: Arena) -> None:
    assert isinstance(stage.engine, OfWeaviate)
    plan = stage.restore(FIRST)
    asked = stage.ask(plan)
    signed = stage.ready(asked, plan)
    stage.reader.is_engine_there = False
    stage.engine.stop()

    stage.sign(signed)
    told(stage, asked, "waiting")

    assert operations.get_operation(stage.client, "acme", asked.id).operation.state == "committed"
    assert stage.served()[0] == FIRST
    stage.engine.start()
    stage.reader.is_engine_there = True
    assert stage.until(asked, "done", "failed").state == "done"


def test_a_collection_that_was_dropped_behind_our_back_is_made_anew(stage: Arena) -> None:
    stage.carry_out(stage.restore(FIRST))
    lost = stage.served()[1]
    stage.carry_out(stage.promote(THIRD))
    stage.engine.lose(lost)
    stage.lost.add(lost.collection)

    stage.carry_out(stage.restore(FIRST))

    assert stage.served()[1].collection != lost.collection


def test_a_collection_that_a_superuser_opened_and_wrote_is_never_served_again(stage: Arena) -> None:
    stage.carry_out(stage.restore(FIRST))
    opened = stage.served()[1]
    stage.carry_out(stage.promote(THIRD))
    stage.engine.break_open(opened)

    stage.carry_out(stage.restore(FIRST))

    assert stage.served()[1].collection != opened.collection


def test_a_restore_whose_segment_is_lost_is_refused_and_names_it(stage: Arena) -> None:
    stage.carry_out(stage.restore(FIRST))
    lost = stage.served()[1]
    stage.carry_out(stage.promote(THIRD))
    stage.engine.lose(lost)
    stage.lost.add(lost.collection)
    blobs = {path: path.read_bytes() for path in (stage.data / "blobs").rglob("*") if path.is_file()}
    segments = [path for path, body in blobs.items() if body.startswith(b"PAR1")]
    for path in segments:
        path.unlink()

    why = failed(stage, stage.ask(stage.restore(FIRST)))

    for path in segments:
        path.write_bytes(blobs[path])
    assert "is gone from the blob store" in why
    assert stage.served()[0] == THIRD


@only_pgvector
def test_who_reads_through_the_alias_in_an_endless_transaction_is_named_and_holds_up_the_alias_alone(
    stage: Arena,
) -> None:
    assert isinstance(stage.engine, Pgvector)
    plan = stage.restore(FIRST)
    with psycopg.connect(stage.engine.url, application_name="endless") as reader:
        reader.execute("SELECT count(*) FROM help")
        asked = stage.ask(plan)
        stage.sign(stage.ready(asked, plan))

        why = told(stage, asked, "waiting")

        assert "endless" in why
        assert stage.served()[0] == FIRST
    assert stage.until(asked, "done", "failed").state == "done"


@only_pgvector
def test_a_read_only_database_refuses_a_move_in_words(stage: Arena) -> None:
    assert isinstance(stage.engine, Pgvector)
    stage.carry_out(stage.restore(FIRST))
    lost = stage.served()[1]
    stage.carry_out(stage.promote(THIRD))
    stage.engine.lose(lost)
    stage.lost.add(lost.collection)
    stage.engine.run(sql.SQL("ALTER DATABASE local SET default_transaction_read_only = on"))

    why = failed(stage, stage.ask(stage.restore(FIRST)))

    with psycopg.connect(stage.engine.url, options="-c default_transaction_read_only=off") as owner:
        owner.execute("ALTER DATABASE local RESET default_transaction_read_only")
    assert "nothing was moved" in why
    assert stage.served()[0] == THIRD
