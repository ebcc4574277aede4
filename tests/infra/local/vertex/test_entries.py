"""Cloud Logging's entries.list, over what containers printed."""

import pytest

from infra.local.vertex import entries
from infra.local.vertex.errors import GoogleError
from infra.local.vertex.logs import Logs

IRIS = 'resource.type="aiplatform.googleapis.com/Endpoint" AND resource.labels.endpoint_id="iris"'


@pytest.fixture
def logs():
    held = Logs()
    for endpoint, deployed, texts in (("iris", "1", "ab"), ("roses", "2", "c"), ("iris", "3", "d")):
        stream = held.open(endpoint_id=endpoint, deployed_model_id=deployed)
        for text in texts:
            stream.write(text)
    held.open(job_id="7").write("of a job")
    return held


def texts(page):
    return [entry["textPayload"] for entry in page.get("entries", [])]


def test_an_endpoint_s_lines_come_in_the_order_of_time_and_no_others(logs):
    page = entries.listed(logs, {"filter": IRIS, "orderBy": "timestamp asc"})
    assert texts(page) == ["a", "b", "d"]
    assert [entry["labels"]["deployed_model_id"] for entry in page["entries"]] == ["1", "1", "3"]
    assert len({entry["insertId"] for entry in page["entries"]}) == 3


def test_lines_from_a_time_on(logs):
    third = entries.listed(logs, {"filter": IRIS})["entries"][2]["timestamp"]
    assert texts(entries.listed(logs, {"filter": f'{IRIS} AND timestamp>="{third}"'})) == ["d"]
    assert texts(entries.listed(logs, {"filter": f'{IRIS} AND timestamp>="2099-01-01T00:00:00Z"'})) == []


def test_lines_come_in_pages(logs):
    first = entries.listed(logs, {"filter": IRIS, "pageSize": 2})
    rest = entries.listed(logs, {"filter": IRIS, "pageSize": 2, "pageToken": first["nextPageToken"]})
    assert (texts(first), texts(rest)) == (["a", "b"], ["d"])
    assert "nextPageToken" not in rest


@pytest.mark.parametrize(
    "asked",
    [
        {"filter": "severity>ERROR"},
        {"filter": 'severity>="ERROR"'},
        {"filter": 'timestamp>="yesterday"'},
        {"orderBy": "timestamp desc"},
    ],
)
def test_what_it_cannot_tell_is_refused(logs, asked):
    with pytest.raises(GoogleError) as refused:
        entries.listed(logs, asked)
    assert refused.value.status == "INVALID_ARGUMENT"
