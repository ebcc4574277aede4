"""From start to exit status: what a broken handler says, and what SIGTERM leaves whole."""

from __future__ import annotations

import signal
import socket

import pytest
from waiting import is_alive

GOOD = "class Handler:\n    def load(self, model_dir): pass\n    def predict(self, inputs): return inputs\n"


def with_body(load: str = "pass", predict: str = "return inputs") -> str:
    return (
        f"class Handler:\n    def load(self, model_dir): {load}\n    def predict(self, inputs): {predict}\n"
    )


@pytest.mark.parametrize(
    ("handler", "samples", "sentence", "traceback"),
    [
        (None, None, "no handler is there; expected handler.py", ""),
        ("class Handler:\n    def load(self:\n", None, "handler.py: syntax error in line 2", "handler.py"),
        (with_body(load='raise OSError("no weights")'), None, "load raised OSError: no weights", "in load"),
        (with_body(load="exit(0)"), None, "load raised SystemExit", "in load"),
        ("import deploy\n" + GOOD, None, "only what lies beside handler.py", "import deploy"),
        ("from training import train\n" + GOOD, None, "only what lies beside handler.py", "training"),
        (
            with_body(predict="return inputs[:1]"),
            "1\n2\n",
            "all 2 lines as one batch: predict returned 1",
            "",
        ),
        (
            with_body(predict="return [1 / i for i in inputs]"),
            "1\n0\n",
            "line 2: predict raised Zero",
            "in predict",
        ),
        (GOOD, "1\nnope\n", "code/samples.jsonl line 2", ""),
    ],
)
def test_a_handler_that_cannot_serve_ends_the_process_and_says_why(
    serve, handler, samples, sentence, traceback
):
    """Row 5 of the faults: an import error, among others. The process ends, and with it what /ping asks."""
    served = serve(handler, samples)
    assert served.status() == 1
    lines = served.log.strip().splitlines()
    assert lines[-1].startswith("slipway: error: ")
    assert sentence in lines[-1]
    assert ("Traceback" in served.log or "SyntaxError" in served.log) == bool(traceback)
    assert traceback in served.log
    assert "inference/serving/" not in served.log


def waiting_for(path) -> str:
    wait = f"while not os.path.exists({str(path)!r}): time.sleep(0.01)"
    return f"import os, time\n        {wait}\n        return inputs"


def test_ping_is_503_with_a_reason_while_the_model_loads(serve, tmp_path):
    """Row 6 of the faults, as the container sees it."""
    load = f"\n        inputs = 0\n        {waiting_for(tmp_path / 'over')}"
    served = serve(with_body(load=load))
    answer = served.call("GET", "/ping")
    assert (answer.status, answer.json["error"]["code"]) == (503, "loading")
    assert served.post(b"[1]").status == 503
    (tmp_path / "over").touch()
    served.wait_ready()


def test_ping_stays_503_until_every_sample_was_answered(serve, until, tmp_path):
    served = serve(with_body(predict=f"\n        {waiting_for(tmp_path / 'over')}"), "1\n2\n")
    until(lambda: "model loaded" in served.log)
    assert served.ping() == 503
    (tmp_path / "over").touch()
    served.wait_ready()
    assert "2 samples answered" in served.log


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_work_in_flight_finish_and_exits_0(serve, call_together, until, tmp_path, number):
    """Row 3 of the faults. Under load: test_faults_stopping.py."""
    served = serve().wait_ready()
    callers = call_together(served, [[{"until": str(tmp_path / "over")}]] * 2)
    until(lambda: served.metric("slipway_in_flight") == 2)
    served.process.send_signal(number)
    until(lambda: served.ping() == 503)
    assert served.call("GET", "/ping").json["error"]["code"] == "draining"
    assert served.post(b"[1]").status == 503
    (tmp_path / "over").touch()
    assert callers.statuses() == [200, 200]
    assert served.status() == 0


def test_work_that_outlasts_the_drain_is_answered_503_and_the_status_is_1(
    serve, call_together, until, tmp_path
):
    """Rows 3 and 4 of the faults: the drain has an end."""
    served = serve(SLIPWAY_DRAIN_S="0.3").wait_ready()
    callers = call_together(served, [[{"until": str(tmp_path / "never")}]])
    until(lambda: served.metric("slipway_in_flight") == 1)
    assert served.stop() == 1
    assert callers.statuses() == [503]
    assert callers.answers[0].json["error"]["code"] == "draining"
    assert "SLIPWAY_DRAIN_S" in served.log


