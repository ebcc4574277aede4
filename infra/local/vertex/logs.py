"""What containers say, kept by the line: where Cloud Logging would have it."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

from infra.local.vertex.operations import now

LINES_KEPT = 10_000  # of one container
TAIL_LINES = 30
TAIL_CHARACTERS = 4000


@dataclass(frozen=True)
class Line:
    """One line and when it was said."""

    timestamp: str
    text: str


class LogStream:
    """One container's output; `labels` say whose it is (`endpoint_id`, `deployed_model_id`, `job_id`).

    `owner` is the name of the endpoint or the job: its project is the one in whose log this is.
    """

    def __init__(self, owner: str, labels: Mapping[str, str]) -> None:
        self.owner, self.labels = owner, dict(labels)
        self._lines: deque[Line] = deque(maxlen=LINES_KEPT)
        self._lock = threading.Lock()

    def write(self, text: str) -> None:
        """Keeps a line."""
        with self._lock:
            self._lines.append(Line(now(), text))

    def lines(self) -> list[Line]:
        """What is kept, oldest first."""
        with self._lock:
            return list(self._lines)

    def tail(self) -> str:
        """The last lines, for an error's text."""
        text = "\n".join(line.text for line in self.lines()[-TAIL_LINES:])
        return text[-TAIL_CHARACTERS:]


class Logs:
    """Every container's output, also of those that are gone."""

    def __init__(self) -> None:
        self._streams: list[LogStream] = []
        self._lock = threading.Lock()

    def open(self, owner: str, **labels: str) -> LogStream:
        """A new stream of that endpoint or job, with these labels."""
        stream = LogStream(owner, labels)
        with self._lock:
            self._streams.append(stream)
        return stream

    def find(self, **labels: str) -> list[LogStream]:
        """The streams that have all these labels, oldest first."""
        with self._lock:
            return [one for one in self._streams if labels.items() <= one.labels.items()]
