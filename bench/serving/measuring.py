"""One server in one workload: started, its answers checked against the handler's own, then put under load."""

from __future__ import annotations

import contextlib
import itertools
import json
import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bench.serving import load, processes, running
from bench.serving.contestants import Server
from bench.serving.load import Target
from bench.serving.peers import environments
from bench.serving.results import Run, Window
from bench.serving.running import Failed, Place, Question, Running
from bench.serving.workloads import JSON, Bodies, Prepared, read_bodies

CHECKED = 32  # bodies whose answers are checked, AT_ONCE together: a batch must not mix its rows up
AT_ONCE = 8
WARM_CONNECTIONS, WARM_S = 32, 2
# float32 in another order of summation moves the eighth digit, another instance the fourth. An encoder may be
# a lighter one: then it is the direction of its vectors that counts.
CLOSE, SAME_DIRECTION = 1e-5, 0.999


@dataclass(frozen=True)
class Plan:
    """How to measure: at which connections, in windows how long, how many windows and cold starts.

    Others of the machine are waited for, before each, up to `patience_s`.
    """

    connections: tuple[int, ...]
    seconds: int
    rounds: int
    starts: int
    patience_s: float


@dataclass(frozen=True)
class Asked:
    """A workload and what the handler itself answers to the first of its bodies."""

    prepared: Prepared
    answers: list[list[float]]


@dataclass(frozen=True)
class Trial:
    """A server to be measured in a workload."""

    server: Server
    asked: Asked
    plan: Plan
    place: Place

    @property
    def bodies(self) -> Bodies:
        return self.asked.prepared.bodies[self.server.form]

    @property
    def content_type(self) -> str:
        return JSON if self.server.form == "v2" else self.asked.prepared.workload.content_type


def measured(trial: Trial) -> Run:
    """The server's row; where it fails, its row says why."""
    server = trial.server
    run = Run(server.name, server.kind.value, trial.asked.prepared.workload.name)
    if not environments.is_made(trial.place.environments, server.environment):
        made = f"python -m bench.serving.peers make {server.environment}"
        return replace(run, failure=f"not installed: {made}")
    try:
        cold = [_cold_start(trial) for _ in range(trial.plan.starts - 1)]
        return _under_load(run, trial, cold)
    except (Failed, load.NoLoad) as failure:
        return replace(run, failure=str(failure))


def _cold_start(trial: Trial) -> float:
    processes.wait_quiet(trial.plan.patience_s)
    with running.started(trial.server, trial.asked.prepared, trial.place) as process:
        return _first_answer(process, trial)


def _first_answer(process: Running, trial: Trial) -> float:
    body = read_bodies(trial.bodies, 1)[0]
    return running.first_answer(process, trial.server.ping, _question(trial, body))


def _question(trial: Trial, body: bytes) -> Question:
    return Question(trial.server.route, body, trial.content_type)


def _under_load(run: Run, trial: Trial, cold: Sequence[float]) -> Run:
    with running.started(trial.server, trial.asked.prepared, trial.place) as process:
        last = _first_answer(process, trial)
        if trial.server.predicts:
            check(process, trial)
        load.drive(_target(process, trial), WARM_CONNECTIONS, min(WARM_S, trial.plan.seconds))
        windows, memory = [], 0
        for connections in trial.plan.connections:
            windows.append(_quietest(process, trial, connections))
            memory = max(memory, processes.memory())
        return replace(run, windows=tuple(windows), cold_s=min([*cold, last]), memory_mb=memory / 2**20)


def check(process: Running, trial: Trial) -> None:
    """Failed where an answer is not the handler's own."""
    expected, model = trial.asked.answers, trial.asked.prepared.workload.model

    def ask(body: bytes) -> list[float]:
        return numbers(running.ask(process, _question(trial, body)))

    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(ask, read_bodies(trial.bodies, len(expected))))
    for number, (found, right) in enumerate(zip(answers, expected, strict=True)):
        if not agrees(found, right, model):
            raise Failed(
                f"answers wrong: {_begun(found)} to body {number}, where the handler says {_begun(right)}"
            )


def numbers(answer: bytes) -> list[float]:
    """The numbers of the one prediction in an answer, whatever is written around them."""
    try:
        document = json.loads(answer)
        if isinstance(document, dict):
            document = (
                document["predictions"] if "predictions" in document else document["outputs"][0]["data"]
            )
        return list(_flat(document))
    except (ValueError, LookupError, TypeError):
        raise Failed(f"answers {answer[:100]!r}, in which there are no predictions") from None


def agrees(found: Sequence[float], expected: Sequence[float], model: str) -> bool:
    """Whether an answer is the handler's: each number close, or for the encoder the direction."""
    if len(found) != len(expected):
        return False
    if model != "encoder":
        return all(abs(one - other) <= CLOSE for one, other in zip(found, expected, strict=True))
    lengths = math.hypot(*found) * math.hypot(*expected)
    return float(np.dot(found, expected)) >= SAME_DIRECTION * lengths > 0


def _flat(value: Any) -> Iterator[float]:
    if not isinstance(value, list):
        return iter((float(value),))
    return itertools.chain.from_iterable(map(_flat, value))


def _begun(found: Sequence[float]) -> str:
    return f"[{', '.join(f'{one:.4f}' for one in found[:3])}, …]"


def _quietest(process: Running, trial: Trial, connections: int) -> Window:
    """Of several windows, the one that others disturbed least."""
    windows = [_window(process, trial, connections) for _ in range(trial.plan.rounds)]
    return min(windows, key=lambda window: window.foreign)


def _window(process: Running, trial: Trial, connections: int) -> Window:
    _settle(process, trial)
    processes.wait_quiet(trial.plan.patience_s)
    before = processes.clock()
    found = load.drive(_target(process, trial), connections, trial.plan.seconds)
    after = processes.clock()
    return Window(
        connections=connections,
        rate=found.answered / found.seconds,
        p50_ms=found.p50_ms,
        p95_ms=found.p95_ms,
        p99_ms=found.p99_ms,
        errors=found.errors,
        cpu_us=(after.server - before.server) * 1e6 / max(1, found.answered),
        foreign=processes.foreign(before, after),
    )


def _settle(process: Running, trial: Trial) -> None:
    """Wait behind what the last window left in the queue: its clients are gone, its work may not be."""
    body = read_bodies(trial.bodies, 1)[0]
    with contextlib.suppress(Failed):
        running.ask(process, _question(trial, body))


def _target(process: Running, trial: Trial) -> Target:
    return Target(process.port, trial.server.route, trial.content_type, trial.bodies)
