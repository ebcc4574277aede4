"""What a terminal and what a log are shown of a run, and the report at its end."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from inference.serving.batch import report
from inference.serving.batch.progress import Progress, duration, line
from inference.serving.batch.report import FileReport, Report


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_line_says_what_is_done_how_fast_and_what_is_left() -> None:
    progress = Progress(3, 1000, io.StringIO(), files_done=1, size_done=250, rows=5000)
    assert line(progress, 10) == "1 of 3 files, 5,000 records, 500/s, 30 s left"
    assert line(Progress(3, 1000, io.StringIO()), 10) == "0 of 3 files, 0 records"


@pytest.mark.parametrize(
    ("seconds", "expected"), [(0, "0 s"), (59.4, "59 s"), (61, "1 min 01 s"), (7384, "2 h 03 min")]
)
def test_a_duration_is_written_as_people_read_it(seconds: float, expected: str) -> None:
    assert duration(seconds) == expected


def test_a_terminal_has_one_line_that_is_written_over_and_cleared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "70")
    terminal = Terminal()
    progress = Progress(1, 100, terminal, size_done=50, _shown=-1.0)
    progress.add(7)
    progress.clear()
    first, second, rest = terminal.getvalue().split("\r")[1:]
    assert first.startswith("[############............] 0 of 1 files, 7 records")
    assert (len(first), second, rest) == (69, " " * 69, "")
    assert "\n" not in terminal.getvalue()


def test_a_log_has_a_whole_line_now_and_then() -> None:
    log = io.StringIO()
    progress = Progress(1, 100, log, _shown=-10.0)
    progress.add(7)
    progress.add(7)
    progress.clear()
    assert log.getvalue().count("\n") == 1
    assert log.getvalue().startswith("slipway: 0 of 1 files, 7 records")


def test_the_report_adds_up_what_has_answers_and_names_what_has_none() -> None:
    files = (
        FileReport("a.csv", 100, 100, 2),
        FileReport("b.csv", 50, 50, again=False),
        FileReport("c.csv", 9, 4, 1, reason="in/c.csv line 5: broken"),
    )
    done = Report(Path("out"), files, 2.0)
    assert done.status == 1
    assert report.text(done).splitlines() == [
        "failed: in/c.csv line 5: broken",
        "out/a.csv.errors.jsonl: rows failed 2",
        "files 3: 1 scored, 1 finished by an earlier run and not repeated, 1 failed",
        "rows in 150, rows out 150, rows failed 2",
        "scored in 2.0 s (50 rows/s); answers in out",
    ]
    assert Report(Path("out"), files[:2], 1.0).status == 0


def test_a_name_in_the_report_is_nothing_that_a_terminal_obeys() -> None:
    files = (FileReport("a\x1b[2J\n.csv", 2, 2, 1), FileReport("b", reason="in/\udcff\r line 5: broken"))
    lines = report.text(Report(Path("out"), files, 2.0)).split("\n")
    assert lines[0] == "failed: in/\\udcff\\r line 5: broken"
    assert lines[1] == "out/a\\x1b[2J\\n.csv.errors.jsonl: rows failed 1"
