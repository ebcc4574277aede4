"""InvokeEndpointWithResponseStream through boto3: parts as they are made, and ends that are none."""

import json
from contextlib import closing

import pytest
from botocore.exceptions import EventStreamError


@pytest.fixture(scope="module")
def name(cloud):
    return cloud.served()


def streamed(cloud, name, orders, **given):
    return cloud.runtime.invoke_endpoint_with_response_stream(
        EndpointName=name, Body=json.dumps(orders), **given
    )


def test_a_part_arrives_before_the_container_makes_the_next(cloud, name, tmp_path):
    answer = streamed(cloud, name, {"stream": 4, "gates": str(tmp_path)})
    with closing(answer["Body"]) as body:
        for number, event in enumerate(body):
            assert event == {"PayloadPart": {"Bytes": f"part {number};".encode()}}
            (tmp_path / str(number + 1)).touch()
    assert number == 3


def test_a_part_before_the_end_is_no_end(cloud, tmp_path):
    name = cloud.served()
    answer = streamed(cloud, name, {"stream": 2, "gates": str(tmp_path), "break": True})
    found = []
    with closing(answer["Body"]) as body, pytest.raises(EventStreamError) as caught:
        for event in body:
            found.append(event["PayloadPart"]["Bytes"])
            (tmp_path / str(len(found))).touch()
    assert found == [b"part 0;", b"part 1;"]
    error = caught.value.response["Error"]
    assert error["Code"] == "ModelStreamError"
    assert "broke" in error["Message"]


def test_a_stream_over_its_time_says_so_after_the_parts_that_came(cloud, name, tmp_path):
    answer = streamed(cloud, name, {"stream": 2, "gates": str(tmp_path)})
    with closing(answer["Body"]) as body:
        events = iter(body)
        assert next(events)["PayloadPart"]["Bytes"] == b"part 0;"
        with pytest.raises(EventStreamError) as caught:
            next(events)
    assert caught.value.response["Error"]["Code"] == "ModelStreamError"
    assert "timed out" in caught.value.response["Error"]["Message"]


def test_who_leaves_midway_gives_its_place_in_the_container_back(cloud, name, tmp_path):
    with closing(streamed(cloud, name, {"stream": 2, "gates": str(tmp_path)})["Body"]) as body:
        next(iter(body))
    cloud.until(lambda: (tmp_path / "left").exists(), 2)  # and not when its time is over
