from datetime import UTC, datetime, timedelta

from deploy.batch import following
from deploy.batch.cloud import Job

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
ROWS = {"a": 1000, "b": 3000, "c": 2000}


def said(state: str, done: set[str], started: datetime | None = NOW - timedelta(seconds=100)) -> str:
    return following.said(Job("j", state, NOW, started), ROWS, done, NOW)


def test_progress_tells_what_a_cloud_can_tell():
    assert said("InProgress", set(), None) == "InProgress, 0 of 3 files, 0 of 6,000 records"
    assert (
        said("InProgress", {"a"})
        == "InProgress, 1 of 3 files, 1,000 of 6,000 records, 10 a second, 8:20 left"
    )
    assert said("Completed", set(ROWS)) == "Completed, 3 of 3 files, 6,000 of 6,000 records, 60 a second"


def test_hours_are_told_as_hours():
    assert said("InProgress", {"a"}, NOW - timedelta(hours=1)).endswith("5:00:00 left")
