"""Clients that do not read what they asked for: each costs its answer's memory, and so has an end.

As with those that send slowly (row 13 of the faults), it is not the time that counts but that nothing moves.
"""

from __future__ import annotations

import contextlib
import socket
import time

from waiting import until

HEAD = b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
BODY = b"[" + b"1," * 5_000_000 + b"1]"
SHORT = {"SLIPWAY_HEADER_TIMEOUT_S": "0.5", "SLIPWAY_BODY_TIMEOUT_S": "5", "SLIPWAY_WORKERS": "1"}
STREAM = """
class Handler:
    open = 0
    def load(self, model_dir): pass
    def predict(self, inputs):
        if inputs == ["open"]:
            yield self.open
            return
        self.open += 1
        try:
            while True: yield "x" * 10_000
        finally:
            self.open -= 1
"""


def asked(served, body: bytes, *lines: bytes, room: int = 4096) -> socket.socket:
    """A connection on which this was asked, with that much room for what comes."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
    connection.settimeout(20)
    connection.connect(("127.0.0.1", served.port))
    head = b"".join(line + b"\r\n" for line in (*lines, b"Content-Length: %d" % len(body)))
    connection.sendall(HEAD + head + b"\r\n" + body)
    return connection


def rest(connection: socket.socket, pause_s: float = 0) -> int:
    """How many bytes come until the end."""
    total = 0
    with contextlib.suppress(ConnectionResetError):
        while part := connection.recv(65536):
            total += len(part)
            time.sleep(pause_s)
    return total


def test_who_reads_nothing_of_an_answer_is_given_up(serve):
    """Row 13 of the faults, at the other end: the answer is dropped, and the connection with it."""
    served = serve(**SHORT).wait_ready()
    with asked(served, BODY, b"Connection: close") as connection:
        until(lambda: served.metric('slipway_requests_total{status="200"}') == 1)
        time.sleep(7)  # the timeout of the body, and two looks at what is left
        assert rest(connection) < len(BODY), "all of it was kept"


def test_who_reads_slowly_gets_it_all(serve):
    served = serve(**SHORT).wait_ready()
    with asked(served, BODY, b"Connection: close", room=65536) as connection:
        assert rest(connection, pause_s=0.02) > len(BODY)


def test_who_reads_nothing_of_a_stream_is_given_up_and_its_generator_ends(serve):
    served = serve(STREAM, **SHORT).wait_ready()
    with asked(served, b"[1]"):
        until(lambda: served.post(b'["open"]').body == b"1\n")
        until(lambda: served.post(b'["open"]').body == b"0\n")
    until(lambda: served.metric("slipway_in_flight") == 0)
