"""A training job watched to its end: its state, the lines it prints as they come, its metrics."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

from deploy import terminal
from deploy.config import Config
from deploy.target import Event, Say, TrainingJob, Trainings

MOVING = {"InProgress", "Stopping"}
FIRST_POLL_S, LAST_POLL_S = 0.1, 5.0
LATE = timedelta(seconds=10)  # a line may arrive later than one that is younger


def follow(trainings: Trainings, config: Config, name: str, say: Say) -> TrainingJob:
    """The job in its final state. Every line that it printed is shown once, in the order of arrival.

    Its metrics are the cloud's own, or where it has none what [training.metrics] finds in those lines.
    """
    start, seen, read = time.monotonic(), set[tuple[str, str]](), dict[str, float]()
    since = trainings.look(config, name).created - LATE
    while True:
        # The state first: what a job printed before its end is then among the lines read after it.
        job = trainings.look(config, name)
        events = trainings.printed(config, name, since)
        for text in _show_new(events, seen):
            read |= metrics(config.training.metrics, text)
        job = replace(job, metrics=job.metrics or dict(read))
        since = max([since, *(event.time - LATE for event in events)])
        say(f"{job.phase}{told(job.metrics)}")
        if job.state not in MOVING:
            return job
        time.sleep(min(LAST_POLL_S, max(FIRST_POLL_S, (time.monotonic() - start) / 20)))


def _show_new(events: Sequence[Event], seen: set[tuple[str, str]]) -> list[str]:
    """Show the lines that were not shown before, and return them."""
    new = [event for event in events if (event.stream, event.id) not in seen]
    seen |= {(event.stream, event.id) for event in new}
    for event in new:
        terminal.line(event.text)
    return [event.text for event in new]


def metrics(wanted: Mapping[str, str], line: str) -> dict[str, float]:
    """The numbers that a line tells, by the regular expressions of [training.metrics]; the last one counts.

    Source: the SageMaker API's MetricDefinitions, which are looked for in each line. Pure.
    """
    found = {}
    for name, expression in wanted.items():
        for number in re.findall(expression, line):
            with suppress(ValueError):  # what stands there is no number
                found[name] = float(number)
    return found


def told(metrics: Mapping[str, float]) -> str:
    """The metrics as they stand, in a few words; empty if there are none."""
    return "".join(f"  {name} {value:g}" for name, value in metrics.items())
