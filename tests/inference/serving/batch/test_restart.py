"""Killed at any moment and started again: nothing twice, nothing partial. Row 21 of the faults."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest
from waiting import is_alive, until

from inference.serving.batch import ledger
from inference.serving.batch.inputs import BadInput

NAMES = [f"{letter}.jsonl" for letter in "abcdef"]
# Notes every record that it scores, so that what is done twice can be seen.
NOTING = """
import os, time

class Handler:
    def load(self, model_dir):
        self.notes = os.path.join(os.path.dirname(model_dir), "notes")

    def predict(self, values):
        time.sleep(0.01)
        with open(self.notes, "a") as file:
            file.write("".join(f"{value}\\n" for value in values))
        return values
"""


# A model whose load starts a thread cannot be forked; this thread holds up Python's own exit as well.
THREAD = "__import__('threading').Thread(target=time.sleep, args=(300,)).start()"
LOAD = "def load(self, model_dir):\n        "


def seen(folder: Path) -> dict[str, bytes]:
    """The answers that a reader of OUT would find."""
    return {path.name: path.read_bytes() for path in folder.glob("[!.]*")} if folder.is_dir() else {}


def kill_group(running: subprocess.Popen[str]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(running.pid, signal.SIGKILL)
    running.communicate(timeout=20)


@pytest.mark.timeout(240)
def test_killed_at_fifty_random_moments_it_ends_as_if_undisturbed(batch, another):
    moments = random.Random(21)
    calm = another("calm")
    for place in (batch, calm):
        place.handler(NOTING)
        for number, name in enumerate(NAMES):
            place.put(name, range(number * 10_000, number * 10_000 + 6000))
    started = time.monotonic()
    assert calm.run().returncode == 0
    whole, takes = seen(calm.output), time.monotonic() - started

    finished_by_then: dict[str, bytes] = {}
    ends = repeated = 0
    for _ in range(50):
        if len(finished_by_then) == len(NAMES):  # begin again, so that there is something to kill
            for path in batch.output.iterdir():
                path.unlink()
            finished_by_then = {}
        notes = batch.folder / "notes"
        notes.unlink(missing_ok=True)
        running = batch.start()
        with contextlib.suppress(subprocess.TimeoutExpired):
            running.wait(moments.uniform(0.05, takes * 1.1))
        ends += running.poll() == 0
        kill_group(running)
        now = seen(batch.output)
        assert {name: whole[name] for name in now} == now, "a partial .out"
        assert finished_by_then.items() <= now.items(), "a finished file went away"
        scored = set(map(int, notes.read_text().split())) if notes.exists() else set()
        repeated += any(int(line) in scored for one in finished_by_then.values() for line in one.split())
        finished_by_then = now
    assert batch.run().returncode == 0
    assert seen(batch.output) == whole
    assert batch.files() == sorted([".slipway-batch.json", *whole])
    assert repeated == 0
    assert ends < 50, "no run was killed: the moments are wrong"


def test_what_is_finished_is_said_and_not_repeated(batch):
    batch.put("a.jsonl", [1])
    batch.put("b.jsonl", [2, "refuse"])
    batch.run("--on-error", "keep")
    before = {path: path.stat().st_mtime_ns for path in batch.output.iterdir()}
    done = batch.run("--on-error", "keep")
    assert done.returncode == 0
    assert "a.jsonl: finished by an earlier run" in done.stderr
    assert "model loaded" not in done.stderr
    assert "files 2: 0 scored, 2 finished by an earlier run and not repeated\n" in done.stdout
    assert "rows in 3, rows out 3, rows failed 1" in done.stdout
    assert {path: path.stat().st_mtime_ns for path in batch.output.iterdir()} == before


@pytest.mark.parametrize("change", ["input", "model", "setting"])
def test_another_input_model_or_setting_is_scored_anew(batch, change):
    path = batch.put("a.jsonl", [1])
    batch.put("b.jsonl", [2])
    batch.run()
    if change == "input":  # with its old time, as it is set by those who unpack or copy a file
        times = path.stat()
        batch.put("a.jsonl", [5])
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    if change == "model":
        handler = batch.folder / "model/code/handler.py"
        handler.write_text(handler.read_text().replace("value * 2", "value * 10"))
    done = batch.run(*(["--accept", "text/csv"] if change == "setting" else []))
    again = 2 if change in ("model", "setting") else 1
    assert f"files 2: {again} scored" in done.stdout
    expected = b"2\n" if change == "setting" else b'{"double":10}\n'
    assert (batch.output / "a.jsonl.out").read_bytes() == expected


def test_a_file_that_fails_now_has_no_answer_of_an_earlier_run(batch):
    batch.put("a.jsonl", [1])
    batch.run()
    batch.put("a.jsonl", [1, "refuse"])
    assert batch.run().returncode == 1
    assert batch.files() == [".slipway-batch.json"]
    assert json.loads((batch.output / ".slipway-batch.json").read_text())["files"] == {}


def test_an_answer_that_was_changed_by_hand_is_not_overwritten(batch):
    batch.put("a.jsonl", [1])
    batch.run()
    (batch.output / "a.jsonl.out").write_text("mine now")
    done = batch.run()
    assert "was changed after it was written, says .slipway-batch.json" in done.stderr
    assert done.returncode == 1


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"format": 2}', "format 2, expected 1"),
        ('{"format": 1, "files": {"a.jsonl": {"identity": "1"}}}', "KeyError: 'rows_in'"),
        (
            '{"format": 1, "files": {"a.jsonl": {"identity": "1", "rows_in": "1", "rows_out": 1,'
            ' "rows_failed": 0, "out_size": 1, "out_mtime_ns": 1}}}',
            "is no entry",
        ),
        ('{"format": 1, "fil', "JSONDecodeError"),
        ("[" * 100_000, "RecursionError"),
    ],
)
def test_a_ledger_that_is_not_ours_is_refused(tmp_path, text, reason):
    (tmp_path / ".slipway-batch.json").write_text(text)
    with pytest.raises(BadInput, match="give another OUT, or delete it") as caught:
        ledger.read(tmp_path)
    assert reason in str(caught.value)


def test_a_file_whose_list_of_errors_is_gone_is_scored_anew(batch):
    batch.put("a.jsonl", [2, "refuse"])
    batch.run("--on-error", "keep")
    (batch.output / "a.jsonl.errors.jsonl").unlink()
    assert "files 1: 1 scored" in batch.run("--on-error", "keep").stdout
    assert [error["line"] for error in batch.errors("a.jsonl")] == [2]


def test_what_an_earlier_run_left_half_done_is_removed(batch):
    batch.put("a.jsonl", [1])
    (batch.output / "deep").mkdir(parents=True)
    (batch.output / ".slipway-model/code").mkdir(parents=True)
    (batch.output / "deep/.0123.out.slipway-part").write_text("half")
    (batch.output / ".nobodys.slipway-part").mkdir()
    assert batch.run().returncode == 0
    assert batch.files() == [".slipway-batch.json", "a.jsonl.out"]


def workers_of(pid: int) -> list[int]:
    """The processes below it, and those below them."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [found for child in children for found in (int(child), *workers_of(int(child)))]


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 129)]
)
def test_told_to_stop_it_leaves_no_process_and_nothing_half_done(batch, number, status):
    batch.put("a.jsonl", [1])
    batch.put("b.jsonl", [*range(9000), "sleep"])
    running = batch.start()
    until(lambda: (batch.output / "a.jsonl.out").exists())
    processes = until(lambda: len(found := workers_of(running.pid)) == 3 and found)
    running.send_signal(number)
    said, _ = running.communicate(timeout=20)
    assert running.returncode == status
    assert said.splitlines()[-1].endswith(f"{number.name}: ended; start again to go on")
    until(lambda: not any(map(is_alive, processes)), 5)
    assert batch.files() == [".slipway-batch.json", "a.jsonl.out"]


