"""A build in the cloud watched to its end, on whichever cloud it runs."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from deploy.image.builders import TOLD_LINES, BuildError
from deploy.target import CloudError, Say

FIRST_POLL_S, LAST_POLL_S = 0.1, 5.0


@dataclass(frozen=True)
class Look:
    """A build as it is now: `phase` in the cloud's word, `lines` what it printed since the last look."""

    state: Literal["running", "done", "failed"]
    phase: str
    lines: Sequence[str] = ()
    reason: str = ""  # why it failed


def follow(name: str, look: Callable[[], Look], stop: Callable[[], None], say: Say) -> None:
    """Return once the build is done. Raises BuildError where it failed, with the end of its log.

    Whatever else ends the wait, Ctrl-C first of all, asks the cloud to stop the build, which is billed.
    """
    start, last = time.monotonic(), deque[str](maxlen=TOLD_LINES)
    try:
        while (seen := look()).state == "running":
            last.extend(seen.lines)
            say(f"{seen.phase}: {last[-1]}" if last else seen.phase)
            time.sleep(min(LAST_POLL_S, max(FIRST_POLL_S, (time.monotonic() - start) / 20)))
    except BaseException:
        _stopped(name, stop, say)
        raise
    last.extend(seen.lines)
    if seen.state == "failed":
        raise BuildError("\n".join([f"build {name}: {seen.phase}: {seen.reason or 'failed'}", *last]))


def _stopped(name: str, stop: Callable[[], None], say: Say) -> None:
    try:
        stop()
        say(f"build {name} is stopped")
    except CloudError as error:
        say(f"build {name} could not be stopped ({error}): it ends by its own time limit")
