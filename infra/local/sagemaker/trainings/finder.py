"""A program of its own, `python -I -S finder.py`, that looks for metrics in a log. See `metrics.Finder`.

Standard input is JSON, a line each: first [[NAME, EXPRESSION], …], then each line of the log. What is found
is answered as {"found": {NAME: VALUE}}; an expression that takes too long is left out from then on, and told
of as {"slow": NAME}. It imports nothing of the local cloud, so that it starts in milliseconds.
"""

from __future__ import annotations

import json
import math
import re
import signal
import sys
from types import FrameType

LIMIT_S = 1.0  # of processor time, for an expression on a line


class Slow(Exception):
    """The time is over."""


def found(line: str, pattern: re.Pattern[str]) -> float | None:
    """The number that the expression finds: its first group, or without one all that it matches.

    None where there is none, or no finite one. Raises Slow.
    """
    signal.setitimer(signal.ITIMER_VIRTUAL, LIMIT_S)
    try:
        match = pattern.search(line)
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    return number(match[pattern.groups and 1]) if match else None


def number(text: str | None) -> float | None:
    """The text as a finite number, None if it is none."""
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def look(line: str, wanted: dict[str, re.Pattern[str]]) -> None:
    """Tells of what is in the line; what was too slow is wanted no more."""
    values = {}
    for name, pattern in list(wanted.items()):
        try:
            value = found(line, pattern)
        except Slow:
            del wanted[name]
            print(json.dumps({"slow": name}), flush=True)
            continue
        if value is not None:
            values[name] = value
    if values:
        print(json.dumps({"found": values}), flush=True)


def stop(number: int, frame: FrameType | None) -> None:
    """Python's expressions hear signals, in the main thread."""
    raise Slow


def main() -> None:
    """Reads to the end of standard input, which is the local cloud's end too."""
    signal.signal(signal.SIGVTALRM, stop)
    wanted = {name: re.compile(text) for name, text in json.loads(sys.stdin.readline())}
    for line in sys.stdin:
        look(json.loads(line), wanted)


if __name__ == "__main__":
    main()
