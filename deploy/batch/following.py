"""A job seen through: what can be told of it meanwhile, and what Ctrl-C means for it."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from deploy import terminal, tracebacks
from deploy.batch.cloud import Cloud, Job
from deploy.batch.orders import Order
from deploy.batch.report import files
from deploy.rollout import Stopped
from deploy.target import CloudError

FIRST_POLL_S, LAST_POLL_S = 0.1, 15.0
LOG_LINES = 20


@dataclass(frozen=True)
class Printed:
    """Why files have no result, by their names, and the telling lines of what a job's containers printed."""

    why: Mapping[str, str] = field(default_factory=dict)
    lines: tuple[str, ...] = ()


@dataclass(frozen=True)
class Watch:
    """What is followed: the rows of each file to be scored, and how to see which have their result."""

    rows: Mapping[str, int]
    done: Callable[[Job], Collection[str]]


def follow(cloud: Cloud, run: str, start: Callable[[], Job], watch: Watch) -> Job:
    """Start a job, or take one that runs, and return it when it has ended, whatever it has ended as.

    On Ctrl-C the run's job is asked to stop, since it is billed, and Stopped is raised.
    """
    try:
        job = start()
        with terminal.counting(f"transform job {job.name}", len(watch.rows)) as show:
            return _seen_through(cloud, job, watch, show)
    except KeyboardInterrupt:
        raise Stopped(_stop(cloud, run)) from None


def _seen_through(cloud: Cloud, job: Job, watch: Watch, show: Callable[[int, str], None]) -> Job:
    begun = time.monotonic()
    while True:
        job = cloud.transforms.look(cloud.config, job)
        done = set(watch.done(job)) & set(watch.rows)
        show(len(done), said(job, watch.rows, done, datetime.now(UTC)))
        if not job.moving:
            return job
        # Often at first, when a job may take a second; ever less often when it takes hours.
        time.sleep(min(LAST_POLL_S, max(FIRST_POLL_S, (time.monotonic() - begun) / 20)))


def said(job: Job, rows: Mapping[str, int], done: Collection[str], now: datetime) -> str:
    """What is known of a job under way: no cloud tells how far it is within a file."""
    finished, total = sum(rows[name] for name in done), sum(rows.values())
    text = f"{job.state}, {len(done):,} of {files(len(rows))}, {finished:,} of {total:,} records"
    seconds = (now - job.started).total_seconds() if job.started else 0.0
    if not finished or seconds <= 0:
        return text
    rate = finished / seconds
    left = f", {_clock((total - finished) / rate)} left" if job.moving and finished < total else ""
    return f"{text}, {rate:,.0f} a second{left}"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _stop(cloud: Cloud, run: str) -> str:
    asked = []
    try:
        for job in cloud.transforms.jobs(cloud.config, run):
            if job.moving:
                cloud.transforms.stop(cloud.config, job)
                asked.append(job.name)
    except CloudError as error:
        return f"stopped; whether the job stops is not known ({error}): the same command again takes it up"
    if not asked:
        return "stopped: no job of this run is under way, and the same command again goes on"
    return (
        f"stopped: transform job {asked[-1]} was asked to stop, since it is billed while it runs; "
        "finished files stay, and the same command again scores those that are left"
    )


def printed(cloud: Cloud, order: Order, job: Job) -> Printed:
    """What there is to read about a job that has failed; a log that cannot be read says so itself."""
    try:
        why, events = cloud.transforms.printed(cloud.config, order, job)
    except CloudError as unread:
        return Printed(lines=(f"its log could not be read: {unread}",))
    return Printed(why, tuple(tracebacks.cause(events)[-LOG_LINES:]))
