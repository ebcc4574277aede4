"""What a caller sees over real HTTP."""

from __future__ import annotations

import io
import socket
import time

import numpy as np
import pytest

NPY = "application/x-npy"
HEAD = b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
# One process that takes one request at a time: what waits can be foreseen.
ONE_BY_ONE = {"SLIPWAY_WORKERS": "1", "SLIPWAY_MAX_BATCH_SIZE": "1"}
REQUEST = HEAD + b"Content-Length: 3\r\n\r\n[%d]"


def npy(array, **options):
    file = io.BytesIO()
    np.save(file, array, **options)
    return file.getvalue()


def test_ping_is_200_with_an_empty_body_once_ready(echo):
    answer = echo.call("GET", "/ping")
    assert (answer.status, answer.body) == (200, b"")


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        (b'[{"a": 1}, 2]', [{"a": 1}, 2]),
        (b'{"a": 1}', {"a": 1}),
        (b'{"instances": [1, 2], "parameters": {}}', {"predictions": [1, 2]}),
        (b'{"instances": [1, 2], "parameters": null}', {"predictions": [1, 2]}),
        (b"[]", []),
        (b'{"instances": []}', {"predictions": []}),
    ],
)
def test_a_json_answer_has_its_requests_shape(echo, body, answer):
    assert echo.post(body).json == answer


def test_each_format_is_answered_in_itself_unless_accept_says_otherwise(echo):
    assert echo.post(b"1\n[2]\n", "application/jsonlines").body == b"1\n[2]\n"
    assert echo.post(b"1,a,\n2.5,007,x\n", "text/csv").body == b"1,a,\n2.5,007,x\n"
    answer = echo.post(npy(np.arange(6).reshape(3, 2)), NPY)
    assert answer.headers["content-type"] == NPY
    assert np.load(io.BytesIO(answer.body)).tolist() == [[0, 1], [2, 3], [4, 5]]
    assert echo.post(b"a,b\n1,\n", "text/csv; header=present", Accept="application/json").json == [
        {"a": 1, "b": None}
    ]


def test_a_format_keeps_the_name_that_the_caller_has_for_it(echo):
    answer = echo.post(b"1", "application/jsonl", Accept="application/x-jsonlines")
    assert (answer.headers["content-type"], answer.body) == ("application/x-jsonlines", b"1\n")


@pytest.mark.parametrize(
    ("body", "content_type", "words"),
    [
        (b"{", "application/json", "line 1 column"),
        (b"", "application/json", "nothing where a JSON value was expected"),
        (b"[1, NaN]", "application/json", "NaN and infinity are not JSON"),
        (b"[1e999]", "application/json", "infinity"),
        (b'["\xff"]', "application/json", "UTF-8"),
        (b"[" * 5000, "application/json", "depth"),
        (b"3", "application/json", "expected a list of instances"),
        (b'{"instances": 1}', "application/json", "expected a list"),
        (b'{"instances": [], "extra": 1}', "application/json", "'extra'"),
        (b'{"instances": [1], "parameters": {"k": 3}}', "application/json", "takes instances alone"),
        (b"1\n\n2", "application/jsonlines", "line 2"),
        (b"1\n{]\n", "application/jsonlines", "line 2"),
        (b"1,nan\n", "text/csv", "row 1 column 2: 'nan'"),
        (b"1,2\n3,-Infinity\n", "text/csv", "row 2 column 2: '-Infinity'"),
        (b"1,2\n3\n", "text/csv", "row 2 has 1 cells; expected 2"),
        (b'"a', "text/csv", "RFC 4180"),
        (b"\xff\xfe", "text/csv", "byte 0"),
        (b"a,a\n1,2\n", "text/csv; header=present", "row 1 column 2: 'a'"),
        (npy(np.array([1.0, np.nan])), NPY, "index [1]"),
        (npy(np.array(1.0)), NPY, "shape ()"),
        (npy(np.zeros(2, "i4,f4")), NPY, "dtype"),
        (npy(np.zeros(4))[:-1], NPY, "31 bytes of data; expected 32"),
        (b"PK\x03\x04", NPY, "numpy.save"),
        (b'["refuse"]', "application/json", "ValueError: no instance like this"),
    ],
)
def test_a_bad_body_is_400_and_says_where_and_what(echo, body, content_type, words):
    """Row 16 of the faults, case by case."""
    answer = echo.post(body, content_type)
    assert (answer.status, answer.json["error"]["code"]) == (400, "bad_request")
    assert words in answer.error


