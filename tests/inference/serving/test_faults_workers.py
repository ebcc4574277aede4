"""Rows 1, 2, 9 and 10 of the faults: workers that are killed, that hang, compute, or run out of memory.

All the while the server is asked whether it is well, as a platform asks it, on a connection of its own each
time; and others' requests go on.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from waiting import is_alive, until

# What the platform waits for the answer to one /ping, and for a worker in the place of another.
PING_S = 2.0
# Answers with its process; the words are ways to be at fault. PyDLL keeps the interpreter's lock in a call.
FAULTY = """
import ctypes, os, resource, time

class Handler:
    def load(self, model_dir): pass
    def predict(self, inputs):
        for one in inputs:
            if one == "loop":
                while True: pass
            if one == "loop in C":
                ctypes.PyDLL(None).sleep(300)
            if isinstance(one, dict) and "hold" in one:
                open(one["told"], "w").close()
                ctypes.PyDLL(None).usleep(int(one["hold"] * 1e6))
            if one == "allocate":
                resource.setrlimit(resource.RLIMIT_AS, (2**30, resource.RLIM_INFINITY))
                bytearray(2**31)
            if one == "eat":
                kept = [os.urandom(2**20) for _ in range(2000)]
        return [os.getpid()] * len(inputs)
"""


@dataclass
class Watch:
    """What repeated requests on connections of their own were answered, 0 for a broken connection; and the
    longest that one took."""

    answers: list[int] = field(default_factory=list)
    longest_s: float = 0.0

    @property
    def fails_in_a_row(self) -> int:
        """The longest run of answers that were not 200."""
        runs = "".join("." if answer == 200 else "x" for answer in self.answers).split(".")
        return max(map(len, runs))


@contextlib.contextmanager
def repeated(ask: Callable[[], int], pause_s: float = 0.02, callers: int = 1) -> Iterator[Watch]:
    """Ask again and again, until the block ends."""
    watch, over = Watch(), threading.Event()

    def run() -> None:
        while not over.is_set():
            began = time.monotonic()
            try:
                answer = ask()
            except (OSError, http.client.HTTPException):
                answer = 0
            watch.longest_s = max(watch.longest_s, time.monotonic() - began)
            watch.answers.append(answer)
            time.sleep(pause_s)

    threads = [threading.Thread(target=run) for _ in range(callers)]
    for thread in threads:
        thread.start()
    try:
        yield watch
    finally:
        over.set()
        for thread in threads:
            thread.join(30)


def ready(served: Any) -> int:
    """How many workers answer; 0 where none could tell."""
    try:
        return int(served.metric("slipway_workers_ready"))
    except (OSError, http.client.HTTPException):
        return 0


def a_worker(served: Any) -> int:
    return served.post(b"[1]").json[0]


@pytest.mark.parametrize("count", [1, 2])
def test_a_worker_killed_with_9_is_replaced_within_2_s_and_ping_never_fails_twice(serve, count):
    """Row 1 of the faults: kill -9 of a worker, three times within some seconds of pings and requests."""
    served = serve(FAULTY, SLIPWAY_WORKERS=str(count)).wait_ready()
    until(lambda: ready(served) == count)
    callers = 4
    with (
        repeated(served.ping) as pings,
        repeated(lambda: served.post(b"[1]").status, callers=callers) as calls,
    ):
        for kills in range(1, 4):
            time.sleep(0.5)
            os.kill(a_worker(served), signal.SIGKILL)
            until(lambda n=kills: served.log.count("another one takes its place") == n, 2)
            until(lambda: ready(served) == count, 2)
        time.sleep(1)
    assert pings.fails_in_a_row <= 1 and pings.longest_s < PING_S
    assert set(calls.answers) <= {200, 0}
    assert calls.answers.count(0) <= 3 * callers, "no more than what was in flight"
    assert calls.fails_in_a_row <= callers
    assert served.stop() == 0


def test_while_no_worker_comes_up_ping_says_so_in_time(serve, tmp_path):
    """Row 1, where the model takes long to load again: nobody waits for an answer without an end."""
    handler = FAULTY.replace(
        "model_dir): pass",
        f"model_dir):\n        while os.path.exists({str(tmp_path / 'slow')!r}): time.sleep(0.01)\n"
        "        import threading; threading.Thread(target=time.sleep, args=(600,), daemon=True).start()",
    )
    served = serve(handler, SLIPWAY_WORKERS="1").wait_ready()
    (tmp_path / "slow").touch()
    os.kill(a_worker(served), signal.SIGKILL)
    with repeated(served.ping) as pings:
        until(lambda: 503 in pings.answers)
        (tmp_path / "slow").unlink()
        until(lambda: pings.answers[-1] == 200)
    assert pings.longest_s < PING_S


def test_a_stopped_worker_is_replaced_within_10_s(serve):
    """Row 2 of the faults, SIGSTOP: nothing tells of such a worker but that its loop turns no more."""
    served = serve(FAULTY, SLIPWAY_WORKERS="2").wait_ready()
    until(lambda: ready(served) == 2)
    victim = a_worker(served)
    os.kill(victim, signal.SIGSTOP)
    until(lambda: not is_alive(victim), 10)
    until(lambda: ready(served) == 2, 5)
    assert f"worker {victim}: it has stood still" in served.log
    assert victim not in {a_worker(served) for _ in range(10)}


@pytest.mark.parametrize("endless", [b'["loop"]', b'["loop in C"]'])
def test_a_call_without_an_end_costs_its_worker_within_its_limit_and_others_go_on(serve, endless):
    """Row 2 of the faults, an infinite loop; one that keeps the interpreter's lock stops the whole worker."""
    served = serve(FAULTY, SLIPWAY_WORKERS="2", SLIPWAY_PREDICT_TIMEOUT_S="1").wait_ready()
    until(lambda: ready(served) == 2)
    with (
        repeated(served.ping) as pings,
        repeated(lambda: served.post(endless).status) as lost,
    ):
        until(lambda: len(lost.answers) >= 2, 10)  # the limit, and how often it is looked at
    assert set(lost.answers) == {0}
    assert pings.fails_in_a_row <= 1
    assert "takes more than 1 s (SLIPWAY_PREDICT_TIMEOUT_S)" in served.log


