"""Progress as a person sees it: a rate only once it was measured, a time only where the end is known."""

import re

import pytest
from click.exceptions import Exit

from regalia.wire.answers import OperationEntry, OperationEventEntry, OperationProgress
from regalia_cli import progress
from regalia_cli.progress import Meter, Progress, told


def reading(rows: int, **more: int) -> dict[str, object]:
    return {"step": "reading", "rows": rows, **more}


def entry(state: str = "running") -> OperationEntry:
    return OperationEntry("op-1", "snapshot", "acme", "snapshot/kb", state, "2026-01-01T00:00:00Z", "jane", {})


def answered(*bodies: dict[str, object], state: str = "running") -> OperationProgress:
    events = tuple(OperationEventEntry(number, "2026-01-01T00:00:00Z", body) for number, body in enumerate(bodies, 1))
    return OperationProgress(entry(state), events)


@pytest.mark.parametrize(
    ("body", "line"),
    [
        ({"step": "connecting", "target": "local"}, "connecting local"),
        (reading(1000), "reading 1,000 rows"),
        (reading(1000, of=5000), "reading 1,000 of 5,000 rows"),
        (reading(1000, about=5000), "reading 1,000 of about 5,000 rows"),
        (reading(6000, about=5000), "reading 6,000 rows"),
        ({"step": "storing", "bytes": 443_775}, "storing 443,775 bytes"),
        ({"step": "done"}, "done"),
    ],
)
def test_an_event_is_put_into_words(body: dict[str, object], line: str) -> None:
    assert told(body) == line


def test_a_rate_is_told_once_two_seconds_were_measured() -> None:
    meter = Meter()

    lines = [meter.told(reading(rows, of=100_000), now) for rows, now in ((0, 10.0), (9000, 11.0), (24_600, 12.0))]

    assert lines == [
        "reading 0 of 100,000 rows",
        "reading 9,000 of 100,000 rows",
        "reading 24,600 of 100,000 rows, 12,000 rows/s, about 6 s left",
    ]


def test_what_was_done_before_one_looked_is_no_part_of_the_rate() -> None:
    meter = Meter()
    meter.told(reading(900_000, of=1_000_000), 0.0)

    assert meter.told(reading(910_000, of=1_000_000), 10.0).endswith("1,000 rows/s, about 2 min left")


def test_a_step_is_measured_from_its_own_start() -> None:
    meter = Meter()
    meter.told(reading(0), 0.0)
    meter.told(reading(5000), 5.0)
    meter.told({"step": "verifying", "rows": 0}, 6.0)

    assert meter.told({"step": "verifying", "rows": 400}, 7.0) == "verifying 400 rows"
    assert meter.told({"step": "verifying", "rows": 900}, 9.0) == "verifying 900 rows, 300 rows/s"


@pytest.mark.parametrize("more", [{}, {"of": 4000}, {"about": 3000}], ids=["no end", "at the end", "past the estimate"])
def test_no_time_is_told_where_none_is_known(more: dict[str, int]) -> None:
    meter = Meter()
    meter.told(reading(0, **more), 0.0)

    assert "left" not in meter.told(reading(4000, **more), 4.0)


def test_a_step_that_stands_still_has_no_rate() -> None:
    meter = Meter()
    meter.told(reading(10), 0.0)

    assert meter.told(reading(10), 60.0) == "reading 10 rows"


def test_a_long_time_is_told_in_hours() -> None:
    meter = Meter()
    meter.told(reading(0, of=7_201_000), 0.0)

    assert meter.told(reading(1000, of=7_201_000), 2.0).endswith("500 rows/s, about 4.0 h left")


def test_where_no_terminal_is_each_event_is_a_line_and_stdout_is_left_alone(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with progress.shown() as tell:
        tell(answered(state="queued"))
        tell(answered({"step": "connecting", "target": "local"}, reading(10)))
        tell(answered({"step": "done"}, state="done"))

    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines()[1:] == ["  connecting local", "  reading 10 rows", "  done"]
    assert "waiting for a worker" in err


def test_on_a_terminal_one_line_changes_and_goes(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    shown = Progress(is_terminal=True)

    shown.tell(answered(reading(10), reading(123_456_789)))
    shown.tell(answered({"step": "done"}, state="done"))

    err = capsys.readouterr().err
    assert "\n" not in err
    assert err.endswith("\r\x1b[2K")
    assert max(map(len, re.split("\r\x1b\\[2K", err))) == 19


def test_who_leaves_is_told_how_to_come_back(capsys: pytest.CaptureFixture[str]) -> None:
    def leave() -> None:
        with progress.shown() as tell:
            tell(answered(reading(10)))
            raise KeyboardInterrupt

    with pytest.raises(Exit) as left:
        leave()

    assert left.value.exit_code == 1
    assert "come back with: reg operation watch op-1" in capsys.readouterr().err
