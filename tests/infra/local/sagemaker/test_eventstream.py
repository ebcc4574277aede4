"""The frames, read by botocore's own reader."""

import json

from botocore.eventstream import EventStreamBuffer
from hypothesis import given
from hypothesis import strategies as st

from infra.local.sagemaker import eventstream


def events(frames):
    buffer = EventStreamBuffer()
    buffer.add_data(frames)
    return [event.to_response_dict() for event in buffer]


@given(st.binary(min_size=1, max_size=300))
def test_a_payload_comes_back_as_it_went(chunk):
    (event,) = events(eventstream.payload_part(chunk))
    assert event["status_code"] == 200
    assert event["headers"][":event-type"] == "PayloadPart"
    assert event["body"] == chunk


def test_a_large_payload_is_several_events():
    chunk = b"x" * (eventstream.LARGEST_PAYLOAD * 2 + 1)
    found = events(eventstream.payload_part(chunk))
    assert [len(event["body"]) for event in found] == [2**20, 2**20, 1]


def test_no_payload_is_no_event():
    assert eventstream.payload_part(b"") == b""


def test_an_error_is_an_exception_event():
    (event,) = events(eventstream.stream_error("StreamBroken", "it broke"))
    assert event["status_code"] == 400
    assert event["headers"][":exception-type"] == "ModelStreamError"
    assert json.loads(event["body"]) == {"ErrorCode": "StreamBroken", "Message": "it broke"}


def test_a_failure_of_the_service_is_another_exception_event():
    (event,) = events(eventstream.internal_failure("try again"))
    assert event["headers"][":exception-type"] == "InternalStreamFailure"
    assert json.loads(event["body"]) == {"Message": "try again"}
