"""Streams under load: a handler that makes its pieces faster than they go out fills no memory."""

from __future__ import annotations

import contextlib
import http.client
import json

# With that interval the event loop, which waits for the interpreter, waits as long as it may be made to wait.
EAGER = """
import sys

class Handler:
    made = 0
    def load(self, model_dir): pass
    def predict(self, inputs):
        if inputs == ["how many"]:
            yield self.made
            return
        sys.setswitchinterval(60)
        for self.made in range(1, inputs[0] + 1):
            yield "x" * 1000
"""


def test_a_stream_is_made_no_faster_than_it_goes_out(serve):
    """Row 11 of the faults, for streams: what waits is bounded, also between the handler and the network."""
    served, count = serve(EAGER, SLIPWAY_WORKERS="1").wait_ready(), 20_000
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", served.port, timeout=30)) as connection:
        connection.request("POST", "/invocations", json.dumps([count]), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        answer.readline()
        made = int(served.post(b'["how many"]').body)
        assert made < count / 2, "the others are made as the client reads"
        assert len(answer.read().splitlines()) == count - 1


def test_a_stream_is_never_kept_for_the_next_who_asks(serve):
    """The cache holds whole answers: of a stream's it saw the first piece, and the next caller waited."""
    served = serve(EAGER, SLIPWAY_WORKERS="1", SLIPWAY_CACHE="10").wait_ready()
    for _ in range(2):
        assert len(served.post(b"[3]").body.splitlines()) == 3
