"""Of all that a container printed, the lines that say why it failed."""

from datetime import UTC, datetime

from deploy.target import Event
from deploy.tracebacks import cause


def lines(*texts: str, stream: str = "a") -> list[Event]:
    return [Event(datetime(2026, 1, 1, tzinfo=UTC), stream, text) for text in texts]


def test_a_failure_s_cause_is_its_last_traceback_with_what_it_came_of():
    first = ["Traceback (most recent call last):", "KeyError: 1"]
    chain = [*first, "", "During handling of the above exception, another exception occurred:", ""]
    last = ["Traceback (most recent call last):", "ValueError: 2", "error: load raised"]
    assert cause(lines("started", *first, "restarted", *last)) == last
    assert cause(lines("started", *chain, *last)) == [*chain, *last]
    assert cause([*lines(*last), *lines("killed", stream="b")]) == ["killed"]
    assert cause(lines(*[str(n) for n in range(100)])) == [str(n) for n in range(40, 100)]
    assert cause([]) == []
