"""What a server costs: CPU and memory of all its processes, from Linux's /proc.

This process adopts what its children leave behind (a "child subreaper"), so whatever a server starts, daemons
and orphans too, stays below it. Nothing else runs below it while a server is measured but wrk, and wrk has
ended when the costs are read: the server is every process that descends from this one.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
# The share of the machine up to which others do not count.
QUIET = 0.1
_LOOK_S = 1.0
# linux/prctl.h
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
_LIBC = ctypes.CDLL(None, use_errno=True)
# Fields of /proc/PID/stat behind the name, counted from 0: parent, then utime, stime and the children's both.
_PARENT, _TIMES = 1, slice(11, 15)


@dataclass(frozen=True)
class Clock:
    """CPU seconds since the start: this process's descendants, this process itself, and the whole machine."""

    at: float
    server: float
    here: float
    machine: float


def cores() -> int:
    """How many cores this process, and so each server, may use."""
    return len(os.sched_getaffinity(0))


def adopt_orphans() -> None:
    """Call once, before the first server."""
    _LIBC.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def end_with_parent() -> None:
    """Called in a child: it is told to end when its parent is killed."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


def clock() -> Clock:
    """The times so far. `here` has wrk's in it as soon as that has ended."""
    table = _table()
    used = sum(_used(table[pid]) for pid in _below(os.getpid(), table))
    own = os.times()
    # A machine lent in slices loses to its neighbours what is counted as stolen: field 8.
    busy = Path("/proc/stat").read_text().splitlines()[0].split()[1:9]
    machine = sum(int(busy[place]) for place in (0, 1, 2, 5, 6, 7)) / _TICKS
    return Clock(
        time.monotonic(), used, own.user + own.system + own.children_user + own.children_system, machine
    )


def foreign(before: Clock, after: Clock) -> float:
    """The share of the machine's CPU that others used meanwhile, 0 to 1."""
    others = (after.machine - before.machine) - (after.server - before.server) - (after.here - before.here)
    return max(0.0, others / ((after.at - before.at) * (os.cpu_count() or 1)))


def wait_quiet(patience_s: float) -> None:
    """Wait until others leave the machine alone, but no longer than that."""
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        before = clock()
        time.sleep(_LOOK_S)
        if foreign(before, clock()) < QUIET:
            return


def memory() -> int:
    """Bytes that the server's processes hold, pages that several share counted once (PSS)."""
    return sum(map(proportional, descendants(os.getpid())))


def descendants(root: int) -> set[int]:
    """The processes below that one, without it."""
    return _below(root, _table())


def proportional(pid: int) -> int:
    """Bytes that a process holds, of pages that several share its part (PSS); 0 of one that has ended."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0


def end_all(patience_s: float) -> None:
    """End every process below this one: asked first, killed when patience is over."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        deadline = time.monotonic() + patience_s
        for pid in descendants(os.getpid()):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        while descendants(os.getpid()) and time.monotonic() < deadline:
            _reap()
            time.sleep(0.05)


def _reap() -> None:
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _table() -> dict[int, list[str]]:
    found = {}
    for place in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            found[int(place.name)] = (place / "stat").read_text().rpartition(")")[2].split()
    return found


def _below(root: int, table: dict[int, list[str]]) -> set[int]:
    below: set[int] = set()
    generation = {root}
    while generation:
        generation = {pid for pid, fields in table.items() if int(fields[_PARENT]) in generation} - below
        below |= generation
    return below


def _used(fields: list[str]) -> float:
    return sum(map(int, fields[_TIMES])) / _TICKS
