"""Cloud Logging's entries.list, over what containers printed."""

import pytest

from infra.local.vertex import entries
from infra.local.vertex.errors import GoogleError
from infra.local.vertex.logs import Logs
from infra.local.vertex.names import number_of

PLACE = "projects/100000000001/locations/us-central1"
OURS = {"resourceNames": ["projects/100000000001"]}
IRIS = 'resource.type="aiplatform.googleapis.com/Endpoint" AND resource.labels.endpoint_id="iris"'


@pytest.fixture
def logs():
    held = Logs()
    for endpoint, deployed, texts in (("iris", "1", "ab"), ("roses", "2", "c"), ("iris", "3", "d")):
        owner = f"{PLACE}/endpoints/{endpoint}"
        stream = held.open(owner, endpoint_id=endpoint, deployed_model_id=deployed)
        for text in texts:
            stream.write(text)
    held.open(f"{PLACE}/customJobs/7", job_id="7").write("of a job")
    return held


def listed(logs, **asked):
    return entries.listed(logs, {**OURS, **asked})


def texts(page):
    return [entry["textPayload"] for entry in page.get("entries", [])]


def test_an_endpoint_s_lines_come_in_the_order_of_time_and_no_others(logs):
    page = listed(logs, filter=IRIS, orderBy="timestamp asc")
    assert texts(page) == ["a", "b", "d"]
    assert [entry["labels"]["deployed_model_id"] for entry in page["entries"]] == ["1", "1", "3"]
    assert len({entry["insertId"] for entry in page["entries"]}) == 3


def test_a_job_s_lines_are_known_by_its_number(logs):
    (entry,) = listed(logs, filter='resource.type="ml_job"')["entries"]
    assert entry["textPayload"] == "of a job"
    assert entry["resource"]["labels"] == {"job_id": "7", "task_name": "workerpool0-0"}
    other = 'resource.type="ml_job" AND resource.labels.job_id="8"'
    assert texts(listed(logs, filter=other)) == []


def test_one_project_s_lines_are_no_other_s(logs):
    name = "projects/another-project/locations/us-central1/endpoints/iris"
    theirs = name.replace("another-project", number_of("another-project"))
    logs.open(theirs, endpoint_id="iris", deployed_model_id="4").write("theirs")
    assert texts(listed(logs, filter=IRIS)) == ["a", "b", "d"]
    of_theirs = {"filter": IRIS, "resourceNames": ["projects/another-project"]}
    assert texts(entries.listed(logs, of_theirs)) == ["theirs"]


def test_one_region_s_lines_are_told_from_another_s(logs):
    elsewhere = f"{PLACE.replace('us-central1', 'europe-west4')}/endpoints/iris"
    logs.open(elsewhere, endpoint_id="iris", deployed_model_id="4").write("there")
    there = f'{IRIS} AND resource.labels.location="europe-west4"'
    assert texts(listed(logs, filter=there)) == ["there"]


def test_lines_from_a_time_on(logs):
    third = listed(logs, filter=IRIS)["entries"][2]["timestamp"]
    assert texts(listed(logs, filter=f'{IRIS} AND timestamp>="{third}"')) == ["d"]
    assert texts(listed(logs, filter=f'{IRIS} AND timestamp>="2099-01-01T00:00:00Z"')) == []


def test_lines_come_in_pages(logs):
    first = listed(logs, filter=IRIS, pageSize=2)
    rest = listed(logs, filter=IRIS, pageSize=2, pageToken=first["nextPageToken"])
    assert (texts(first), texts(rest)) == (["a", "b"], ["d"])
    assert "nextPageToken" not in rest


@pytest.mark.parametrize(
    "asked",
    [
        {"filter": "severity>ERROR"},
        {"filter": 'severity>="ERROR"'},
        {"filter": 'timestamp>="yesterday"'},
        {"orderBy": "timestamp desc"},
        {"resourceNames": []},
        {"resourceNames": ["folders/1"]},
        {"resourceNames": "projects/another-project"},
    ],
)
def test_what_it_cannot_tell_is_refused(logs, asked):
    with pytest.raises(GoogleError) as refused:
        listed(logs, **asked)
    assert refused.value.status == "INVALID_ARGUMENT"
