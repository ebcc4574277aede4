"""The command with handlers of other servers: what they are asked, killed and started again."""

from __future__ import annotations

import os
import shutil
import signal

import pytest
from waiting import until

SAGEMAKER = """
import json, os, time

def model_fn(model_dir):
    return int(os.environ.get("FACTOR", "3"))

def input_fn(body, content_type):
    assert content_type == "application/json", content_type
    return json.loads(body)

def predict_fn(data, factor):
    if "CALLS" in os.environ:
        print(data, file=open(os.environ["CALLS"], "a"))
    if data == "bad":
        raise RuntimeError("no such record")
    if data == "wait":
        while not os.path.exists(os.environ["GATE"]):
            time.sleep(0.01)
    return factor * data
"""
TORCHSERVE = """
class Doubler:
    initialized = False

    def initialize(self, context):
        self.initialized = True

    def handle(self, data, context):
        return [{"of": len(data), "twice": 2 * row["body"]} for row in data]
"""


def handler(batch, name: str, text: str) -> None:
    """Put this file in the place of the handler."""
    code = batch.folder / "model/code"
    shutil.rmtree(code)
    code.mkdir()
    (code / name).write_text(text)


def test_records_that_fail_are_listed(batch):
    handler(batch, "inference.py", SAGEMAKER)
    batch.put("a.jsonl", [1, "bad", 2.5, "x"])
    done = batch.run("--on-error", "keep")
    assert done.returncode == 0, done.stderr
    assert "in a job SageMaker inference.py gets " in done.stderr
    assert [batch.out("a.jsonl")[place] for place in (0, 2, 3)] == [3, 7.5, "xxx"]
    reason = "the handler answered 500: RuntimeError: no such record"
    assert batch.errors("a.jsonl") == [{"line": 2, "reason": reason}]
    assert "rows in 4, rows out 4, rows failed 1" in done.stdout


def test_a_record_that_fails_costs_its_file_and_is_named_with_its_line(batch):
    handler(batch, "inference.py", SAGEMAKER)
    batch.put("a.jsonl", [1, 2, "bad", 3])
    batch.put("b.jsonl", [4])
    batch.environment = {"CALLS": str(batch.folder / "calls")}
    done = batch.run()
    assert done.returncode == 1
    reason = "the handler answered 500: RuntimeError: no such record"
    assert f"failed: {batch.source}/a.jsonl line 3: {reason}" in done.stdout
    assert "RuntimeError: no such record" in done.stderr
    assert batch.files() == [".slipway-batch.json", "b.jsonl.out"]
    # Which record it was is known: nothing is asked again to find it.
    assert sorted((batch.folder / "calls").read_text().split()) == ["1", "2", "4", "bad"]


def test_a_file_that_it_cannot_read_fails_with_what_it_says(batch):
    handler(batch, "inference.py", SAGEMAKER)
    batch.put("a.csv", "1\n2\n")
    done = batch.run()
    assert done.returncode == 1
    assert f"failed: {batch.source}/a.csv line 1: the handler answered 500: AssertionError: text/csv" in (
        done.stdout
    )


def test_a_run_that_is_killed_goes_on_where_it_was(batch):
    gate = batch.folder / "gate"
    batch.environment = {"GATE": str(gate)}
    handler(batch, "inference.py", SAGEMAKER)
    batch.put("a.jsonl", [1])
    batch.put("b.jsonl", ["wait"])
    running = batch.start()
    until((batch.output / "a.jsonl.out").exists)
    os.killpg(running.pid, signal.SIGKILL)
    running.communicate(timeout=20)
    gate.touch()
    done = batch.run()
    assert done.returncode == 0, done.stderr
    assert "files 2: 1 scored, 1 finished by an earlier run and not repeated" in done.stdout
    assert batch.out("b.jsonl") == ["waitwaitwait"]


def test_a_variable_that_is_named_makes_other_answers(batch):
    handler(batch, "inference.py", SAGEMAKER)
    batch.put("a.jsonl", [1])
    for factor, again in (("5", False), ("7", False), ("7", True)):
        batch.environment = {"FACTOR": factor}
        done = batch.run("--env", "FACTOR")
        assert ("not repeated" in done.stdout) is again
        assert batch.out("a.jsonl") == [int(factor)]
    batch.environment = {}
    done = batch.run("--env", "FACTOR")
    assert done.returncode == 1
    assert "--env FACTOR: no such variable is set" in done.stderr


def test_which_of_two_handlers_is_meant_decides_what_is_finished(batch):
    handler(batch, "inference.py", SAGEMAKER)
    (batch.folder / "model/code/doubler.py").write_text(TORCHSERVE)
    batch.put("a.jsonl", [1])
    batch.environment = {"SLIPWAY_HANDLER": "inference.py"}
    assert batch.run().returncode == 0
    assert batch.out("a.jsonl") == [3]
    batch.environment = {"SLIPWAY_HANDLER": "doubler.py"}
    assert batch.run().returncode == 0
    assert batch.out("a.jsonl") == [{"of": 1, "twice": 2}]


@pytest.mark.parametrize("batch_size", [None, 4])
def test_torchserve_s_requests_share_a_call_as_its_model_config_asks(batch, batch_size):
    handler(batch, "doubler.py", TORCHSERVE)
    if batch_size:
        (batch.folder / "model/code/model-config.yaml").write_text(f"batchSize: {batch_size}\n")
    batch.put("a.jsonl", range(6))
    folder = batch.folder / "tmp"
    folder.mkdir()
    batch.environment = {"TMPDIR": str(folder)}
    assert batch.run().returncode == 0
    assert list(folder.iterdir()) == []  # where the handler had its files
    assert [one["of"] for one in batch.out("a.jsonl")] == ([4] * 4 + [2] * 2 if batch_size else [1] * 6)
