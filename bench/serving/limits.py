"""The handler without a server: its answers, the time to load it, and the fastest that a bare loop goes.

All by apps/in_process.py, in our environment. No server beats the bare loop but by a cache or another model.
"""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import subprocess
import time
from typing import TextIO

from bench.serving import processes
from bench.serving.contestants import ROOT
from bench.serving.measuring import CHECKED, Asked, Plan
from bench.serving.peers import environments
from bench.serving.results import Bare, Loading
from bench.serving.running import Place
from bench.serving.workloads import Prepared

# Of a window's time, what the loop has at each batch size.
SHARE = 0.25


def asked(prepared: Prepared, place: Place) -> Asked:
    """The workload with the handler's own answers. SystemExit where the handler itself does not run."""
    count = min(CHECKED, len(prepared.bodies["instances"].index.read_text().splitlines()))
    (printed,) = _printed(prepared, place, ["answers", *_files(prepared), str(count)])
    answers = [[number for row in answer for number in row] for answer in json.loads(printed)]
    return Asked(prepared, answers)


def loading(prepared: Prepared, place: Place, plan: Plan) -> Loading:
    """What no cold start can be below."""
    taken = []
    for _ in range(plan.starts):
        processes.wait_quiet(plan.patience_s)
        start = time.perf_counter()
        _printed(prepared, place, ["load"])
        taken.append(time.perf_counter() - start)
    return Loading(prepared.workload.name, min(taken))


def bare(prepared: Prepared, place: Place, plan: Plan, count: int) -> Bare:
    """That many loops at once, a process each, at the batch size at which they do most together."""
    sizes = ",".join(map(str, prepared.workload.batch_sizes))
    processes.wait_quiet(plan.patience_s)
    before = processes.clock()
    words = ["loop", *_files(prepared), str(plan.seconds * SHARE), sizes]
    found = [json.loads(printed) for printed in _printed(prepared, place, words, count)]
    disturbed = processes.foreign(before, processes.clock())
    best = max(found[0], key=lambda size: sum(one[size][0] for one in found))
    return Bare(
        workload=prepared.workload.name,
        processes=count,
        batch_size=int(best),
        rate=sum(one[best][0] for one in found),
        cpu_us=statistics.mean(one[best][1] for one in found) * 1e6,
        foreign=disturbed,
    )


def _files(prepared: Prepared) -> list[str]:
    bodies = prepared.bodies["instances"]
    return [str(bodies.file), str(bodies.index)]


def _printed(prepared: Prepared, place: Place, words: list[str], count: int = 1) -> list[str]:
    """What so many processes of in_process.py print, once all of them are ready."""
    log = place.logs / f"in_process.{prepared.workload.name}.log"
    with log.open("a") as complaints:
        started = [_started(prepared, place, words, complaints) for _ in range(count)]
        _release(started)
        printed = [process.communicate()[0] for process in started]
    if any(process.returncode for process in started):
        raise SystemExit(
            f"the handler of {prepared.workload.name} does not run by itself: {log} has its words"
        )
    return printed


def _started(prepared: Prepared, place: Place, words: list[str], complaints: TextIO) -> subprocess.Popen[str]:
    python = str(environments.python(place.environments, environments.OURS).absolute())
    own = {
        "PYTHONPATH": str(ROOT),
        "BENCH_MODEL": prepared.workload.model,
        "BENCH_MODEL_DIR": str(prepared.model),
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }
    return subprocess.Popen(
        [python, "-m", "bench.serving.apps.in_process", *words],
        env={**os.environ, **own},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=complaints,
        text=True,
    )


def _release(started: list[subprocess.Popen[str]]) -> None:
    for process in started:
        assert process.stdout is not None
        process.stdout.readline()
    for process in started:
        assert process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write("\n")
            process.stdin.flush()
