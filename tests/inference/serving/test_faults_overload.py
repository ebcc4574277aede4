"""Rows 11, 12, 14 and 15 of the faults: what is too much is refused, and costs neither memory nor time.

What is measured is the memory of all its processes; and the time that requests wait as the server itself
tells it, so that slow clients on a busy machine change nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from typing import Any

import pytest
from waiting import until

from bench.serving.processes import descendants, proportional

MIB = 2**20
HEAD = b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
# Each call takes its time, and there is one at a time: what waits can be foreseen.
CALL_S = 0.02
SLOW = f"""
import os, time

class Handler:
    def load(self, model_dir): pass
    def predict(self, inputs):
        for one in inputs:
            if isinstance(one, dict):
                open(one["begun"], "w").close()
                while not os.path.exists(one["until"]): time.sleep(0.01)
        time.sleep({CALL_S})
        return [len(inputs)] * len(inputs)
"""
ONE_BY_ONE = {"SLIPWAY_WORKERS": "1", "SLIPWAY_MAX_BATCH_SIZE": "1"}


def memory(served: Any) -> int:
    """Bytes that all processes of the server hold, shared pages once."""
    return sum(map(proportional, {served.process.pid, *descendants(served.process.pid)}))


async def ask_for(served: Any, seconds: float, answers: list[tuple[int, bytes]]) -> None:
    """Ask on one connection after the other, as a client does that tries again at once."""
    clock = asyncio.get_running_loop().time
    end = clock() + seconds
    request = HEAD + b"Slipway-Timing: 1\r\nConnection: close\r\nContent-Length: 3\r\n\r\n[1]"
    while clock() < end:
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        try:
            writer.write(request)
            whole = await asyncio.wait_for(reader.read(), 20)
        finally:
            writer.close()
            await writer.wait_closed()
        answers.append((int(whole.split(b" ", 2)[1]), whole))
        if answers[-1][0] == 503:
            await asyncio.sleep(0.1)


def waited_ms(answer: bytes) -> float:
    found = re.search(rb"queue;dur=([0-9.]+)", answer)
    assert found is not None, answer
    return float(found[1])


def test_two_hundred_clients_at_a_limit_of_eight_are_answered_or_refused_at_once(serve):
    """Row 11 of the faults: 503 with Retry-After, never a dead connection; a bounded wait; level memory."""
    limit, clients = 8, 200
    served = serve(SLOW, SLIPWAY_MAX_QUEUE=str(limit), **ONE_BY_ONE).wait_ready()
    answers: list[tuple[int, bytes]] = []

    async def load(seconds: float) -> None:
        await asyncio.gather(*(ask_for(served, seconds, answers) for _ in range(clients)))

    asyncio.run(load(1.0))  # until the interpreter's own pools have filled
    before = memory(served)
    asyncio.run(load(2.5))
    assert memory(served) - before < 20 * MIB
    assert {status for status, _ in answers} == {200, 503}
    assert all(b"\r\nretry-after: 1\r\n" in answer for status, answer in answers if status == 503)
    waits = sorted(waited_ms(answer) for status, answer in answers if status == 200)
    # With all two hundred in the queue the last would wait for four seconds.
    assert waits[int(0.99 * len(waits))] < 1000 * CALL_S * clients / 4
    assert served.metric("slipway_queue_waiting") == 0 == served.metric("slipway_in_flight")


def test_clients_that_leave_in_the_middle_free_their_places(serve, call_together, tmp_path):
    """Row 12 of the faults: in the queue, and in the very call, which is answered to nobody."""
    served = serve(SLOW, SLIPWAY_MAX_QUEUE="4", **ONE_BY_ONE).wait_ready()
    gates = {name: str(tmp_path / name) for name in ("begun", "until")}
    body = json.dumps([gates]).encode()
    request = HEAD + b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
    with contextlib.ExitStack() as leaving:
        leaving.enter_context(served.connect()).sendall(request)
        until((tmp_path / "begun").exists)
        for _ in range(4):
            leaving.enter_context(served.connect()).sendall(request)
        until(lambda: served.metric("slipway_queue_waiting") == 4)
        assert served.post(b"[1]").status == 503
    until(lambda: served.metric("slipway_in_flight") == 0)
    assert served.metric('slipway_requests_total{status="499"}') == 5
    callers = call_together(served, [[1]] * 4)
    until(lambda: served.metric("slipway_queue_waiting") == 4)
    (tmp_path / "until").touch()
    assert callers.statuses() == [200] * 4


CHUNK = b"10000\r\n" + b"x" * 65536 + b"\r\n"
FLOODS = {
    "by its length": (b"Content-Length: 209715200\r\n\r\n", b"x" * 65536, 3200, 413),
    "in chunks": (b"Transfer-Encoding: chunked\r\n\r\n", CHUNK, 3200, 413),
    "in chunks of one byte": (b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n[\r\n" * 1000, 200, 400),
}


@pytest.mark.parametrize("flood", FLOODS)
def test_a_body_of_two_hundred_megabytes_costs_no_memory(serve, flood):
    """Rows 14 and 15 of the faults: 413, or 400 for too many chunks, and under 20 MB in all processes."""
    framing, piece, count, status = FLOODS[flood]
    served = serve(SLIPWAY_MAX_BODY_MB="8", SLIPWAY_WORKERS="1").wait_ready()
    served.post(b"[1]")
    before, peak = memory(served), 0
    with served.connect() as connection:
        with contextlib.suppress(ConnectionError):
            connection.sendall(HEAD + b"Connection: close\r\n" + framing)
            for number in range(count):
                connection.sendall(piece)
                if number % 100 == 0:
                    peak = max(peak, memory(served))
            connection.sendall(b"0\r\n\r\n")
        answer = served.rest(connection)
    assert max(peak, memory(served)) - before < 20 * MIB
    # The connection over a refused body is not kept for ever, and may be reset before the answer is read.
    assert (b"more than 65536 chunks" in answer) if status == 400 else answer[:12] in (b"HTTP/1.1 413", b"")
    until(lambda: served.metric("slipway_in_flight") == 0)
    assert served.metric(f'slipway_requests_total{{status="{status}"}}') == 1
