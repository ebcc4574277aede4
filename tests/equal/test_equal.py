"""One handler, one answer: at both clouds' endpoints, in both clouds' jobs, and called directly."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from subjects import ALL, CSV, HEADED, JSON, JSON_LINES, NPY, PARQUET

ENDPOINTS = ("sagemaker", "vertex_raw", "vertex_shared_raw")
JOBS = ("sagemaker_job", "vertex_job", "job_here")
# What both clouds carry, and the ways on which they carry it.
CARRIED = {
    JSON: (*ENDPOINTS, "vertex_predict", "vertex_shared_predict"),
    JSON_LINES: (*ENDPOINTS, *JOBS),
    CSV: (*ENDPOINTS, *JOBS),
    HEADED: (*ENDPOINTS, *JOBS),
    NPY: ENDPOINTS,
    PARQUET: (*ENDPOINTS, *JOBS),
}
ASKED = [(name, kind, route) for name in ALL for kind in ALL[name].bodies for route in CARRIED[kind]]


@pytest.mark.parametrize(("name", "content_type", "route"), ASKED)
def test_the_answer_is_that_of_the_handler_called_directly(deployed, name, content_type, route):
    subject = ALL[name]
    place = deployed(subject)
    expected = subject.expected(place.project / "build/model", content_type)
    answer = getattr(place, route)(subject.bodies[content_type], content_type)
    if route == "vertex_shared_predict":
        assert orjson.loads(answer) == orjson.loads(expected)
        assert not has_integers(orjson.loads(answer))
    else:
        assert answer == expected


def has_integers(document: Any) -> bool:
    """Whether there are any: predict on a shared endpoint carries a protobuf Struct, which has floats alone.

    Nor does it keep the order of keys.
    """
    if isinstance(document, list | dict):
        return any(map(has_integers, document.values() if isinstance(document, dict) else document))
    return type(document) is int


def test_an_integer_that_is_no_double_stays_whole_but_for_predict_on_a_shared_endpoint(deployed):
    place, body = deployed(ALL["numbers"]), b'{"instances":[%d]}' % (2**53 + 1)
    for route in ("sagemaker", "vertex_raw", "vertex_shared_raw", "vertex_predict"):
        assert orjson.loads(getattr(place, route)(body, JSON)) == {"predictions": [3 * (2**53 + 1)]}, route
    (rounded,) = orjson.loads(place.vertex_shared_predict(body, JSON))["predictions"]
    assert (type(rounded), rounded) == (float, 3 * 2.0**53)
    # The SDK would have made it a float by itself: whoever posts JSON by hand sees that the endpoint does.
    by_hand = place.gcp.raw(place.shared.name, body, JSON, verb="predict").json()["predictions"]
    assert (type(by_hand[0]), by_hand[0]) == (float, 3 * 2.0**53)
