"""Google's own prediction server as the oracle for Vertex AI's container contract.

The same requests go to it and to our runtime. Where the contract fixes the answer, or Vertex AI would pass it
on to a caller, both answer alike; where it is silent and we chose otherwise, DIFFERENT says so and why.
Source: cloud.google.com/vertex-ai/docs/predictions/custom-container-requirements
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import pytest

JSON = {"Content_Type": "application/json"}


@dataclass(frozen=True)
class Case:
    """A request."""

    body: bytes | None = None
    method: str = "POST"
    route: str = "predict"
    headers: dict[str, str] = field(default_factory=lambda: JSON)


def instances(*given: Any, **beside: Any) -> Case:
    return Case(json.dumps({"instances": given, **beside}).encode())


def text(body: str, **headers: str) -> Case:
    return Case(body.encode(), headers={**JSON, **headers})


# Status, content type and document are the same.
SAME = {
    "integers": instances(0, -1, 2**53, 2**53 + 1, 2**63 - 1, -(2**63), 2**64 - 1),
    "floats": instances(0.1, -0.0, 1e308, 5e-324, 3.0, 1e22),
    "text": instances("", "a", 'quote " and \\ backslash', "\x00\x1f\x7f", "line\nend"),
    "unicode": instances("Zürich", "日本", "\U0001f600", "e\u0301", "\u202e"),
    "unicode as it is": Case('{"instances": ["Zürich", "日本", "\U0001f600"]}'.encode()),
    "true, false, null": instances(True, False, None),
    "lists and objects": instances([1, [2, [3, []]]], {"a": {"b": [None, {}]}, "": 1}),
    "an object's keys keep their order": text('{"instances": [{"b": 1, "a": 2}]}'),
    "of a key that is there twice the last counts": text('{"instances": [{"a": 1, "a": 2}]}'),
    "no instances": instances(),
    "a thousand": instances(*range(1000)),
    "a megabyte": instances("a" * 2**20),
    "blanks around": text(' \r\n\t{ "instances" : [ 1 ] } \n'),
    "parameters that are null": instances(1, parameters=None),
    "parameters that are empty": instances(1, parameters={}),
    "a charset": text('{"instances": [1]}', Content_Type="application/json; charset=utf-8"),
}
# The status is the same; the body is of no contract. Vertex AI takes any status but 200 for an error.
SAME_STATUS = {
    "healthy": (200, Case(method="GET", route="health", headers={})),
    "no JSON": (400, Case(b"instances")),
    "half of it": (400, Case(b'{"instances": [1')),
    "nothing": (400, Case(b"")),
    "more behind it": (400, Case(b'{"instances": [1]} 2')),
    "the model breaks": (500, instances(1, "fail")),
    "predict by GET": (405, Case(method="GET", headers={})),
    "health by POST": (405, Case(b"", route="health")),
    "no such route": (404, Case(method="GET", route="/", headers={})),
    "no such route to post to": (404, Case(b"{}", route="/predict")),
}
# What Accept asks for, where JSON is among it.
ACCEPTED = ["*/*", "text/html, application/json;q=0.9"]
# Google's status, ours, the request, and the reason: the contract says nothing of it.
DIFFERENT = {
    "another type than JSON": (
        (400, 200, Case(b"1\n2\n", headers={"Content_Type": "text/csv"})),
        "rawPredict hands every type through, and ours reads CSV, JSON Lines, NPY and Parquet",
    ),
    "another answer than JSON": (
        (400, 200, text('{"instances": [1]}', Accept="text/csv")),
        "as above",
    ),
    "a type that nobody reads": (
        (400, 415, Case(b"<a/>", headers={"Content_Type": "application/xml"})),
        "RFC 9110 section 15.5.16 has a status for it",
    ),
    "an answer that nobody writes": (
        (400, 406, text('{"instances": [1]}', Accept="image/png")),
        "RFC 9110 section 15.5.7 has a status for it",
    ),
    "no type": (
        (400, 415, Case(b'{"instances": [1]}', headers={})),
        "as above",
    ),
    "a type in capitals": (
        (400, 200, text('{"instances": [1]}', Content_Type="Application/JSON")),
        "RFC 9110 section 8.3.1: it is the same type",
    ),
    "a list without an envelope": (
        (500, 200, Case(b"[1, 2]")),
        "SageMaker's callers send it, and both clouds have one route",
    ),
    "an object without instances": (
        (500, 200, Case(b'{"a": 1}')),
        "as above: it is one instance",
    ),
    "instances that are no list": (
        (500, 400, Case(b'{"instances": 3}')),
        "it is the caller's mistake",
    ),
    "parameters": (
        (200, 400, instances(1, parameters={"top_k": 3})),
        "a handler takes instances alone: to drop them would answer another question",
    ),
    "more beside the instances": (
        (200, 400, instances(1, signature_name="a")),
        "as above",
    ),
    "bytes that are no text": (
        (500, 400, Case(b'{"instances": ["\xff"]}')),
        "it is the caller's mistake",
    ),
    "UTF-16": (
        (200, 400, Case('{"instances": [1]}'.encode("utf-16"))),
        "RFC 8259 section 8.1: JSON is UTF-8",
    ),
    "a byte order mark": (
        (200, 400, Case(b'\xef\xbb\xbf{"instances": [1]}')),
        "RFC 8259 section 8.1: it must not be added",
    ),
    "not a number, asked": (
        (200, 400, Case(b'{"instances": [NaN]}')),
        "RFC 8259 section 6: it is no JSON, and Vertex AI answers no such request",
    ),
    "not a number, answered": (
        (200, 500, instances("nan")),
        "Google's answer is NaN, which is no JSON: Vertex AI could not pass it on",
    ),
    "fewer predictions than instances": (
        (200, 500, instances(1, "drop")),
        "the contract wants one for each; Google's server does not look",
    ),
}


def asked(server: Any, case: Case) -> Any:
    return server.ask(case.method, case.route, case.body, **case.headers)


@pytest.mark.parametrize("name", SAME)
def test_what_the_contract_fixes_is_answered_alike(googles, ours, name):
    theirs, answer = asked(googles, SAME[name]), asked(ours, SAME[name])
    assert (theirs.status, theirs.content_type) == (200, "application/json")
    assert (answer.status, answer.content_type) == (200, "application/json")
    # As text, so that 1 is not 1.0 and keys are in their order.
    assert json.dumps(answer.document) == json.dumps(theirs.document)


@pytest.mark.parametrize("accept", ACCEPTED)
def test_where_accept_has_json_among_others_it_is_answered(googles, ours, accept):
    """Google's server gives back the whole header as the content type; ours says what the answer is."""
    case = text('{"instances": [1]}', Accept=accept)
    theirs, answer = asked(googles, case), asked(ours, case)
    assert (answer.status, answer.document) == (theirs.status, theirs.document) == (200, {"predictions": [1]})
    assert theirs.content_type == accept.partition(";")[0]
    assert answer.content_type == "application/json"


