"""An image's build in the cloud, on whichever cloud: found or started, and watched to its end."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from deploy.image.builders import TOLD_LINES, BuildError
from deploy.target import CloudError, Refused, Say

FIRST_POLL_S, LAST_POLL_S = 0.1, 5.0


@dataclass(frozen=True)
class Look:
    """A build as it is now: `phase` in the cloud's word, `lines` what it printed since the last look."""

    state: Literal["running", "done", "failed", "stopped"]
    phase: str
    lines: Sequence[str] = ()
    reason: str = ""  # why it failed


class Builds(Protocol):
    """The builds of one image in one cloud, as this run sees them. What it does raises CloudError."""

    def running(self, own: bool = False) -> str:
        """The name of one that has not ended; where `own`, of one that this run started. Empty for none."""

    def start(self) -> str:
        """Start one; its name. Raises Refused where surely none was started."""

    def look(self, name: str) -> Look:
        """The build as it is now."""

    def stop(self, name: str) -> None:
        """Ask the cloud to stop it."""


def build(builds: Builds, say: Say) -> None:
    """Return once the image is built. Raises BuildError where it is not, with the end of the build's log.

    A build of it that runs already is followed: another run may have started it, or one that was killed.
    """
    name = builds.running()
    if not (name and _joined(builds, name, say)):
        _made(builds, say)


def _joined(builds: Builds, name: str, say: Say) -> bool:
    """Follow what another run started, and leave it running: others may wait. False where it was stopped."""
    say(f"build {name} of this image is under way already")
    try:
        seen, last = _watched(builds, name, say)
    except BaseException:
        say(f"build {name} goes on, since another run started it")
        raise
    return seen.state != "stopped" and _is_built(name, seen, last)


def _made(builds: Builds, say: Say) -> None:
    """Build it. Whatever else ends the wait, Ctrl-C first of all, stops the build, which is billed."""
    name = ""
    try:
        name = builds.start()
        seen, last = _watched(builds, name, say)
    except Refused:  # nothing was started
        raise
    except BaseException:
        _stopped(builds, name, say)
        raise
    _is_built(name, seen, last)


def _watched(builds: Builds, name: str, say: Say) -> tuple[Look, Sequence[str]]:
    """The build at its end, and the last lines that it printed."""
    start, last = time.monotonic(), deque[str](maxlen=TOLD_LINES)
    while (seen := builds.look(name)).state == "running":
        last.extend(seen.lines)
        say(f"{seen.phase}: {last[-1]}" if last else seen.phase)
        time.sleep(min(LAST_POLL_S, max(FIRST_POLL_S, (time.monotonic() - start) / 20)))
    last.extend(seen.lines)
    return seen, last


def _is_built(name: str, seen: Look, last: Sequence[str]) -> bool:
    if seen.state != "done":
        raise BuildError("\n".join([f"build {name}: {seen.phase}: {seen.reason or 'failed'}", *last]))
    return True


def _stopped(builds: Builds, name: str, say: Say) -> None:
    """Stop that build. Where its name did not arrive, the cloud is asked for the one that was started."""
    try:
        name = name or builds.running(own=True)
        if name:
            builds.stop(name)
            say(f"build {name} is stopped")
    except CloudError as error:
        which = name or "that was started"
        say(f"build {which} could not be stopped ({error}): it ends by its own time limit")
