"""An old TorchServe handler answers here as in TorchServe: statuses, bodies, content types and headers."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from inference.serving.handlers import Call

JSON = "application/json"
NO_CHECK = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
RESULTS = ["text", "bytes", "bytearray", "none", "number", "list", "keys", "nan", "set"]
TOLD = [
    {"raise": "value"},
    {"raise": "cuda"},
    {"raise": "memory"},
    {"refuse": 400},
    {"refuse": 413, "say": "too large"},
    {"refuse": 418, "say": 'a\n"b" <c> é \u2028 \u0001'},
    {"refuse": 503},
    {"refuse": 200},
    {"status": 201},
    {"status": 404},
    {"type": "text/csv"},
    {"type": "application/json; charset=utf-8", "status": 422},
]
told = st.sampled_from([*RESULTS, *TOLD]).map(json.dumps).map(str.encode)
bodies = (
    told
    | st.sampled_from(RESULTS).map(str.encode)
    | st.binary(max_size=12)
    | st.text(max_size=8).map(str.encode)
)
content_types = st.sampled_from(
    [
        JSON,
        f"{JSON}; charset=utf-8",
        "Application/JSON",
        "text/plain",
        "text/csv;header=absent",
        "image/png",
        "",
    ]
)
calls = st.builds(Call, bodies, content_types, st.sampled_from(["", "*/*", JSON]))


def seen(answer):
    return answer.status, answer.body, answer.content_type, dict(answer.headers)


def test_a_modules_function_answers_any_request_as_in_torchserve(ours, theirs) -> None:
    handler = ours("function")

    @settings(max_examples=60, deadline=None, database=None, suppress_health_check=NO_CHECK)
    @given(call=calls)
    def same(call: Call) -> None:
        assert seen(handler.answer(call)) == seen(theirs.answer("function", call))

    for one in TOLD:
        same = example(Call(json.dumps(one).encode(), JSON))(same)
    same()


@pytest.mark.parametrize(
    "body", ["dict", "short", "long", "measures", "properties", "manifest", "config", "anything"]
)
def test_a_plain_class_answers_as_in_torchserve(ours, theirs, body) -> None:
    call = Call(body.encode(), "text/plain")
    assert seen(ours("plain").answer(call)) == seen(theirs.answer("plain", call))


def test_a_base_handler_answers_as_in_torchserve(ours, start_torchserve) -> None:
    handler, theirs = ours("base"), start_torchserve({"base": "base"})
    bodies = [b"[1, 2]", b"[1e300, -0.25]", b"[1]", b'{"a": 1}']
    calls = [Call(body, JSON) for body in bodies]
    calls += [Call(b"[1, 2]", JSON, headers={name: "True"}) for name in ("describe", "explain")]
    for call in calls:
        assert seen(handler.answer(call)) == seen(theirs.answer("base", call))


def test_the_json_envelope_answers_as_torchserves_own(ours, start_torchserve, monkeypatch) -> None:
    monkeypatch.setenv("TS_SERVICE_ENVELOPE", "json")
    handler, theirs = ours("rows"), start_torchserve({"rows": "rows"}, service_envelope="json")
    assert handler.shape.endswith("in the json envelope")
    instances = [
        [{"data": [1, 2]}, {"data": [0, 3]}],
        [{"b64": "YQ=="}],
        [{"a": {"b64": "YQ=="}, "c": 1}, {"b64": "Yg=="}],
        [1, "two", None],
        [],
        [{"data": 5}],
    ]
    calls = [Call(json.dumps({"instances": one}).encode(), JSON) for one in instances]
    for call in [*calls, Call(b"[]", JSON), Call(b'{"instances": [1]}', "text/plain")]:
        assert seen(handler.answer(call)) == seen(theirs.answer("rows", call))


def form(*parts: bytes) -> bytes:
    return b"".join(b"--limit\r\n" + part + b"\r\n" for part in parts) + b"--limit--\r\n"


FIELD = b'Content-Disposition: form-data; name="data"\r\n\r\n'
FILE = b'Content-Disposition: form-data; name="body"; filename="a"\r\nContent-Type: '


@pytest.mark.parametrize(
    "body",
    [
        form(FIELD + b"1"),
        form(FIELD + b"1", FILE + b'application/json\r\n\r\n{"a": 1}'),
        form(FILE + b"image/png\r\n\r\n\x00\r\n\xff"),
        form(FILE + b"text/plain; charset=utf-8\r\n\r\ngr\xc3\xbcezi"),
        form(FIELD + b"1", FIELD + b"2"),
    ],
)
def test_a_form_is_read_as_in_torchserve(ours, theirs, body) -> None:
    call = Call(body, "multipart/form-data; boundary=limit")
    assert seen(ours("function").answer(call)) == seen(theirs.answer("function", call))


@pytest.mark.parametrize(
    "body", [b"body=text", b"a=1&b=%20x&a=2", b"a", b"", b"b=1&a", b"a&b=1", b"a=1&", b"a==&b=+", b"a=%ff"]
)
def test_an_urlencoded_form_is_read_as_in_torchserve(ours, theirs, body) -> None:
    call = Call(body, "application/x-www-form-urlencoded")
    assert seen(ours("function").answer(call)) == seen(theirs.answer("function", call))


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"=x", "application/x-www-form-urlencoded"),
        (b"%zz=1", "application/x-www-form-urlencoded"),
        (b"--limit", "multipart/form-data; boundary=limit"),
        (b"", "multipart/form-data"),
    ],
)
def test_a_form_that_cannot_be_read_is_the_callers_mistake(ours, body, kind) -> None:
    """Here 400; TorchServe's front end answers 500 or 503."""
    handler = ours("function")
    bad, good = handler.answer_all([Call(body, kind), Call(b"text", "text/plain")])
    assert (bad.status, json.loads(bad.body)["type"]) == (400, "BadRequestException")
    assert good.status == 200


def test_requests_that_arrive_together_are_answered_as_torchserves_batch(ours, theirs) -> None:
    calls = [
        Call(b"text", "text/plain"),
        Call(b'{"status": 404}', JSON),
        Call(b"list", "text/x"),
        Call(b"\xff"),
    ]
    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(lambda call: theirs.answer("batched", call), calls))
    assert [seen(one) for one in ours("batched").answer_all(calls)] == [seen(one) for one in answers]
