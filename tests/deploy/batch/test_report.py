import json

import pytest

from deploy.batch import report
from deploy.batch.places import BatchError
from deploy.batch.report import Report, Result

WHOLE = Report(
    "0123456789ab",
    "failed",
    "iris-1",
    "job-1",
    {"a.csv": Result(3, 3, 1, "d"), "b.csv": None},
    earlier=("c.csv",),
)


def test_a_report_is_read_as_it_was_written():
    assert report.from_json(report.to_json(WHOLE), "x") == WHOLE
    assert report.from_json(b"", "x") is None


def test_a_report_counts_what_there_is():
    written = json.loads(report.to_json(WHOLE))
    assert (written["rows_in"], written["rows_out"], written["rows_failed"]) == (3, 3, 1)
    assert written["files"][1] == {"name": "b.csv"}


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"run": 1}', b"null", b'"x"', b"\xff", b'{"files": [1]}'])
def test_a_file_of_something_else_is_no_report_and_stays(body):
    with pytest.raises(BatchError, match="^out/report.json: no report of batch-transform: move it away"):
        report.from_json(body, "out/report.json")


def test_a_person_is_told_counts_failures_and_what_is_missing():
    assert list(report.lines(WHOLE, "out", {"b.csv": "no result"})) == [
        "1 of 2 files, 3 rows in, 3 rows out, 1 row failed",
        "  a.csv: 1 row failed, see a.csv.errors.jsonl",
        "  b.csv: no result",
        "results in out, each as <file>.out; job job-1",
    ]
