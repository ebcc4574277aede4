"""Bodies within bounds: their size, the time they take, the chunks they come in."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from bench.serving.processes import descendants

HEAD = b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
MIB = 2**20


def resident(process) -> int:
    """Of all the server's processes: it is its workers that read bodies."""
    found = (Path(f"/proc/{pid}/statm").read_text() for pid in (process.pid, *descendants(process.pid)))
    return sum(int(numbers.split()[1]) for numbers in found) * 4096


def test_a_body_over_the_limit_is_413_by_its_content_length(echo):
    """Row 14 of the faults. What it costs: test_faults_overload.py."""
    answer = echo.post(b"[" + b"1," * MIB + b"1]")
    assert (answer.status, answer.json["error"]["code"]) == (413, "payload_too_large")
    assert f"{2 * MIB + 3} bytes; expected up to {2 * MIB}" in answer.error


def test_a_body_at_the_limit_is_taken(echo):
    body = b'["' + b"x" * (2 * MIB - 4) + b'"]'
    assert echo.post(body).body == body


def test_a_client_that_asks_before_it_sends_is_told_no_at_once(echo):
    with echo.connect() as connection:
        connection.sendall(HEAD + b"Content-Length: 999999999\r\nExpect: 100-continue\r\n\r\n")
        answer = echo.rest(connection)
    assert answer.startswith(b"HTTP/1.1 413")
    assert b"100 Continue" not in answer
    assert b"connection: close" in answer


@pytest.mark.parametrize(
    ("settings", "asked"),
    [({}, {}), ({"SLIPWAY_CACHE": "100"}, {}), ({}, {"Slipway-Timing": "1"})],
    ids=["plain", "cached", "timed"],
)
def test_a_body_is_given_up_with_its_answer(serve, settings, asked):
    """And not when Python looks for what holds itself: with large bodies that is hundreds of MB later."""
    handler = (
        "import gc\n\nclass Handler:\n    def load(self, model_dir): gc.disable()\n"
        "    def predict(self, inputs): return [0] * len(inputs)\n"
    )
    served = serve(handler, SLIPWAY_WORKERS="1", **settings).wait_ready()
    bodies = [b'["' + letter.encode() * (8 * MIB) + b'"]' for letter in "abcdefghijklmnopqrstu"]
    assert served.post(bodies.pop(), **asked).json == [0]
    before = resident(served.process)
    for body in bodies:
        assert served.post(body, **asked).json == [0]
    assert resident(served.process) - before < 60 * MIB


def test_a_body_that_is_announced_and_does_not_come_costs_no_memory(echo, until):
    before = resident(echo.process)
    with contextlib.ExitStack() as stack:
        for _ in range(100):
            connection = stack.enter_context(echo.connect())
            connection.sendall(HEAD + b"Content-Length: %d\r\n\r\n[" % (2 * MIB))
        until(lambda: echo.metric("slipway_in_flight") >= 90)
        assert resident(echo.process) - before < 50 * MIB


def test_a_chunked_stream_without_end_is_413_and_costs_no_memory(echo):
    before = resident(echo.process)
    chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
    with echo.connect() as connection:
        connection.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        with pytest.raises(ConnectionError):
            for _ in range(3200):
                connection.sendall(chunk)
    assert resident(echo.process) - before < 20 * MIB
    assert echo.post(b"[1]").json == [1]


def test_a_chunked_body_over_the_limit_is_413_and_the_client_hears_it(echo):
    """Row 14 of the faults."""
    chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
    with echo.connect() as connection:
        connection.sendall(
            HEAD + b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n" + chunk * 48 + b"0\r\n\r\n"
        )
        answer = echo.rest(connection)
    assert answer.startswith(b"HTTP/1.1 413")


def test_a_flood_of_one_byte_chunks_is_400(echo):
    """Row 15 of the faults."""
    flood = b"1\r\n[\r\n" * 65_600 + b"0\r\n\r\n"
    with echo.connect() as connection:
        connection.sendall(HEAD + b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n" + flood)
        answer = echo.rest(connection)
    assert answer.startswith(b"HTTP/1.1 400")
    assert b"more than 65536 chunks" in answer


@pytest.mark.parametrize("announced", [3, MIB])
def test_a_slow_body_is_408_and_closed(echo, announced):
    """Row 13 of the faults."""
    with echo.connect() as connection:
        connection.sendall(HEAD + b"Content-Length: %d\r\n\r\n[" % announced)
        answer = echo.rest(connection)
    assert answer.startswith(b"HTTP/1.1 408")
    assert b"SLIPWAY_BODY_TIMEOUT_S" in answer


@pytest.mark.parametrize("announced", [999, MIB])
def test_a_body_that_drips_is_408_however_often_it_drips(echo, announced):
    """Row 13 of the faults."""
    with echo.connect() as connection:
        connection.sendall(HEAD + b"Content-Length: %d\r\n\r\n[" % announced)
        connection.settimeout(0.1)
        answer = b""
        for _ in range(40):
            try:
                answer = connection.recv(4096)
                break
            except TimeoutError:
                connection.sendall(b"1,")
    assert answer.startswith(b"HTTP/1.1 408")


@pytest.mark.parametrize("announced", [100, MIB])
def test_a_client_that_leaves_within_its_body_costs_nothing(echo, until, announced):
    """Row 12 of the faults."""
    for _ in range(20):
        with echo.connect() as connection:
            connection.sendall(HEAD + b"Content-Length: %d\r\n\r\n[1" % announced)
    until(lambda: echo.metric("slipway_in_flight") == 0)
    assert "the runtime itself failed" not in echo.log
