"""Row 21 of the faults: the kit is killed at any moment of a run, and the same command is given again."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from waiting import is_alive, until

ROOT = Path(__file__).parents[2]
# 50 take a minute or more: SLIPWAY_TEST_KILLS=50 does them all.
KILLS = int(os.environ.get("SLIPWAY_TEST_KILLS", "12"))
# What costs most of a short command is done once: each command is a child of one that has imported it all.
NURSERY = """\
import json, os, signal, sys
from deploy import verbs
from deploy.__main__ import main
from deploy.aws import storage, trainings, transforms
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
def begin(local_cloud: Any) -> Iterator[Callable[[list[str]], int]]:
    """Starts a verb as a process; its id."""
    with subprocess.Popen(
        [sys.executable, "-c", NURSERY],
        cwd=ROOT,
        env=local_cloud.shell,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as nursery:
        stdin, stdout = nursery.stdin, nursery.stdout
        assert stdin and stdout and stdout.readline()

        def start(words: list[str]) -> int:
            stdin.write(json.dumps(words) + "\n")
            stdin.flush()
            return int(stdout.readline())

        yield start
        stdin.close()


def results(place: Path) -> dict[str, str]:
    paths = [path for path in place.rglob("*") if path.is_file() and path.name != "report.json"]
    return {path.relative_to(place).as_posix(): path.read_text() for path in paths}


@pytest.mark.parametrize("seed", range(KILLS))
def test_killed_at_any_moment_no_result_is_partial_none_is_made_twice_and_all_are_right_in_the_end(
    iris, deploy, begin, local_cloud, tmp_path, seed
):
    numbers = {f"{name}.jsonl": range(seed, seed + 20_000 * size) for size, name in enumerate("abc", 1)}
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
    jobs = local_cloud.client("sagemaker").list_transform_jobs(NameContains=run)["TransformJobSummaries"]
    assert len(jobs) == 1
    staged = local_cloud.client("s3").list_objects_v2(Bucket="slipway-tests", Prefix="iris/batch/")
    assert staged.get("Contents", []) == []
