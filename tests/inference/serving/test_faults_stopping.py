"""Rows 3 and 4 of the faults: an end that leaves whole what it can, on time, whatever the handler does.

And the moments in which a server changes hands: from the supervisor to its first worker, and to nobody.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import threading
import time

import pytest
from waiting import is_alive, until

from bench.serving.processes import descendants

# What the platform waits from SIGTERM to SIGKILL.
GRACE_S = 30
SLOW = """
import ctypes, os, signal, time

class Handler:
    def load(self, model_dir):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        LOAD
    def predict(self, inputs):
        for one in inputs:
            if one in ("never", "never in C"):
                open(os.environ["BEGUN"], "w").close()
            if one == "never in C":
                ctypes.PyDLL(None).sleep(300)
            if one == "never":
                time.sleep(300)
            if isinstance(one, (int, float)):
                time.sleep(one)
        return inputs
"""


def slow(load: str = "pass") -> str:
    return SLOW.replace("LOAD", load)


class Clients:
    """Ask over and over, half of them on one connection each, the others on new ones; until nobody is there.

    `cut` are requests on a new connection that were taken and not answered.
    """

    def __init__(self, served, count: int) -> None:
        self.statuses: list[int] = []
        self.cut = 0
        self._served = served
        threads = [threading.Thread(target=self._ask, args=(number % 2 == 0,)) for number in range(count)]
        self.threads = threads
        for thread in threads:
            thread.start()

    def _ask(self, keeps: bool) -> None:
        with contextlib.suppress(ConnectionRefusedError):
            while True:
                connection = http.client.HTTPConnection("127.0.0.1", self._served.port, timeout=20)
                connection.connect()
                self._ask_on(connection, keeps)
                connection.close()

    def _ask_on(self, connection: http.client.HTTPConnection, keeps: bool) -> None:
        for number in range(10_000 if keeps else 1):
            try:
                connection.request("POST", "/invocations", b"[0.05]", {"Content-Type": "application/json"})
                answer = connection.getresponse()
                answer.read()
            except (ConnectionError, http.client.HTTPException):
                # A connection that was kept may be closed just as something is asked on it; and who waits
                # in the socket's queue when it closes was never taken.
                self.cut += 0 if number or self._served.process.poll() is not None else 1
                return
            self.statuses.append(answer.status)
            if answer.headers.get("connection") == "close":
                return


def test_sigterm_under_load_answers_all_that_was_taken_and_exits_0_in_time(serve):
    """Row 3 of the faults."""
    served = serve(slow(), SLIPWAY_WORKERS="2", SLIPWAY_MAX_BATCH_SIZE="1").wait_ready()
    clients = Clients(served, 12)
    until(lambda: len(clients.statuses) > 50)
    began = time.monotonic()
    served.process.send_signal(signal.SIGTERM)
    assert served.process.wait(GRACE_S) == 0
    assert time.monotonic() - began < 25
    for thread in clients.threads:
        thread.join(20)
    assert set(clients.statuses) <= {200, 503}
    assert clients.cut == 0
    assert "cut off" not in served.log


@pytest.mark.parametrize("stuck", [b'["never"]', b'["never in C"]'])
def test_a_handler_that_ignores_sigterm_and_never_returns_is_ended_in_time(serve, stuck, tmp_path):
    """Row 4 of the faults: what the platform would do after 30 s is done before, and said in the log. (A
    container that ignores SIGTERM as a whole: tests/infra/local/sagemaker/test_kit_runtime.py.)"""
    begun = tmp_path / "begun"
    limits = {"SLIPWAY_WORKERS": "2", "SLIPWAY_DRAIN_S": "0.5", "BEGUN": str(begun)}
    served = serve(slow(), **limits).wait_ready()
    until(lambda: served.metric("slipway_workers_ready") == 2)
    asking = threading.Thread(target=_post, args=(served, stuck))
    asking.start()
    until(begun.exists)  # not /metrics: a worker that holds the lock may have taken that request, too
    left = descendants(served.process.pid)
    served.process.send_signal(signal.SIGTERM)
    assert served.process.wait(GRACE_S) == 1
    asking.join(20)
    until(lambda: not any(map(is_alive, left)), 5)
    assert "cut off" in served.log or "did not end when it was told to" in served.log


def _post(served, body: bytes) -> None:
    with contextlib.suppress(OSError, http.client.HTTPException):
        served.post(body)


def test_a_stop_waits_for_no_worker_that_still_loads(serve, tmp_path):
    """Row 3 of the faults, just after a worker has died and while another one loads its own model."""
    load = f"time.sleep(300 * os.path.exists({str(tmp_path / 'slow')!r}))"
    thread = "import threading; threading.Thread(target=time.sleep, args=(600,), daemon=True).start()"
    served = serve(slow(f"{load}\n        {thread}"), SLIPWAY_WORKERS="2").wait_ready()
    until(lambda: served.metric("slipway_workers_ready") == 2)
    (tmp_path / "slow").touch()
    os.kill(min(descendants(served.process.pid)), signal.SIGKILL)
    until(lambda: "another one takes its place" in served.log)
    assert served.stop() == 0


@pytest.mark.parametrize("endless", ["time.sleep(300)", "ctypes.PyDLL(None).sleep(300)"])
def test_what_loads_a_model_ends_with_a_server_that_is_killed(serve, tmp_path, endless):
    """Row 4, the other way round: nothing of the server outlives it, in whatever the handler is."""
    served = serve(slow(f"open({str(tmp_path / 'begun')!r}, 'w').close(); {endless}"))
    until((tmp_path / "begun").exists)
    left = descendants(served.process.pid)
    served.process.kill()
    until(lambda: not any(map(is_alive, left)), 5)


def test_ping_is_true_from_the_first_time_on(serve, tmp_path):
    """No /ping is answered by a worker before the supervisor has left the socket: that one would say a moment
    later that the model loads. It is held up at the very moment in which the worker becomes ready."""
    handler = slow().replace(
        "if isinstance(",
        f"while not os.path.exists({str(tmp_path / 'gate')!r}): time.sleep(0.01)\n"
        + " " * 12
        + "if isinstance(",
        1,
    )
    served = serve(handler, "0\n", SLIPWAY_WORKERS="2")
    until(lambda: len(descendants(served.process.pid)) == 2)  # one that has loaded, and the first worker
    assert served.ping() == 503
    served.process.send_signal(signal.SIGSTOP)
    (tmp_path / "gate").touch()
    until(lambda: "1 samples answered" in served.log)
    with served.connect() as asking:
        asking.settimeout(1)
        asking.sendall(b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n")
        with pytest.raises(TimeoutError):
            asking.recv(100)
    served.process.send_signal(signal.SIGCONT)
    until(lambda: served.ping() == 200)
    assert [served.ping() for _ in range(100)] == [200] * 100
