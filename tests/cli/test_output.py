"""What others wrote never rules the terminal, whichever way it goes out."""

import json
from collections.abc import Callable

import pytest

from regalia.core.diff import SlotChange
from regalia.core.errors import NotFoundError
from regalia.core.names import Slot
from regalia_cli import output
from regalia_cli.commands.asking import answer_hits

CLEAR = "\x1b[2J"
EVIL = f"kb{CLEAR}\x9b2J\r\u202e"
TOLD = "kb�[2J�2J��"


def failed(text: str) -> None:
    error = NotFoundError(text, hint=text)
    error.add_note(text)
    output.fail(error)


def hits(text: str) -> None:
    hit = {"key": text, "distance": 0.5, "properties": {text: text}}
    answer_hits({"space": text, "metric": text, "hits": [hit]}, as_json=False)


@pytest.mark.parametrize(
    "say",
    [
        output.answer,
        output.tell,
        failed,
        hits,
        lambda text: output.answer_table(("NAME",), [(text,)], empty=""),
        lambda text: output.answer_table(("NAME",), [], empty=text),
        lambda text: output.tell_changes([SlotChange(Slot.parse("snapshots/kb"), text, (text,))]),
    ],
    ids=["answer", "tell", "fail", "hits", "table", "empty", "changes"],
)
def test_control_characters_are_shown_and_not_sent(
    say: Callable[[str], None], capsys: pytest.CaptureFixture[str]
) -> None:
    say(EVIL)

    told = "".join(capsys.readouterr())
    assert TOLD in told
    assert not set(told) & set("\x1b\x9b\r\u202e")


def test_json_keeps_every_character_and_sends_none_that_rules_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    output.answer_json({EVIL: EVIL})
    output.answer_json_line({EVIL: EVIL})

    told = capsys.readouterr().out
    whole, line = told[: told.rindex("{")], told[told.rindex("{") :]
    assert json.loads(whole) == json.loads(line) == {EVIL: EVIL}
    assert not set(told) & set("\x1b\x9b\r\u202e")
    assert line.count("\n") == 1


def test_what_no_terminal_minds_stays_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    output.answer("Größe → 5\u202f€ 漢字")

    assert capsys.readouterr().out == "Größe → 5\u202f€ 漢字\n"


def test_faults_that_are_told_at_once_have_a_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    output.fail(NotFoundError("one\ntwo", hint="look"))

    assert capsys.readouterr().err == "error: one\ntwo\nhint: look\n"
