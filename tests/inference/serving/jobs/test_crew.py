"""A transform job's requests go to worker processes: every core scores, and one that dies is replaced."""

from __future__ import annotations

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from waiting import is_alive, until

LINES = "application/jsonlines"
# Answers with its own process; "meet" waits until another process is in predict as well.
HANDLER = """
import os, time
from pathlib import Path

class Handler:
    def load(self, model_dir):
        self.place = Path({place!r})
        with open(self.place / "loads", "a") as file:
            file.write(f"{{os.getpid()}}\\n")
        {extra}
    def predict(self, inputs):
        if inputs[0] == "die":
            os._exit(9)
        if inputs[0] == "meet":
            (self.place / f"here-{{os.getpid()}}").touch()
            while len(list(self.place.glob("here-*"))) < 2:
                time.sleep(0.01)
        return [os.getpid() for _ in inputs]
"""


@pytest.fixture
def job(serve, tmp_path):
    """Starts a server in a transform job, with this line in the handler's load."""

    def begin(extra="pass"):
        handler = HANDLER.format(place=str(tmp_path), extra=extra)
        return serve(handler, SAGEMAKER_BATCH="true").wait_ready()

    return begin


def loads(folder: Path) -> list[int]:
    return [int(line) for line in (folder / "loads").read_text().split()]


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="one core has one worker")
def test_requests_that_come_together_are_scored_by_processes_that_share_one_model(job, tmp_path):
    served = job()
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda _: served.post(b'"meet"\n', LINES).body, range(2)))
    assert len(set(answers)) == 2
    assert len(loads(tmp_path)) == 1
    assert not {int(answer) for answer in answers} & set(loads(tmp_path))


def children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for task in tasks for child in task.read_text().split()]


def test_a_handler_whose_model_cannot_be_shared_is_loaded_once(job, tmp_path):
    thread = "threading.Thread(target=time.sleep, args=(600,), daemon=True)"
    served = job(extra=f"import threading; {thread}.start()")
    worker = int(served.post(b"1\n", LINES).body)
    assert [worker] == loads(tmp_path) == children(served.process.pid)


def test_a_sample_that_is_not_answered_ends_the_server_though_errors_are_kept(serve):
    handler = """
class Handler:
    def load(self, model_dir): pass
    def predict(self, inputs): raise OSError("no such day")
"""
    served = serve(handler, samples="1\n", SAGEMAKER_BATCH="true", SLIPWAY_BATCH_ON_ERROR="keep")
    assert served.status() == 1
    assert "code/samples.jsonl line 1: " in served.log
    assert "OSError: no such day" in served.log


def test_a_worker_that_dies_costs_its_request_alone(job):
    served = job()
    lost = served.post(b'"die"\n', LINES)
    assert lost.status == 500
    assert "the worker process died over this request" in lost.error
    assert served.post(b"1\n", LINES).status == 200
    assert served.ping() == 200


def test_the_workers_end_with_the_server(job, tmp_path):
    served = job()
    worker = int(served.post(b"1\n", LINES).body)
    assert is_alive(worker)
    assert served.stop() == 0
    until(lambda: not is_alive(worker) and not any(map(is_alive, loads(tmp_path))))


def test_the_workers_end_with_a_server_that_is_killed(job, tmp_path):
    served = job()
    worker = int(served.post(b"1\n", LINES).body)
    os.kill(served.process.pid, signal.SIGKILL)
    until(lambda: not is_alive(worker) and not any(map(is_alive, loads(tmp_path))))


def test_a_handler_that_does_not_load_ends_the_server_with_its_traceback(serve):
    served = serve(
        "class Handler:\n    def load(self, d): raise OSError('no weights')\n    def predict(self, x): ...\n",
        SAGEMAKER_BATCH="true",
    )
    assert served.status() == 1
    assert "OSError: no weights" in served.log
    assert "the model could not be loaded" in served.log