def test_a_pickle_posted_as_npy_is_refused_and_never_run(echo, tmp_path):
    """Row 17 of the faults."""
    marker = tmp_path / "ran"

    class Attack:
        def __reduce__(self):
            return (open, (str(marker), "w"))

    attack = npy(np.array([Attack()], dtype=object), allow_pickle=True)
    answer = echo.post(attack, NPY)
    assert answer.status == 400
    assert "dtype" in answer.error
    assert not marker.exists()


@pytest.mark.parametrize(
    "content_type",
    [
        "application/x-pickle",
        "application/octet-stream",
        "text/plain",
        "",
        "multipart/form-data; boundary=x",
        "csv",
    ],
)
def test_a_content_type_that_is_not_spoken_is_415_and_lists_those_that_are(echo, content_type):
    answer = echo.post(b"[1]", content_type)
    assert answer.status == 415
    assert "application/jsonlines, text/csv, application/x-npy" in answer.error


def test_other_charsets_and_compressed_bodies_are_415(echo):
    assert "'latin-1'" in echo.post(b"[1]", "application/json; charset=latin-1").error
    answer = echo.post(b"[1]", Content_Encoding="gzip")
    assert (answer.status, "'gzip'" in answer.error) == (415, True)


def test_an_accept_that_cannot_be_met_is_406_and_lists_what_can(echo):
    answer = echo.post(b"[1]", Accept="image/png, text/html;q=0.5")
    assert answer.status == 406
    assert "application/json, application/jsonlines" in answer.error


@pytest.mark.parametrize("accept", ["text/csv", NPY])
def test_predictions_that_do_not_fit_the_accepted_format_are_406(echo, accept):
    body = b'["nested", "x"]' if accept == "text/csv" else b'["text"]'
    answer = echo.post(body, Accept=accept)
    assert answer.status == 406
    assert "ask for application/json" in answer.error


@pytest.mark.parametrize(
    ("word", "code", "words"),
    [
        (b'["fail"]', "handler_failed", "predict raised RuntimeError: the model broke"),
        (b'["exit"]', "handler_failed", "SystemExit: 3"),
        (b'["drop", 1]', "bad_predictions", "returned 0 predictions for 2 instances"),
        (b'["nan"]', "bad_predictions", "prediction 0 is nan"),
    ],
)
def test_a_failing_handler_is_500_with_its_message_and_serving_goes_on(echo, word, code, words):
    answer = echo.post(word)
    assert (answer.status, answer.json["error"]["code"]) == (500, code)
    assert words in answer.error
    assert echo.post(b"[1]").json == [1]


def test_the_traceback_of_a_failing_handler_is_in_the_log_and_not_in_the_answer(echo):
    answer = echo.post(b'["fail"]')
    assert "Traceback" not in answer.error
    assert 'raise RuntimeError("the model broke")' in echo.log
    assert "inference/serving/predictor.py" not in echo.log


def test_what_a_caller_sends_cannot_forge_a_line_of_the_log(echo):
    echo.call("GET", "/x%0d%0aslipway:%20forged%1b[31m")
    answer = echo.post(b"[1]", "text/x\x1b[31m")
    assert "\x1b" not in answer.error
    assert "slipway: forged" not in echo.log
    assert "\x1b" not in echo.log


def test_unknown_routes_are_404_and_wrong_methods_405(echo):
    answer = echo.call("GET", "/models")
    assert (answer.status, "POST /invocations" in answer.error) == (404, True)
    answer = echo.call("GET", "/invocations")
    assert (answer.status, answer.headers["allow"]) == (405, "POST")
    assert echo.call("POST", "/ping", b"x").status == 405


def test_an_upgrade_to_another_protocol_is_refused_by_name(echo):
    answer = echo.post(b"[1]", Connection="Upgrade, HTTP2-Settings", Upgrade="h2c")
    assert (answer.status, "Upgrade: b'h2c'" in answer.error) == (400, True)


