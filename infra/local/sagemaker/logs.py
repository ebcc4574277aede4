"""A container's output in CloudWatch Logs: lines in order, in batches, soon."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from infra.local.cloud import Caller, Cloud
from infra.local.errors import AwsError

GATHER_S = 0.05  # how long lines are collected before they are put
FLUSH_S = 10.0
# What PutLogEvents takes in one call. Source: CloudWatch Logs, API_PutLogEvents.
BATCH_EVENTS = 1_000
EVENT_OVERHEAD, BATCH_BYTES = 26, 1_000_000
# What waits to be put: who writes more waits too, as a process does on a full pipe.
BACKLOG_EVENTS, BACKLOG_BYTES = 10_000, 8_000_000

_log = logging.getLogger(__name__)
Event = dict[str, Any]


class LogStream:
    """One log stream, made with its group at the first line. `write` may be called from any thread."""

    def __init__(self, cloud: Cloud, caller: Caller, group: str, name: str) -> None:
        self.group, self.name = group, name
        self._cloud, self._caller = cloud, caller
        self._lines: list[Event] = []
        self._size = 0  # of their messages, in characters
        self._changed = threading.Condition()
        self._written = self._done = 0  # lines, ever
        self._closed = False
        threading.Thread(target=self._ship, name=f"log of {name}", daemon=True).start()

    def write(self, line: str) -> None:
        """Takes one line; it is in CloudWatch Logs a moment later. Blocks while too much waits for that."""
        # CloudWatch refuses an empty message, and a traceback's blank line should stay one.
        event = {"timestamp": int(time.time() * 1000), "message": line or " "}
        with self._changed:
            self._changed.wait_for(self._has_room)
            if self._closed:
                return
            self._lines.append(event)
            self._size += len(line)
            self._written += 1
            self._changed.notify_all()

    def flush(self) -> None:
        """Returns when every line written so far can be read (or could not be put within seconds)."""
        with self._changed:
            target = self._written
            self._changed.wait_for(lambda: self._done >= target, FLUSH_S)

    def close(self) -> None:
        """Puts what is left and ends; later lines are dropped."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self.flush()

    def _ship(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._lines or self._closed)
                if not self._lines:
                    return
                is_full = len(self._lines) >= BATCH_EVENTS or self._size >= BATCH_BYTES
            time.sleep(0 if is_full else GATHER_S)
            with self._changed:
                batch = _first_batch(self._lines)
                del self._lines[: len(batch)]
                self._size = sum(len(event["message"]) for event in self._lines)
            self._put(batch)
            with self._changed:
                self._done += len(batch)
                self._changed.notify_all()

    def _has_room(self) -> bool:
        return self._closed or (len(self._lines) < BACKLOG_EVENTS and self._size < BACKLOG_BYTES)

    def _put(self, batch: list[Event]) -> None:
        payload = {"logGroupName": self.group, "logStreamName": self.name, "logEvents": batch}
        try:
            try:
                self._call("PutLogEvents", payload)
            except AwsError as error:
                if error.code != "ResourceNotFoundException":
                    raise
                self._create()
                self._call("PutLogEvents", payload)
        except AwsError as error:  # a role that may write no logs has none, in the cloud as well
            _log.warning("%s: %d lines not put: %s", self.name, len(batch), error)
        except Exception:  # a lost line must not end the container's log
            _log.exception("%s: %d lines not put", self.name, len(batch))

    def _create(self) -> None:
        try:
            self._create_stream()
        except AwsError as error:
            if error.code != "ResourceNotFoundException":
                raise
            with _unless_there():
                self._call("CreateLogGroup", {"logGroupName": self.group})
            self._create_stream()

    def _create_stream(self) -> None:
        with _unless_there():
            self._call("CreateLogStream", {"logGroupName": self.group, "logStreamName": self.name})

    def _call(self, operation: str, payload: dict[str, Any]) -> None:
        self._cloud.moto(self._caller, f"Logs_20140328.{operation}", payload)


@contextmanager
def _unless_there() -> Iterator[None]:
    try:
        yield
    except AwsError as error:
        if error.code != "ResourceAlreadyExistsException":
            raise


def _first_batch(lines: list[Event]) -> list[Event]:
    size = 0
    for count, line in enumerate(lines[:BATCH_EVENTS]):
        size += len(line["message"].encode()) + EVENT_OVERHEAD
        if size > BATCH_BYTES and count:
            return lines[:count]
    return lines[:BATCH_EVENTS]