@pytest.mark.parametrize("load", ["pass", THREAD], ids=["shared model", "own models"])
def test_killed_without_a_word_it_leaves_no_process(batch, load):
    handler = batch.folder / "model/code/handler.py"
    handler.write_text(handler.read_text().replace("def load(self, model_dir):", f"{LOAD}{load}"))
    batch.put("a.jsonl", [1])
    batch.put("b.jsonl", [*range(9000), "sleep"])
    running = batch.start()
    until(lambda: (batch.output / "a.jsonl.out").exists())
    processes = workers_of(running.pid)
    running.kill()
    running.communicate(timeout=20)
    until(lambda: not any(map(is_alive, processes)), 5)


def test_two_runs_do_not_write_into_one_folder(batch):
    batch.put("a.jsonl", ["sleep"])
    running = batch.start()
    until(lambda: (batch.output / "a.jsonl.out").parent.exists() and workers_of(running.pid)[2:])
    done = batch.run()
    kill_group(running)
    assert done.returncode == 1
    assert f"another run is writing into {batch.output}" in done.stderr


def test_a_dead_workers_piece_is_done_by_another(batch):
    deaths = batch.folder / "deaths"
    deaths.mkdir()
    batch.environment["DEATHS"] = str(deaths)
    batch.put("a.jsonl", [*range(30_000), "die", 7])
    done = batch.run()
    assert done.returncode == 0, done.stderr
    assert len(list(deaths.iterdir())) == 2
    assert len(batch.out("a.jsonl")) == 30_002
    assert batch.out("a.jsonl")[29_999:] == [{"double": 59_998}, {"text": "die"}, {"double": 14}]


@pytest.mark.parametrize("name", ["a.jsonl", "b.jsonl"])
def test_a_record_that_kills_every_worker_costs_its_file_after_three_tries(batch, name):
    batch.put("a.jsonl", [1])
    batch.put("b.jsonl", [2])
    batch.put(name, [*range(30_000), "always"])
    done = batch.run()
    assert done.returncode == 1
    assert f"failed: {batch.source}/{name} lines " in done.stdout
    assert " to 30001: the worker process died over these records 3 times" in done.stdout
    assert "files 2: 1 scored, 1 failed" in done.stdout


def test_a_killed_worker_and_a_killed_loader_are_replaced(batch):
    batch.handler(NOTING)
    batch.put("a.jsonl", range(60_000))
    running = batch.start("--workers", "3")
    until(lambda: len(workers_of(running.pid)) == 4)
    loader, *workers = workers_of(running.pid)
    os.kill(loader, signal.SIGKILL)
    os.kill(workers[0], signal.SIGKILL)
    said, _ = running.communicate(timeout=60)
    assert running.returncode == 0, said
    assert batch.out("a.jsonl") == list(range(60_000))