def test_custom_attributes_are_not_echoed(echo):
    answer = echo.post(b"[1]", X_Amzn_SageMaker_Custom_Attributes="a=b")
    assert "x-amzn-sagemaker-custom-attributes" not in answer.headers


def test_a_connection_takes_one_request_after_the_other(echo):
    with echo.connect() as connection:
        connection.sendall(REQUEST % 1 + REQUEST % 2)
        received = b""
        while received.count(b"HTTP/1.1 200") < 2 or not received.endswith(b"[2]"):
            received += connection.recv(4096)
    assert received.index(b"[1]") < received.index(b"[2]")


def test_ping_answers_while_a_prediction_computes(echo, call_together, until, tmp_path):
    """Row 9 of the faults: a handler that computes in Python."""
    callers = call_together(echo, [[{"spin": str(tmp_path / "over")}]])
    until(lambda: echo.metric("slipway_in_flight") == 1)
    began = time.monotonic()
    assert echo.ping() == 200
    # The contract, not a measure of speed: two seconds.
    assert time.monotonic() - began < 2
    assert callers.answers == []
    (tmp_path / "over").touch()
    assert callers.statuses() == [200]


def test_every_phase_of_every_request_is_in_the_metrics(serve):
    served = serve().wait_ready()
    for body in (b"[1]", b"[2]", b'["fail"]', b"{"):
        served.post(body)
    text = served.call("GET", "/metrics").body.decode()
    counts = {
        phase: f'slipway_phase_seconds_count{{phase="{phase}"}} '
        for phase in ("queue", "decode", "predict", "encode")
    }
    assert counts["queue"] + "4.0" in text
    assert counts["decode"] + "4.0" in text
    assert counts["predict"] + "3.0" in text
    assert counts["encode"] + "2.0" in text
    assert 'slipway_requests_total{status="200"} 2.0' in text
    assert 'slipway_requests_total{status="500"} 1.0' in text
    assert "slipway_in_flight 0.0" in text


def test_a_full_queue_is_503_with_retry_after_while_ping_and_metrics_answer(
    serve, call_together, until, tmp_path
):
    served = serve(SLIPWAY_MAX_QUEUE="2", **ONE_BY_ONE).wait_ready()
    callers = call_together(served, [[{"until": str(tmp_path / "over")}]] * 8)
    until(lambda: len(callers.answers) == 5)
    assert served.ping() == 200
    assert served.metric("slipway_queue_waiting") == 2
    (tmp_path / "over").touch()
    assert callers.statuses() == [200] * 3 + [503] * 5
    refused = next(answer for answer in callers.answers if answer.status == 503)
    assert (refused.headers["retry-after"], refused.json["error"]["code"]) == ("1", "overloaded")


def test_a_full_queue_is_said_before_the_body_is_sent(serve, call_together, until, tmp_path):
    served = serve(SLIPWAY_MAX_QUEUE="1", **ONE_BY_ONE).wait_ready()
    bodies = [[{"until": str(tmp_path / "over")}]]
    first = call_together(served, bodies)
    until(lambda: served.metric("slipway_in_flight") == 1 and served.metric("slipway_queue_waiting") == 0)
    second = call_together(served, bodies)
    until(lambda: served.metric("slipway_queue_waiting") == 1)
    with served.connect() as asking:
        asking.sendall(HEAD + b"Expect: 100-continue\r\nContent-Length: 3\r\n\r\n")
        assert served.rest(asking).startswith(b"HTTP/1.1 503")
    (tmp_path / "over").touch()
    assert first.statuses() + second.statuses() == [200, 200]


def test_a_client_that_leaves_frees_its_place_in_the_queue(serve, call_together, until, tmp_path):
    """Row 12 of the faults."""
    served = serve(SLIPWAY_MAX_QUEUE="1", **ONE_BY_ONE).wait_ready()
    callers = call_together(served, [[{"until": str(tmp_path / "over")}]])
    until(lambda: served.metric("slipway_in_flight") == 1 and served.metric("slipway_queue_waiting") == 0)
    with served.connect() as leaving:
        leaving.sendall(REQUEST % 1)
        until(lambda: served.metric("slipway_queue_waiting") == 1)
        assert served.post(b"[2]").status == 503
    until(lambda: served.metric("slipway_queue_waiting") == 0)
    assert served.metric('slipway_requests_total{status="499"}') == 1
    (tmp_path / "over").touch()
    assert callers.statuses() == [200]


