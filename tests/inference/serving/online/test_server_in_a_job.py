"""The server as a transform job's container: what the platform sees over real HTTP."""

from __future__ import annotations

import io
import json
import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

LINES, CSV, PARQUET = "application/jsonlines", "text/csv", "application/x-parquet"
HEAD = (
    b"POST /invocations HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/jsonlines\r\n"
)
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


def parquet(**columns):
    file = io.BytesIO()
    pq.write_table(pa.table(columns), file)
    return file.getvalue()


def chunk(data):
    return b"%x\r\n%s\r\n" % (len(data), data)


def test_execution_parameters_suit_the_machine_and_the_platforms_product_rule(serve):
    served = serve(SAGEMAKER_BATCH="true")
    answer = served.call("GET", "/execution-parameters")
    found = answer.json
    assert answer.status == 200
    assert found == {
        "MaxConcurrentTransforms": min(len(os.sched_getaffinity(0)), 16),
        "BatchStrategy": "MULTI_RECORD",
        "MaxPayloadInMB": 6,
    }
    assert found["MaxConcurrentTransforms"] * found["MaxPayloadInMB"] <= 100


def test_execution_parameters_are_answered_while_the_model_loads(serve, tmp_path):
    gate = tmp_path / "over"
    handler = f"""
import os, time
class Handler:
    def load(self, model_dir):
        while not os.path.exists({str(gate)!r}):
            time.sleep(0.01)
    def predict(self, inputs):
        return inputs
"""
    served = serve(handler, SAGEMAKER_BATCH="true")
    assert served.ping() == 503
    assert served.call("GET", "/execution-parameters").status == 200
    gate.touch()
    served.wait_ready()


def test_a_failed_record_is_answered_in_its_place_and_logged_with_its_traceback(keeping):
    answer = keeping.post(b'1\n\n{\n"refuse"\n"fail"\n2\n', LINES)
    lines = [json.loads(line) for line in answer.body.splitlines()]
    assert (answer.status, answer.headers["content-type"]) == (200, LINES)
    assert [line if isinstance(line, int) else list(line) for line in lines] == [
        1,
        ["slipway_error"],
        ["slipway_error"],
        ["slipway_error"],
        2,
    ]
    assert "kept 3 failures among 5 records; the first is record 2: column 2" in keeping.log
    keeping.post(b'"fail"\n', LINES)
    assert 'raise RuntimeError("the model broke")' in keeping.log


def test_the_header_line_names_the_columns_and_is_answered_for_the_join(keeping):
    body = b"\xef\xbb\xbfa,b\r\n1,x\r\n"
    assert keeping.post(body, CSV).body == b"a,b\n1,x\n"
    assert keeping.post(b"2,\n", CSV, Accept=LINES).body == b'{"a":2,"b":null}\n'


def test_without_keep_one_bad_record_fails_its_request_and_its_line_is_named(serve):
    served = serve(SAGEMAKER_BATCH="true").wait_ready()
    answer = served.post(b"1\n\n{\n", LINES)
    assert (answer.status, "line 3" in answer.error) == (400, True)
    assert served.post(b'1\n"fail"\n', LINES).status == 500
    assert served.post(b"1\n\n2\n", LINES).body == b"1\n2\n"
    assert served.post(b'{"instances": [1]}').json == {"predictions": [1]}


def test_chunked_bodies_larger_than_an_endpoints_limit_are_taken_where_the_platform_says_so(serve):
    served = serve(
        SAGEMAKER_BATCH="true", SAGEMAKER_MAX_PAYLOAD_IN_MB="3", SLIPWAY_MAX_BODY_MB="1"
    ).wait_ready()
    line = b'"' + b"x" * 9_997 + b'"\n'
    with served.connect() as connection:
        connection.sendall(CHUNKED + b"".join(chunk(line) for _ in range(250)) + b"0\r\n\r\n")
        assert served.rest(connection).endswith(b"\r\n\r\n" + line * 250)
    assert served.post(line * 500, LINES).status == 413


def test_a_job_that_states_no_limit_takes_what_the_platform_may_send_at_most(serve):
    served = serve(SAGEMAKER_BATCH="true", SAGEMAKER_MAX_PAYLOAD_IN_MB="0").wait_ready()
    with served.connect() as connection:
        connection.sendall(HEAD + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % (100 * 2**20))
        assert connection.recv(100).startswith(b"HTTP/1.1 100")
    with served.connect() as connection:
        connection.sendall(HEAD + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % (102 * 2**20))
        assert connection.recv(100).startswith(b"HTTP/1.1 413")


def test_as_many_requests_may_wait_as_the_platform_sends_at_once(serve, call_together, until, tmp_path):
    served = serve(
        SAGEMAKER_BATCH="true", SLIPWAY_MAX_QUEUE="1", SAGEMAKER_MAX_CONCURRENT_TRANSFORMS="5"
    ).wait_ready()
    callers = call_together(served, [[{"until": str(tmp_path / "over")}]] * 5)
    until(lambda: served.metric("slipway_in_flight") == 5)
    (tmp_path / "over").touch()
    assert callers.statuses() == [200] * 5


def test_parquet_is_read_in_a_job_and_at_an_endpoint(keeping, echo):
    body = parquet(x=[1, None], y=["a", "b"])
    expected = b'{"x":1,"y":"a"}\n{"x":null,"y":"b"}\n'
    assert keeping.post(body, PARQUET).body == expected
    answer = echo.post(body, PARQUET)
    assert (answer.body, answer.headers["content-type"]) == (expected, LINES)
    assert echo.post(body, PARQUET, Accept="application/json").json[1] == {"x": None, "y": "b"}


@pytest.mark.parametrize("damage", [slice(0, 4), slice(-20, -8), slice(8, 40)])
def test_damaged_parquet_is_400(echo, damage):
    body = bytearray(parquet(x=["a", "b"] * 20))
    body[damage] = b"\xff" * len(body[damage])
    answer = echo.post(bytes(body), PARQUET)
    assert (answer.status, answer.json["error"]["code"]) == (400, "bad_request")
    assert "parquet: " in answer.error


def test_an_endpoint_keeps_its_own_way_whatever_the_batch_variables_say(serve):
    served = serve(SLIPWAY_BATCH_ON_ERROR="keep").wait_ready()
    assert served.post(b'1\n"fail"\n', LINES).status == 500
    assert served.post(b"1\n\n2\n", LINES).status == 400