def test_a_signal_before_the_server_is_there_ends_the_process_too(serve):
    served = serve()  # it listens; what it serves with is still being imported
    assert served.stop() == 0


def test_a_signal_while_the_model_loads_ends_the_process_at_once(serve):
    served = serve(with_body(load="__import__('time').sleep(60)"))
    assert served.ping() == 503
    assert served.stop() == 0


def test_a_thread_that_the_handler_started_does_not_hold_the_process(serve):
    # Started from the model's thread it would be a daemon, as that is, and hold nothing.
    thread = "__import__('threading').Thread(target=__import__('time').sleep, args=(60,), daemon=False)"
    served = serve(with_body(load=f"{thread}.start()"))
    served.wait_ready()
    assert served.stop() == 0


FORKING = """
import multiprocessing, time

class Handler:
    def load(self, model_dir): pass
    def predict(self, inputs):
        child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,))
        child.start()
        child.terminate()
        child.join(5)
        return [child.exitcode] * len(inputs)
"""


def test_a_forked_child_that_is_told_to_end_ends_alone(serve):
    served = serve(FORKING).wait_ready()
    assert served.post(b"[1]").json == [-signal.SIGTERM]
    assert served.ping() == 200
    assert "SIGTERM" not in served.log


def test_a_worker_that_loses_its_models_thread_is_replaced(serve, until):
    handler = """
import os, time

class Handler:
    def load(self, model_dir): pass
    def predict(self, inputs):
        if inputs == ["break"]:
            time.perf_counter = None
        return [os.getpid()] * len(inputs)
"""
    served = serve(handler, SLIPWAY_WORKERS="1").wait_ready()
    (first,) = served.post(b"[1]").json
    assert served.post(b'["break"]').json == [first]  # counted after it was answered
    assert served.post(b"[1]").error == "this process has failed; another one takes its place"
    until(lambda: (answer := served.post(b"[1]")).status == 200 and answer.json != [first])
    assert "the model's thread ended: TypeError" in served.log
    assert served.stop() == 0


def test_idle_connections_do_not_hold_the_process(serve):
    served = serve().wait_ready()
    with served.connect():
        assert served.stop() == 0


def test_a_taken_port_is_one_sentence(serve):
    """Row 31 of the faults."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        served = serve(SAGEMAKER_BIND_TO_PORT=port)
        assert served.status() == 1
    assert served.log.count("\n") == 1
    assert f"cannot listen on 127.0.0.1 port {port}: Address already in use" in served.log


def test_a_wrong_setting_is_one_sentence_with_its_name(serve):
    served = serve(SLIPWAY_MAX_QUEUE="many")
    assert served.status() == 1
    assert served.log == (
        "slipway: error: SLIPWAY_MAX_QUEUE: 'many': expected a whole number from 1 to 100000, such as 64\n"
    )


def test_the_handlers_own_modules_import_whatever_they_are_called(serve):
    handler = "import inference, metrics\n" + with_body(predict="return [inference.NAME, metrics.NAME]")
    siblings = {"inference.py": "NAME = 'theirs'\n", "metrics.py": "NAME = 'theirs too'\n"}
    served = serve(handler, None, siblings).wait_ready()
    assert served.post(b"[1, 2]").json == ["theirs", "theirs too"]


def test_a_handler_may_start_processes_of_its_own_and_they_end_with_it(serve, until):
    handler = """
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

def double(x):
    return 2 * x

class Handler:
    def load(self, model_dir):
        self.pool = ProcessPoolExecutor(1, mp_context=get_context("spawn"))
    def predict(self, inputs):
        if inputs == ["who"]:
            return list(self.pool._processes)
        return list(self.pool.map(double, inputs))
"""
    served = serve(handler, SLIPWAY_WORKERS="1").wait_ready()
    assert served.post(b"[1, 2]").json == [2, 4]
    (child,) = served.post(b'["who"]').json
    assert is_alive(child)
    assert served.stop() == 0
    until(lambda: not is_alive(child))