def test_two_hundred_callers_against_a_queue_of_eight_are_all_answered(serve, call_together, until, tmp_path):
    """Row 11 of the faults: the bound is exact. Over time: test_faults_overload.py."""
    served = serve(SLIPWAY_MAX_QUEUE="8", **ONE_BY_ONE).wait_ready()
    callers = call_together(served, [[{"until": str(tmp_path / "over")}]] * 200)
    until(lambda: len(callers.answers) == 191)
    (tmp_path / "over").touch()
    assert callers.statuses() == [200] * 9 + [503] * 191


def test_vertex_routes_and_port_are_served_beside_the_standard_ones(serve):
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    route = "/v1/endpoints/7/deployedModels/9"
    served = serve(AIP_HTTP_PORT=str(port), AIP_HEALTH_ROUTE=route, AIP_PREDICT_ROUTE=f"{route}:predict")
    assert served.port == port
    served.wait_ready()
    assert served.call("GET", route).status == 200
    answer = served.call("POST", f"{route}:predict", b'{"instances": [1]}', Content_Type="application/json")
    assert answer.json == {"predictions": [1]}
    assert served.post(b"[1]").json == [1]


def test_vertex_may_have_one_route_for_health_and_predict(serve):
    served = serve(AIP_HEALTH_ROUTE="/model", AIP_PREDICT_ROUTE="/model").wait_ready()
    assert served.call("GET", "/model").status == 200
    assert served.call("POST", "/model", b"[1]", Content_Type="application/json").json == [1]


def test_an_answer_tells_where_its_time_went_to_who_asks(echo):
    timing = echo.post(b"[1]", Slipway_Timing="1").headers["server-timing"]
    told = dict(part.split(";", 1) for part in timing.split(", "))
    assert set(told) == {
        "queue",
        "decode",
        "preprocess",
        "predict",
        "postprocess",
        "encode",
        "batch",
        "cache",
    }
    assert float(told["predict"].removeprefix("dur=")) >= 0
    assert told["batch"] == 'desc="1"'
    assert "server-timing" not in echo.post(b"[1]").headers


def test_through_sagemaker_the_custom_attributes_tell_it(echo):
    answer = echo.post(b"[1]", X_Amzn_SageMaker_Custom_Attributes="slipway-timing")
    told = answer.headers["x-amzn-sagemaker-custom-attributes"]
    assert told.startswith("slipway-timing,queue=") and "predict=" in told and len(told) < 1024


COUNTING = """
class Handler:
    def load(self, model_dir): self.calls = 0
    def predict(self, inputs):
        self.calls += 1
        if "fail" in inputs: raise RuntimeError
        return [self.calls] * len(inputs)
"""


def test_a_cached_answer_is_the_same_and_calls_no_handler(serve):
    served = serve(COUNTING, SLIPWAY_CACHE="2", SLIPWAY_WORKERS="1").wait_ready()
    assert [served.post(b"[1]").json for _ in range(3)] == [[1]] * 3
    assert served.post(b"[1]", Accept="application/jsonlines").body == b"2\n"
    assert served.post(b"1", "application/jsonlines").body == b"3\n"
    assert served.post(b"[1]").json == [4], "two are kept, and this was asked before them"
    assert 'cache;desc="hit"' in served.post(b"[1]", Slipway_Timing="1").headers["server-timing"]
    assert (served.metric("slipway_cache_hits_total"), served.metric("slipway_cache_misses_total")) == (3, 4)


def test_an_error_is_never_cached(serve):
    served = serve(COUNTING, SLIPWAY_CACHE="10", SLIPWAY_WORKERS="1").wait_ready()
    for _ in range(2):
        assert served.post(b'["fail"]').status == 500
    assert served.metric("slipway_cache_hits_total") == 0


def test_nothing_is_cached_unless_asked_for(serve):
    served = serve(COUNTING, SLIPWAY_WORKERS="1").wait_ready()
    assert [served.post(b"[1]").json for _ in range(2)] == [[1], [2]]
