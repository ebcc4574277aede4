"""Waiting for what another process does."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


def until(holds: Callable[[], Any], seconds: float = 20) -> Any:
    """Waits until the call answers something true and returns it; fails after that many seconds."""
    deadline = time.monotonic() + seconds
    while not (answer := holds()):
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.02)
    return answer


def is_alive(pid: object) -> bool:
    """Whether there is such a process, and it is no zombie. Source: proc(5), /proc/pid/stat."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