@pytest.mark.parametrize("name", SAME_STATUS)
def test_what_is_no_prediction_has_the_same_status(googles, ours, name):
    status, case = SAME_STATUS[name]
    assert (asked(googles, case).status, asked(ours, case).status) == (status, status)


@pytest.mark.parametrize("name", DIFFERENT)
def test_where_the_contract_is_silent_the_difference_is_the_one_that_is_told(googles, ours, name):
    (theirs, status, case), reason = DIFFERENT[name]
    assert (asked(googles, case).status, asked(ours, case).status) == (theirs, status), reason


def test_an_integer_of_more_than_64_bits_keeps_its_digits_on_google_s_server_alone(googles, ours):
    """RFC 8259 section 6 leaves it to the reader; ours makes it a float, as a shared endpoint does."""
    case = instances(2**70 + 1)
    assert asked(googles, case).document == {"predictions": [2**70 + 1]}
    assert asked(ours, case).document == {"predictions": [float(2**70)]}


def test_an_error_of_ours_is_json_with_a_sentence(ours):
    """Vertex AI shows its caller the container's own body: Google's server has {"detail": ...}."""
    for status, case in SAME_STATUS.values():
        if status != 200:
            answer = asked(ours, case)
            assert answer.content_type == "application/json"
            assert answer.document["error"]["message"]
