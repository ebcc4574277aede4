"""A handler whose predict is a generator: pieces arrive as they are made."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

TELLING = """
import os, time

class Handler:
    def load(self, model_dir): pass
    def preprocess(self, instances):
        for one in instances:
            if one == "refuse": raise ValueError("not this one")
        return instances
    def predict(self, inputs):
        for one in inputs:
            if one == "early": raise RuntimeError("before the first piece")
            if one == "nothing": return
            if isinstance(one, dict) and "until" in one:
                try:
                    yield "first"
                    while not os.path.exists(one["until"]):
                        time.sleep(0.01)
                        yield "and"
                finally:
                    open(one["until"] + ".closed", "w").close()
                yield "last"
            elif isinstance(one, dict) and "many" in one:
                for number in range(one["many"]):
                    yield "x" * 10_000
            elif one == "late":
                yield 1
                raise RuntimeError("after the first piece")
            else:
                yield from range(one)
"""


@contextlib.contextmanager
def answer_to(served, instances, **headers: str) -> Iterator[http.client.HTTPResponse]:
    """The answer while it comes."""
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=20)
    try:
        connection.request(
            "POST", "/invocations", json.dumps(instances), {"Content-Type": "application/json", **headers}
        )
        yield connection.getresponse()
    finally:
        connection.close()


@contextlib.contextmanager
def whole_answer_to(served, instances, **headers: str) -> Iterator[Future[bytes]]:
    """The whole answer, in the future."""
    with ThreadPoolExecutor(1) as thread:
        body = json.dumps(instances).encode()
        yield thread.submit(lambda: served.post(body, **headers).body)


@pytest.fixture
def telling(serve):
    return serve(TELLING, SLIPWAY_WORKERS="1").wait_ready()


def test_each_piece_is_a_line_and_comes_before_the_next_is_made(telling, tmp_path):
    with answer_to(telling, [{"until": str(tmp_path / "over")}]) as answer:
        assert (answer.status, answer.headers["content-type"]) == (200, "application/jsonlines")
        assert answer.headers["transfer-encoding"] == "chunked"
        assert answer.readline() == b'"first"\n'
        assert telling.ping() == 200
        (tmp_path / "over").touch()
        assert answer.read().splitlines()[-1] == b'"last"'
    assert telling.metric('slipway_requests_total{status="200"}') == 1
    assert telling.metric("slipway_in_flight") == 0


def test_a_connection_goes_on_after_a_stream(telling):
    connection = http.client.HTTPConnection("127.0.0.1", telling.port, timeout=20)
    for count in (3, 0, 2):
        connection.request("POST", "/invocations", json.dumps([count]), {"Content-Type": "application/json"})
        assert connection.getresponse().read() == b"".join(b"%d\n" % number for number in range(count))
    connection.close()


def test_long_answers_take_turns_with_others(telling, tmp_path):
    with answer_to(telling, [{"until": str(tmp_path / "over")}]) as first:
        first.readline()
        assert telling.post(b"[3]").body == b"0\n1\n2\n"
        (tmp_path / "over").touch()
        assert first.read().endswith(b'"last"\n')


def test_server_sent_events_for_who_accepts_them(telling):
    answer = telling.post(b"[2]", Accept="text/event-stream")
    assert answer.headers["content-type"] == "text/event-stream"
    assert answer.body == b"data: 0\n\ndata: 1\n\n"


def test_who_accepts_json_gets_one_document(telling):
    answer = telling.post(b"[2, 0, 3]", Accept="application/json")
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["content-length"] == str(len(answer.body))
    assert answer.body == b"[[0,1],[],[0,1,2]]"
    assert telling.post(b'{"many": 2}', Accept="application/json").body == b'"' + b"x" * 20_000 + b'"'


@pytest.mark.parametrize("accept", [{}, {"Accept": "*/*"}, {"Accept": "application/json"}])
def test_the_envelope_is_answered_in_the_envelope(telling, accept):
    answer = telling.post(b'{"instances": [2, 1]}', **accept)
    assert answer.headers["content-type"] == "application/json"
    assert answer.body == b'{"predictions":[[0,1],[0]]}'


@pytest.mark.parametrize(
    ("accept", "body"),
    [("application/jsonlines", b"0\n1\n"), ("text/event-stream", b"data: 0\n\ndata: 1\n\n")],
)
def test_the_envelope_streams_to_who_names_a_form_of_streams(telling, accept, body):
    answer = telling.post(b'{"instances": [2]}', Accept=accept)
    assert (answer.headers["content-type"], answer.body) == (accept, body)


def test_a_whole_answer_takes_turns_with_others(telling, until, tmp_path):
    over = tmp_path / "over"
    with whole_answer_to(telling, [{"until": str(over)}], Accept="application/json") as waiting:
        until(lambda: telling.metric("slipway_in_flight") == 1)
        assert telling.post(b"[2]").body == b"0\n1\n"
        over.touch()
        assert re.fullmatch(r'\["first(and)*last"\]', waiting.result(20).decode())


def test_a_client_that_leaves_ends_the_generator_of_its_whole_answer(telling, until, tmp_path):
    over = tmp_path / "over"
    connection = http.client.HTTPConnection("127.0.0.1", telling.port, timeout=20)
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    connection.request("POST", "/invocations", json.dumps([{"until": str(over)}]), headers)
    until(lambda: telling.metric("slipway_in_flight") == 1)
    connection.close()
    until(lambda: (tmp_path / "over.closed").exists())
    until(lambda: telling.metric("slipway_in_flight") == 0)


@pytest.mark.parametrize(
    ("instance", "status", "words"),
    [("refuse", 400, "not this one"), ("early", 500, "before the first"), ("late", 500, "after the first")],
)
def test_what_fails_in_a_whole_answer_is_a_plain_error(telling, instance, status, words):
    answer = telling.post(json.dumps([1, instance]).encode(), Accept="application/json")
    assert (answer.status, words in answer.error) == (status, True)


def test_a_stream_is_made_anew_where_whole_answers_are_kept(serve):
    served = serve(TELLING, SLIPWAY_WORKERS="1", SLIPWAY_CACHE="10").wait_ready()
    for _ in range(2):
        assert served.post(b"[2]").body == b"0\n1\n"
        assert served.post(b"[2]", Accept="application/json").body == b"[[0,1]]"
    assert served.metric("slipway_cache_hits_total") == 1


def test_a_stream_tells_its_phases_until_its_first_piece(telling, tmp_path):
    with answer_to(telling, [{"until": str(tmp_path / "over")}], **{"Slipway-Timing": "1"}) as answer:
        told = answer.headers["server-timing"]
        assert answer.readline() == b'"first"\n'
        (tmp_path / "over").touch()
    named = [entry.partition(";")[0] for entry in told.split(", ")]
    assert named == ["queue", "decode", "preprocess", "predict", "encode", "batch", "cache"]


def test_other_forms_are_406(telling):
    answer = telling.post(b"[2]", Accept="text/csv")
    assert (answer.status, "text/event-stream" in answer.error) == (406, True)


@pytest.mark.parametrize(
    ("instance", "status", "words"),
    [("refuse", 400, "not this one"), ("early", 500, "before the first piece")],
)
def test_what_fails_before_the_first_piece_is_a_plain_error(telling, instance, status, words):
    answer = telling.post(json.dumps([instance]).encode())
    assert (answer.status, words in answer.error) == (status, True)


def test_what_fails_later_breaks_the_stream_off(telling, until):
    with answer_to(telling, ["late"]) as answer:
        assert answer.readline() == b"1\n"
        with pytest.raises((http.client.IncompleteRead, ConnectionError)):
            answer.read()
    assert "after the first piece" in telling.log
    until(lambda: telling.metric('slipway_requests_total{status="500"}') == 1)
    assert telling.post(b"[1]").body == b"0\n"


def test_a_client_that_leaves_ends_its_generator(telling, until, tmp_path):
    over = tmp_path / "over"
    with answer_to(telling, [{"until": str(over)}]) as answer:
        answer.readline()
    until(lambda: (tmp_path / "over.closed").exists())
    until(lambda: telling.metric("slipway_in_flight") == 0)


def test_a_client_that_does_not_read_is_waited_for_and_holds_up_nobody(telling):
    with answer_to(telling, [{"many": 5000}]) as answer:
        time.sleep(0.3)
        assert telling.post(b"[2]").body == b"0\n1\n"
        assert telling.metric("process_resident_memory_bytes") < 300e6
        assert len(answer.read().splitlines()) == 5000


def test_an_old_http_client_gets_the_stream_until_the_connection_ends(telling):
    with telling.connect() as connection:
        connection.sendall(
            b"POST /invocations HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: 3\r\n\r\n[2]"
        )
        head, _, body = telling.rest(connection).partition(b"\r\n\r\n")
    assert b"chunked" not in head and body == b"0\n1\n"


def test_draining_lets_a_stream_end(telling, until, tmp_path):
    with answer_to(telling, [{"until": str(tmp_path / "over")}]) as answer:
        answer.readline()
        telling.process.terminate()
        until(lambda: "finishing 1 requests" in telling.log)
        (tmp_path / "over").touch()
        assert answer.read().endswith(b'"last"\n')
    assert telling.status() == 0


def test_the_samples_of_a_stream_are_answered_whole(serve):
    served = serve(TELLING, "3\n0\n", SLIPWAY_WORKERS="1").wait_ready()
    assert "2 samples answered" in served.log


def test_a_stream_with_a_postprocess_is_refused_at_start(serve):
    served = serve(TELLING + "    def postprocess(self, outputs): return outputs\n")
    assert served.status() == 1
    assert "postprocess would have to wait for all of it" in served.log
