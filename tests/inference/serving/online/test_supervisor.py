"""Workers that die, hang or fail: replaced, while /ping stays true and the other workers answer."""

from __future__ import annotations

import http.client
import os
import signal
import threading
import time
from collections import Counter

import pytest
from waiting import is_alive

PID = """
import os, time

class Handler:
    def load(self, model_dir): pass
    def predict(self, inputs):
        if "hang" in inputs:
            time.sleep(300)
        if "die" in inputs:
            os.kill(os.getpid(), 9)
        return [os.getpid()] * len(inputs)
"""
THREAD = "threading.Thread(target=time.sleep, args=(300,), daemon=True).start()"
THREADED = PID.replace("import os", "import threading, os").replace(
    "model_dir): pass", f"model_dir): {THREAD}"
)


def workers(served, count, until) -> set[int]:
    """The processes that answer, once there are as many as that."""
    until(lambda: served.metric("slipway_workers_ready") == count)
    found: set[int] = set()
    until(lambda: found.update(served.post(b"[1]").json) or len(found) == count)
    return found


@pytest.mark.parametrize("count", [1, 2, 3])
def test_as_many_processes_answer_as_asked_for(serve, until, count):
    served = serve(PID, SLIPWAY_WORKERS=str(count)).wait_ready()
    assert len(workers(served, count, until)) == count
    assert served.process.pid not in workers(served, count, until)


def test_connections_that_stay_are_shared_out(serve, until):
    """One worker with all of them would have all the work: so it was, more often than not."""
    served = serve(PID, SLIPWAY_WORKERS="2").wait_ready()
    found = workers(served, 2, until)
    clients = [http.client.HTTPConnection("127.0.0.1", served.port, timeout=10) for _ in range(200)]
    late, answered = found.pop(), Counter()
    os.kill(late, signal.SIGSTOP)
    for client in clients:
        client.connect()
    time.sleep(0.2)
    os.kill(late, signal.SIGCONT)
    for client in clients:
        client.request("POST", "/invocations", b"[1]", {"Content-Type": "application/json"})
        answered.update(client.getresponse().read().strip(b"[]").split(b","))
        client.close()
    # Half of them, but for those that were taken because the other one did not come.
    assert answered[b"%d" % late] >= 20, answered


def test_a_handler_that_cannot_be_forked_has_one_worker_unless_more_are_asked_for(serve, until):
    alone = serve(THREADED).wait_ready()
    assert len(workers(alone, 1, until)) == 1
    asked = serve(THREADED, SLIPWAY_WORKERS="2").wait_ready()
    assert len(workers(asked, 2, until)) == 2


@pytest.mark.parametrize("handler", [PID, THREADED])
def test_a_killed_worker_is_replaced_while_ping_stays_true(serve, until, handler):
    served = serve(handler, SLIPWAY_WORKERS="2").wait_ready()
    before = workers(served, 2, until)
    pings, over = [], threading.Event()

    def probe():
        while not over.is_set():
            try:
                pings.append(served.ping())
            except (ConnectionError, http.client.HTTPException):
                pings.append(0)  # it was the killed worker that had taken it
            time.sleep(0.02)

    probing = threading.Thread(target=probe)
    probing.start()
    victim = next(iter(before))
    os.kill(victim, signal.SIGKILL)
    until(lambda: victim not in (now := workers(served, 2, until)) and len(now) == 2)
    over.set()
    probing.join(10)
    assert set(pings) <= {200, 0} and pings.count(0) <= 1
    assert f"worker {victim} ended; another one takes its place" in served.log
    assert served.stop() == 0


def test_a_request_that_kills_its_worker_costs_that_request_alone(serve, until):
    served = serve(PID, SLIPWAY_WORKERS="2").wait_ready()
    before = workers(served, 2, until)
    with pytest.raises(ConnectionError):
        served.post(b'["die"]')
    until(lambda: len(workers(served, 2, until) - before) == 1)
    assert served.metric("slipway_in_flight") == 0


def test_a_stopped_worker_is_replaced(serve, until):
    served = serve(PID, SLIPWAY_WORKERS="1").wait_ready()
    (victim,) = workers(served, 1, until)
    os.kill(victim, signal.SIGSTOP)
    until(lambda: f"worker {victim}: it has stood still" in served.log)
    until(lambda: served.ping() == 200)
    assert victim not in workers(served, 1, until)


def test_a_call_that_never_ends_costs_its_worker_at_the_time_limit(serve, until):
    served = serve(PID, SLIPWAY_WORKERS="1", SLIPWAY_PREDICT_TIMEOUT_S="0.5").wait_ready()
    (victim,) = workers(served, 1, until)
    with pytest.raises(ConnectionError):
        served.post(b'["hang"]')
    assert victim not in workers(served, 1, until)
    assert "a call of the handler takes more than 0.5 s (SLIPWAY_PREDICT_TIMEOUT_S)" in served.log


def test_workers_end_with_a_supervisor_that_is_killed(serve, until):
    served = serve(PID, SLIPWAY_WORKERS="2").wait_ready()
    found = workers(served, 2, until)
    served.process.kill()
    until(lambda: not any(map(is_alive, found)))


def test_ctrl_c_in_a_terminal_reaches_all_and_ends_them_in_order(serve, until):
    served = serve(PID, SLIPWAY_WORKERS="2").wait_ready()
    found = workers(served, 2, until)
    for pid in (served.process.pid, *found):
        os.kill(pid, signal.SIGINT)
    assert served.status() == 0
    until(lambda: not any(map(is_alive, found)))
    assert "failed" not in served.log


@pytest.mark.parametrize(
    "held",
    ["__import__('socket').socketpair()", "open(__import__('os').path.join(model_dir, 'code/handler.py'))"],
)
def test_what_a_handler_holds_open_is_not_shared_between_processes(serve, until, held):
    holding = PID.replace("model_dir): pass", f"model_dir): self.held = {held}")
    alone = serve(holding).wait_ready()
    assert len(workers(alone, 1, until)) == 1
