"""What a build in the cloud printed, each line once, by a log that is read again and again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

from deploy.target import Event

LATE = timedelta(seconds=10)  # a line may arrive later than one that is younger
LONGEST = timedelta(hours=2)  # of a build that still runs: an hour in the queue and one at work


class Printed:
    """The lines of one build so far."""

    def __init__(self) -> None:
        self._seen: set[tuple[str, str]] = set()
        self._since = datetime.now(UTC) - LONGEST

    def new(self, read: Callable[[datetime], Sequence[Event]]) -> list[str]:
        """The lines that were not given before; `read` gives all events from a moment on, by their time."""
        found = [event for event in read(self._since) if (event.stream, event.id) not in self._seen]
        self._seen |= {(event.stream, event.id) for event in found}
        self._since = max([self._since, *(event.time - LATE for event in found)])
        return [event.text for event in found]
