"""How a body comes off the socket: whole, whatever its pieces, and copied no more than it must be."""

from __future__ import annotations

import asyncio
import io
import socket
import time
import tracemalloc

import numpy as np
import pytest

from inference.serving import codecs
from inference.serving.codecs import media
from inference.serving.exchange import Reply
from inference.serving.http import front
from inference.serving.http.calls import Call, Limits, Service
from inference.serving.http.wire import Wire

MIB = 2**20
LIMITS = Limits(4 * MIB, 10, 10)


class Taker(Service):
    """Keeps what comes, and answers each request with the length of its body. It `took` so much memory."""

    def __init__(self) -> None:
        self.taken: list[Call] = []
        self.took = 0

    def begin(self, call: Call) -> None:
        tracemalloc.reset_peak()
        self.took = -tracemalloc.get_traced_memory()[0]

    def answer(self, call: Call) -> Reply:
        self.took += tracemalloc.get_traced_memory()[1]
        self.taken.append(call)
        return Reply(200, "text/plain", b"%d" % len(call.body))

    def end(self, call: Call) -> None:
        pass


def served(pieces: list[bytes], answers: int) -> Taker:
    """A service that has answered so many requests, sent in these pieces on one connection."""
    taker, said = Taker(), []

    def ask(port: int) -> None:
        with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for number, piece in enumerate(pieces):
                time.sleep(0.02 if number else 0)
                client.sendall(piece)
            while b"".join(said).count(b"HTTP/1.1 200") < answers:
                said.append(client.recv(65536))
                assert said[-1], b"".join(said)

    async def serve() -> None:
        loop = asyncio.get_running_loop()
        wire = Wire(taker, LIMITS)
        server = await loop.create_server(wire.connection, "127.0.0.1", 0)
        try:
            await loop.run_in_executor(None, ask, server.sockets[0].getsockname()[1])
        finally:
            wire.abort()
            server.close()

    front.run(serve)
    return taker


def post(body: bytes) -> bytes:
    return b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body


def filled(size: int) -> bytes:
    return np.random.default_rng(size).bytes(size)


@pytest.mark.parametrize("size", [0, 1, 16_000, 16_384, 16_385, 40_000, 600_000, 4 * MIB])
@pytest.mark.parametrize("cut", [0, 30, 60, 70, 20_000])
def test_a_body_of_any_size_arrives_whole_wherever_it_is_cut(size, cut):
    body = filled(size)
    request = post(body)
    taker = served([request[:cut], request[cut:]] if 0 < cut < len(request) else [request], 1)
    assert [bytes(call.body) for call in taker.taken] == [body]


def test_requests_sent_ahead_begin_where_a_large_body_ends():
    bodies = [filled(size) for size in (600_000, 5, 50_000, 16_385, 0, 300_000)]
    taker = served([b"".join(map(post, bodies))], len(bodies))
    assert [bytes(call.body) for call in taker.taken] == bodies


def test_a_large_body_is_received_in_its_place_and_its_array_lies_there():
    picture = np.random.default_rng(0).standard_normal((1, 3, 224, 224), dtype=np.float32)
    file = io.BytesIO()
    np.save(file, picture)
    request = post(file.getvalue())
    served([request], 1)  # what is made once is there
    tracemalloc.start()
    try:
        takers = [served([request], 1) for _ in range(3)]
    finally:
        tracemalloc.stop()
    # Far less than two of it. The least of three: a thread that another test left may be at work meanwhile.
    assert len(file.getvalue()) <= min(taker.took for taker in takers) < 1.5 * len(request)
    body = takers[0].taken[0].body
    found = codecs.decode(body, media.ContentType(media.NPY)).instances
    assert np.shares_memory(found, np.frombuffer(body, np.uint8))
    assert np.array_equal(found, picture)