def test_ping_is_answered_in_time_while_a_worker_keeps_the_interpreters_lock(serve, tmp_path):
    """Row 9 of the faults, with the worst of handlers: one call into C that lets no other thread run. The
    other worker has the socket, and answers. (One that computes in Python: test_server.py.)"""
    served = serve(FAULTY, SLIPWAY_WORKERS="2").wait_ready()
    until(lambda: ready(served) == 2)
    held = f'[{{"hold": 4, "told": "{tmp_path / "told"}"}}]'.encode()
    with repeated(lambda: served.post(held).status, callers=1) as holding:
        until((tmp_path / "told").exists)
        with repeated(served.ping) as pings:
            time.sleep(2.5)
        assert not holding.answers, "it has let go too early to show anything"
    assert set(pings.answers) == {200}
    assert pings.longest_s < PING_S
    assert set(holding.answers) == {200}, "and nothing was lost"


def test_a_request_that_asks_for_more_memory_than_there_is_fails_alone(serve):
    """Row 10 of the faults, where the system says no: a MemoryError is an answer, and the worker lives."""
    served = serve(FAULTY, SLIPWAY_WORKERS="1").wait_ready()
    before = a_worker(served)
    answer = served.post(b'["allocate"]')
    assert (answer.status, "MemoryError" in answer.error) == (500, True)
    assert a_worker(served) == before


@pytest.fixture
def bounded() -> Iterator[tuple[str, ...]]:
    """Runs a command with 400 MB of memory for all its processes, as a container has. Needs a cgroup."""
    groups = Path("/sys/fs/cgroup/memory")
    group = (groups if groups.is_dir() else Path("/sys/fs/cgroup")) / f"slipway-{os.getpid()}"
    try:
        group.mkdir()
        limit = next(one for name in ("limit_in_bytes", "max") if (one := group / f"memory.{name}").exists())
        limit.write_text(str(400 * 2**20))
    except (OSError, StopIteration):
        pytest.skip("no cgroup with a memory limit can be made here: it takes root, and a writable /sys")
    yield ("sh", "-c", 'echo $$ > "$0"/cgroup.procs && exec "$@"', str(group))
    until(lambda: _removed(group))


def _removed(group: Path) -> bool:
    with contextlib.suppress(OSError):  # its last process is just ending
        group.rmdir()
    return not group.exists()


def test_a_worker_that_eats_all_memory_is_ended_by_the_system_and_costs_its_requests_alone(serve, bounded):
    """Row 10 of the faults, where the kernel ends a process: the largest, which is the worker. (A container
    that ends as a whole is started again: tests/infra/local/sagemaker/test_containers.py.)"""
    served = serve(FAULTY, through=bounded, SLIPWAY_WORKERS="2").wait_ready()
    until(lambda: ready(served) == 2)
    with repeated(served.ping) as pings, pytest.raises((ConnectionError, http.client.HTTPException)):
        served.post(b'["eat"]')
    until(lambda: ready(served) == 2)
    assert pings.fails_in_a_row <= 1
    assert Counter(a_worker(served) > 0 for _ in range(20)) == {True: 20}
    assert served.process.poll() is None
    assert served.stop() == 0
