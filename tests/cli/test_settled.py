"""What is said after a move of the collections that its channel has left."""

import pytest

from regalia.wire.answers import OperationEntry
from regalia_cli.commands.carrying import show_settled

LEFTOVERS = {
    "kept": (
        {"rows": 9, "written": 7, "removed": 2, "snapshot": "acme/snapshot/kb-leftover@1.0.0"},
        "7 rows were written to kb_1 and 2 removed: kept as acme/snapshot/kb-leftover@1.0.0",
    ),
    "as released": ({"snapshot": None}, "nothing was written to kb_1 since it was released"),
    "lost": ({"lost": "there is no collection"}, "what was written to kb_1 is lost: there is no collection"),
    "unkept": ({"unkept": "its keys are none"}, "kb_1 stays, sealed, with what was written to it: its keys are none"),
}


def ended(**outcome: object) -> OperationEntry:
    return OperationEntry(
        "op-1", "restore", "acme", "acme/support-agent:prod", "done", "2026-03-15T12:00:00Z", "jane", {}, outcome
    )


@pytest.mark.parametrize(("left", "words"), LEFTOVERS.values(), ids=LEFTOVERS)
def test_what_became_of_a_collection_that_was_left_is_put_into_words(
    left: dict[str, object], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    show_settled(ended(leftovers=[{"collection": "kb_1", "target": "local", **left}]))

    assert capsys.readouterr().err == f"  {words}\n"
