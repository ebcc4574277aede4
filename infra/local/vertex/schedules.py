"""Cloud Scheduler for the local cloud: jobs that post to one of Google's APIs here, at a minute of the year.

Every other job is refused by name when it is made: recurring ones, and calls of other addresses.
Source: cloud.google.com/scheduler/docs/reference/rest/v1/projects.locations.jobs
"""

from __future__ import annotations

import base64
import binascii
import logging
import re
import threading
import urllib.error
import urllib.request
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from infra.local.vertex import listing
from infra.local.vertex.api import Call, Json, Route, Vertex
from infra.local.vertex.errors import invalid
from infra.local.vertex.resources import Table, patched

LOOK_EVERY_S = 0.25
FIRST_WAIT_S = 1.0  # between tries; each waits twice as long
TIMEOUT_S = 180.0  # Source: Job.attemptDeadline
_NAME = re.compile(r"projects/[^/]+/locations/[^/]+/jobs/[a-zA-Z0-9_-]{1,500}")
_ONCE_A_YEAR = re.compile(
    r"(?P<minute>[0-9]{1,2}) (?P<hour>[0-9]{1,2}) (?P<day>[0-9]{1,2}) (?P<month>[0-9]{1,2}) \*"
)
_FIELDS = {
    "description": "description",
    "schedule": "schedule",
    "time_zone": "timeZone",
    "retry_config": "retryConfig",
    "http_target": "httpTarget",
}
log = logging.getLogger(__name__)


@dataclass
class _Due:
    """When a job is tried next, in seconds since 1970, and how often it was since its time came."""

    at: float
    tries: int = 0


class Schedules:
    """The service."""

    def __init__(self, vertex: Vertex) -> None:
        self._vertex, self._table = vertex, Table()
        self._due: dict[str, _Due] = {}
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._watching: threading.Thread | None = None

    @property
    def routes(self) -> list[Route]:
        """What it answers."""
        return [
            Route("POST", "jobs", self._create),
            Route("GET", "jobs", self._list),
            Route("GET", "jobs/*", lambda call: self._table.get(call.name)),
            Route("PATCH", "jobs/*", self._patch),
            Route("DELETE", "jobs/*", self._delete),
            Route("POST", "jobs/*:run", self._run_now),
        ]

    def close(self) -> None:
        """Runs nothing any more."""
        self._over.set()

    def _create(self, call: Call) -> Json:
        name = str(call.body.get("name", ""))
        if not _NAME.fullmatch(name):
            raise invalid(f"Job name must be formatted projects/*/locations/*/jobs/*: {name!r}", "job.name")
        job = {**call.body, "state": "ENABLED"}
        at = self._checked(job)
        made = self._table.add(f"{call.place.name}/jobs/{name.rpartition('/')[2]}", job)
        self._plan(made["name"], at)
        return made

    def _list(self, call: Call) -> Json:
        return listing.page(self._table.all_of(call.place.name, "jobs"), "jobs", call.query)

    def _patch(self, call: Call) -> Json:
        # Without a mask all that is given is changed.
        mask = call.query.get("updateMask", "") or ",".join(
            snake for snake, camel in _FIELDS.items() if camel in call.body
        )
        at = 0.0

        def edit(job: Json) -> Json:
            nonlocal at
            edited = patched(job, call.body, mask, _FIELDS)
            at = self._checked(edited)
            return edited

        changed = self._table.change(call.name, edit)
        self._plan(call.name, at)
        return changed

    def _delete(self, call: Call) -> Json:
        self._table.remove(call.name)
        with self._lock:
            self._due.pop(call.name, None)
        return {}

    def _run_now(self, call: Call) -> Json:
        job = self._table.get(call.name)
        self._plan(call.name, datetime.now(UTC).timestamp())
        return job

    def _checked(self, job: Json) -> float:
        """When the job is to run. Raises GoogleError for one that is not run here."""
        target, here = job.get("httpTarget", {}), f"{self._vertex.url}/"
        if not str(target.get("uri", "")).startswith(here) or target.get("httpMethod", "POST") != "POST":
            raise invalid(f"The local Cloud Scheduler posts to {here} alone.", "job.http_target.uri")
        try:
            base64.b64decode(target.get("body", ""), validate=True)
        except binascii.Error as error:
            raise invalid(f"Base64 decoding failed: {error}", "job.http_target.body") from error
        return next_time(str(job.get("schedule", "")), job.get("timeZone", "UTC"), datetime.now(UTC))

    def _plan(self, name: str, at: float) -> None:
        with self._lock:
            self._due[name] = _Due(at)
            if self._watching is None:
                self._watching = threading.Thread(target=self._watch, name="google-schedules", daemon=True)
                self._watching.start()

    def _watch(self) -> None:
        while not self._over.wait(LOOK_EVERY_S):
            now = datetime.now(UTC).timestamp()
            with self._lock:
                due = [name for name, one in self._due.items() if one.at <= now]
            for name in due:
                try:
                    self._try(name)
                except Exception:
                    log.exception("schedule %s", name)

    def _try(self, name: str) -> None:
        job = self._table.get(name)
        code = _posted(job["httpTarget"])
        done, now = 200 <= code < 300, datetime.now(UTC)
        log.info("schedule %s: %d", name, code)
        with self._lock:
            due = self._due[name]
            due.tries += 1
            if done or due.tries > job.get("retryConfig", {}).get("retryCount", 0):
                self._due[name] = _Due(next_time(job["schedule"], job.get("timeZone", "UTC"), now))
            else:
                due.at = now.timestamp() + FIRST_WAIT_S * 2 ** (due.tries - 1)
        told = {"lastAttemptTime": now.isoformat(), "status": {"code": 0 if done else 2}}
        self._table.change(name, lambda known: {**known, **told})


def next_time(schedule: str, zone: str, now: datetime) -> float:
    """When a cron expression of one minute of the year comes next, in seconds since 1970.

    Raises GoogleError for every other schedule.
    """
    found = _ONCE_A_YEAR.fullmatch(schedule)
    try:
        where = ZoneInfo(zone)
        if not found:
            raise ValueError("expected a minute, hour, day and month, and *")
        parts = {name: int(text) for name, text in found.groupdict().items()}
        this_year = datetime(now.year, tzinfo=where, **parts)
        return (this_year if this_year > now else datetime(now.year + 1, tzinfo=where, **parts)).timestamp()
    except (ValueError, ZoneInfoNotFoundError) as error:
        text = f"Schedule or time zone is invalid: {schedule!r} in {zone!r} ({error})"
        raise invalid(text, "job.schedule") from error


def _posted(target: dict[str, Any]) -> int:
    """The status of the answer; 0 where there was none."""
    headers = {**target.get("headers", {}), "Authorization": "Bearer local"}
    body = base64.b64decode(target.get("body", ""))
    asked = urllib.request.Request(target["uri"], body, headers, method="POST")  # noqa: S310 - only here
    try:
        with urllib.request.urlopen(asked, timeout=TIMEOUT_S) as answer:  # noqa: S310
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code
    except OSError:
        return 0
