"""Row 21 of the faults: the kit is killed at any moment of a run, and the same command is given again."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest
from waiting import is_alive, until

ROOT = Path(__file__).parents[2]
# 50 take minutes: SLIPWAY_TEST_KILLS=50 does them all. On Google Cloud each takes longer: fewer and smaller.
KILLS = int(os.environ.get("SLIPWAY_TEST_KILLS", "12"))
KILLED = [("aws", seed) for seed in range(KILLS)] + [("gcp", seed) for seed in range(KILLS // 3)]
ROWS = {"aws": 20_000, "gcp": 1_000}
# What costs most of a short command is done once: each command is a child of one that has imported it all.
NURSERY = """\
import importlib, json, os, signal, sys
from deploy import verbs
from deploy.__main__ import main
for cloud in sys.argv[1:]:
    for part in ("storage", "trainings", "transforms"):
        importlib.import_module(f"deploy.{cloud}.{part}")
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
print(0, flush=True)
for line in sys.stdin:
    child = os.fork()
    if not child:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os._exit(main(json.loads(line)))
    print(child, flush=True)
"""


@pytest.fixture(scope="module")
def nursery(local_cloud: Any) -> Iterator[Callable[[str], subprocess.Popen[str]]]:
    """The process of which a cloud's verbs are children."""
    with ExitStack() as started:
        found: dict[str, subprocess.Popen[str]] = {}

        def of(cloud: str) -> subprocess.Popen[str]:
            if cloud not in found:
                process = subprocess.Popen(
                    [sys.executable, "-c", NURSERY, cloud],
                    cwd=ROOT,
                    env=local_cloud.shell,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    text=True,
                )
                found[cloud] = started.enter_context(process)
                assert process.stdout and process.stdout.readline()
            return found[cloud]

        yield of
        for process in found.values():
            if process.stdin:
                process.stdin.close()


@pytest.fixture
def begin(nursery: Any, cloud: Any) -> Callable[[list[str]], int]:
    """Starts a verb as a process; its id."""
    process = nursery(cloud.name)

    def start(words: list[str]) -> int:
        process.stdin.write(json.dumps([*words, "--cloud", cloud.name]) + "\n")
        process.stdin.flush()
        return int(process.stdout.readline())

    return start


def results(place: Path) -> dict[str, str]:
    paths = [path for path in place.rglob("*") if path.is_file() and path.name != "report.json"]
    return {path.relative_to(place).as_posix(): path.read_text() for path in paths}


@pytest.mark.parametrize(("cloud_name", "seed"), KILLED)
def test_killed_at_any_moment_no_result_is_partial_none_is_made_twice_and_all_are_right_in_the_end(
    iris, deploy, begin, cloud, tmp_path, seed
):
    numbers = {
        f"{name}.jsonl": range(seed, seed + ROWS[cloud.name] * size) for size, name in enumerate("abc", 1)
    }
    for name, rows in numbers.items():
        (tmp_path / "in").mkdir(exist_ok=True)
        (tmp_path / "in" / name).write_text("".join(f"{row}\n" for row in rows))
    whole = {f"{name}.out": "".join(f"{2 * row}\n" for row in rows) for name, rows in numbers.items()}
    places = ["--input", str(tmp_path / "in"), "--output", str(tmp_path / "out")]

    process = begin(["batch-transform", "--project", str(iris), *places])
    time.sleep(random.Random(seed).uniform(0.0, 2.0))
    with suppress(ProcessLookupError):  # it was quicker
        os.kill(process, signal.SIGKILL)
    until(lambda: not is_alive(process))
    left = {name: text for name, text in results(tmp_path / "out").items() if not name.startswith(".")}
    assert {name: whole[name] == text for name, text in left.items()} == dict.fromkeys(left, True)

    assert deploy(iris, "batch-transform", *places) == 0
    assert results(tmp_path / "out") == whole
    run = json.loads((tmp_path / "out/report.json").read_text())["run"]
    assert jobs_of(cloud, run) == [f"iris-{run}-1"]
    assert cloud.storage.list(cloud.uri("iris/batch/")) == []


def jobs_of(cloud: Any, run: str) -> list[str]:
    if cloud.name == "aws":
        found = cloud.local.client("sagemaker").list_transform_jobs(NameContains=run)
        return [job["TransformJobName"] for job in found["TransformJobSummaries"]]
    found = cloud.jobs.list_batch_prediction_jobs(parent="projects/slipway-tests/locations/us-central1")
    return [job.display_name for job in found if run in job.display_name]
