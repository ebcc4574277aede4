"""What processor time a container's processes have used, and how many cores there are to use.

psutil is of requirements-gcp.txt, without which this is imported, too: so it is imported when it is needed.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import psutil


def of_tree(pid: int) -> float | None:
    """The CPU seconds of the process, its descendants, and those of them that ended; None if it is gone.

    A descendant that ends meanwhile may be missed or counted twice, until it is asked again.
    """
    import psutil

    try:
        root = psutil.Process(pid)
        used = _used(root)
        for one in root.children(recursive=True):
            with contextlib.suppress(psutil.Error):  # it ended: its parent has its time now
                used += _used(one)
    except psutil.Error:
        return None
    return used


def cores() -> int:
    """The cores that this process may use, and so every container that it starts."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _used(process: psutil.Process) -> float:
    times = process.cpu_times()
    # Those of children are of the ones that ended and were waited for; psutil knows them on Linux alone.
    return float(times.user + times.system + times.children_user + times.children_system)
