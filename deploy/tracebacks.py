"""Why a container failed, read from what it printed."""

from collections.abc import Sequence

from deploy.target import Event

SHOWN = 60  # lines at the most


def cause(events: Sequence[Event]) -> list[str]:
    """The lines that say why a container failed: from its last traceback on, else the last it printed."""
    if not events:
        return []
    last = events[-1].stream
    lines = [line for event in events if event.stream == last for line in event.text.split("\n")]
    tracebacks = [n for n, line in enumerate(lines) if "Traceback (most recent call last)" in line]
    return lines[_first(lines, tracebacks) :][-SHOWN:]


def _first(lines: Sequence[str], tracebacks: Sequence[int]) -> int:
    """Where the last failure starts: an exception that came of another is told with it."""
    if not tracebacks:
        return max(0, len(lines) - SHOWN)
    start = tracebacks[-1]
    for earlier in reversed(tracebacks[:-1]):
        told = "\n".join(lines[earlier:start])
        if (
            "During handling of the above exception" not in told
            and "direct cause of the following" not in told
        ):
            break
        start = earlier
    return start
