"""A log that is read again and again gives each of its lines once."""

from __future__ import annotations

from datetime import datetime, timedelta

from deploy.image.printed import LATE, Printed
from deploy.target import Event


def test_each_line_is_given_once_and_late_ones_too() -> None:
    log, asked, start = list[Event](), list[datetime](), datetime.now().astimezone()

    def add(text: str, second: float) -> None:
        log.append(Event(start + timedelta(seconds=second), "build", text, text))

    def read(since: datetime) -> list[Event]:
        asked.append(since)
        return sorted((one for one in log if one.time >= since), key=lambda one: one.time)

    printed = Printed()
    add("first", -100)
    assert printed.new(read) == ["first"]
    add("second", 60)
    assert printed.new(read) == ["second"]
    add("late", 55)
    assert printed.new(read) == ["late"]
    assert printed.new(read) == []
    assert asked[-1] == start + timedelta(seconds=60) - LATE
