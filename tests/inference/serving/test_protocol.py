"""Connections that dawdle or do not speak HTTP."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


def test_slow_headers_are_408_and_closed(echo):
    """Row 13 of the faults, with a shorter limit than its ten seconds."""
    with echo.connect() as connection:
        connection.sendall(b"GET /ping HTTP/1.1\r\nHost:")
        answer = echo.rest(connection)
    assert answer.startswith(b"HTTP/1.1 408")
    assert b"SLIPWAY_HEADER_TIMEOUT_S" in answer


def test_headers_that_drip_do_not_buy_time(echo):
    """Row 13 of the faults."""
    with echo.connect() as connection:
        connection.settimeout(0.1)
        connection.sendall(b"GET /ping HTTP/1.1\r\n")
        answer = b""
        for number in range(40):
            try:
                answer = connection.recv(4096)
                break
            except TimeoutError:
                connection.sendall(b"X-%d: 1\r\n" % number)
    assert answer.startswith(b"HTTP/1.1 408")


@pytest.mark.parametrize("said", [b"", b"\r\n"])
def test_a_connection_that_says_nothing_is_closed(echo, said):
    with echo.connect() as connection:
        connection.sendall(said)
        assert echo.rest(connection) == b""


def test_empty_lines_for_ever_do_not_keep_a_connection(echo):
    with echo.connect() as connection:
        connection.settimeout(0.1)
        ended = False
        for _ in range(40):
            try:
                connection.sendall(b"\r\n")
                ended = connection.recv(10) == b""
            except TimeoutError:
                continue
            except ConnectionError:
                ended = True
            if ended:
                break
    assert ended


def test_a_flood_of_headers_is_refused(echo):
    with echo.connect() as connection:
        try:
            connection.sendall(b"GET /ping HTTP/1.1\r\n")
            for number in range(40_000):
                connection.sendall(b"X-%d: 1234567890\r\n" % number)
        except ConnectionError:
            pass
        assert echo.rest(connection)[:12] in (b"HTTP/1.1 431", b"")
    assert echo.ping() == 200


def test_trailers_replace_no_header(echo):
    with echo.connect() as connection:
        connection.sendall(
            b"POST /invocations HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
            b"Content-Type: application/json\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n3\r\n[1]\r\n0\r\nContent-Type: text/csv\r\n\r\n"
        )
        answer = echo.rest(connection)
    assert answer.startswith(b"HTTP/1.1 200")
    assert answer.endswith(b"[1]")


@pytest.mark.parametrize(
    "said",
    [
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"GET\r\n\r\n",
        b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"POST /invocations HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n",
        b"CONNECT a:1 HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
)
def test_what_is_not_http_is_400_in_json_and_closed(echo, said):
    with echo.connect() as connection:
        connection.sendall(said)
        answer = echo.rest(connection)
    assert answer.startswith(b"HTTP/1.1 400")
    assert b'"code":"bad_request"' in answer


def test_random_bytes_never_stop_the_server(echo):
    """Row 16 of the faults, below the bodies."""
    for _ in range(50):
        with echo.connect() as connection:
            connection.sendall(b"POST /invocations HTTP/1.1\r\n" + os.urandom(200) + b"\r\n\r\n")
            answer = echo.rest(connection)
        assert answer[:10] in (b"HTTP/1.1 4", b""), answer
    assert echo.ping() == 200
    assert "the runtime itself failed" not in echo.log


def test_closed_connections_leave_no_descriptor(echo):
    descriptors = Path(f"/proc/{echo.process.pid}/fd")
    echo.ping()
    before = len(list(descriptors.iterdir()))
    for _ in range(50):
        echo.post(b"[1]")
    assert len(list(descriptors.iterdir())) <= before + 1
