"""Processes that have ended and that nobody asks about.

The first process of a container becomes the parent of every process whose own has ended: of what a handler
started and left, and of what a worker that was killed leaves behind. One that has ended stays in the table of
processes until its parent asks for its status, and that table is bounded.
Source: waitid(2), credentials(7)
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable


def reap(ours: Iterable[subprocess.Popen[bytes]]) -> None:
    """Ask for the status of every child that has ended and that is none of ours, whose status is kept."""
    running = {process.pid for process in ours if process.poll() is None}
    while (pid := _ended()) and pid not in running:
        os.waitpid(pid, 0)


def _ended() -> int:
    """A child that has ended, left as it is; 0 where there is none."""
    try:
        found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except (AttributeError, ChildProcessError):  # macOS, which has no containers; no children
        return 0
    return found.si_pid if found is not None else 0
