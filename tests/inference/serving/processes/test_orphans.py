"""As the first process of a container the server takes in what others leave behind, and forgets its ended."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from pathlib import Path

import pytest
from waiting import is_alive, until

# Runs a command as one to which orphans fall, as they do to a container's first process. Source: prctl(2)
ADOPTING = (
    sys.executable,
    "-c",
    "import ctypes, os, sys; ctypes.CDLL(None).prctl(36, 1, 0, 0, 0); os.execv(sys.argv[1], sys.argv[1:])",
)
# Answers with a process that it started through another one, which has ended: an orphan, asleep for a time.
LEAVING = """
import os, subprocess, sys

class Handler:
    def load(self, model_dir): EXTRA
    def predict(self, seconds):
        return [int(subprocess.run(["sh", "-c", f"sleep {one} >&- 2>&- & echo $!"],
                stdout=subprocess.PIPE).stdout) for one in seconds]
"""
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="prctl(2) is Linux's")


def exists(pid: int) -> bool:
    """Whether it is in the table of processes, be it as a zombie."""
    return Path(f"/proc/{pid}").exists()


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def children(pid: int) -> set[int]:
    found = set()
    for place in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it ended meanwhile
            if parent(int(place.name)) == pid:
                found.add(int(place.name))
    return found


THREAD = "__import__('threading').Thread(target=__import__('time').sleep, args=(300,), daemon=True).start()"


@pytest.mark.parametrize("extra", ["pass", THREAD], ids=["shared model", "own models"])
def test_what_a_handler_left_is_gone_from_the_table_once_it_has_ended(serve, extra):
    served = serve(LEAVING.replace("EXTRA", extra), through=ADOPTING, SLIPWAY_WORKERS="2").wait_ready()
    left = served.post(b"[0, 0.1, 60]").json
    assert parent(left[-1]) == served.process.pid
    until(lambda: not any(map(exists, left[:-1])))
    assert is_alive(left[-1])
    os.kill(left[-1], signal.SIGKILL)
    until(lambda: not exists(left[-1]))
    assert served.stop() == 0


def test_a_killed_loader_is_missed_and_those_that_it_leaves_are_forgotten(serve):
    served = serve(LEAVING.replace("EXTRA", "pass"), through=ADOPTING, SLIPWAY_WORKERS="1").wait_ready()
    (left,) = served.post(b"[60]").json
    (loader,) = (pid for pid in children(served.process.pid) if pid != left)
    (worker,) = children(loader)
    os.kill(loader, signal.SIGKILL)
    until(lambda: parent(worker) == served.process.pid)
    os.kill(left, signal.SIGKILL)
    until(lambda: not exists(left) and not exists(loader))
    os.kill(worker, signal.SIGKILL)
    until(lambda: not exists(worker))
    until(lambda: served.ping() == 200)
    assert served.stop() == 0
