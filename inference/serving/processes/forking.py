"""Whether a process that has loaded a model may be forked, and what is done so that it may.

A fork copies the calling thread alone, so it is safe only while loading has left no thread behind and nothing
is set up on a GPU; and a connection or a file that is held open would have one place in it for all.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inference.serving.errors import shown
from inference.serving.settings import cores

_THREADS = Path("/proc/self/task")
_OPEN = Path("/proc/self/fd")
_SIBLINGS = "/sys/devices/system/cpu/cpu{}/topology/thread_siblings_list"
# Read by torch, with the MKL in it, when it is imported; numpy and scikit-learn do not look at it.
_TORCH_THREADS, _ALL_THREADS = "MKL_NUM_THREADS", "OMP_NUM_THREADS"


@dataclass(frozen=True)
class Seen:
    """How many native threads the process has, 0 where nobody can say, and what is open in it."""

    threads: int
    held: frozenset[str]


def seen() -> Seen:
    """What is there now."""
    return Seen(_threads(), frozenset(_held()))


def obstacle(before: Seen) -> str:
    """Why this process may not be forked, going by what there was before the model came; "" where it may."""
    _end_progress_bars()
    now = seen()
    if not now.threads:
        return "this system does not tell how many threads there are"
    if now.threads > before.threads:
        return f"loading has left threads: {now.threads - before.threads}"
    if _uses_gpu():
        return "the model is on a GPU"
    left = sorted(now.held - before.held)
    return f"loading has left {shown(left[0])} open" if left else ""


def load_with_one_thread() -> bool:
    """Have torch, when it is imported, keep to one thread; False where the environment says how many.

    Its first copy of a large weight starts a pool of threads, which stays, and forbids the fork.
    """
    if {_TORCH_THREADS, _ALL_THREADS} & os.environ.keys():
        return False
    os.environ[_TORCH_THREADS] = "1"
    return True


def compute_with_one_thread() -> None:
    """Have torch keep to one thread: several workers share the cores, and would only wait for each other."""
    torch: Any = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(1)


def compute_with_all_threads(code: Path) -> None:
    """Undo load_with_one_thread, in a process that turned out to be the only one; `code` is the handler's."""
    del os.environ[_TORCH_THREADS]
    torch: Any = sys.modules.get("torch")
    # One thread may as well be the handler's own choice, which torch does not tell apart.
    if torch is not None and torch.get_num_threads() == 1 and not _sets_threads(code):
        torch.set_num_threads(min(cores(), _physical_cores()))


def _sets_threads(code: Path) -> bool:
    return any(b"set_num_threads" in path.read_bytes() for path in code.rglob("*.py"))


def _physical_cores() -> int:
    """As torch counts them: of two that share a core, the second adds nothing to arithmetic."""
    found = set()
    numbers = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
    for number in numbers:
        try:
            found.add(Path(_SIBLINGS.format(number)).read_text())
        except OSError:
            found.add(str(number))
    return len(found)


def _end_progress_bars() -> None:
    """End tqdm's thread, which watches progress bars after the last has ended, as in transformers' loading.
    The next bar starts it anew."""
    for thread in threading.enumerate():
        if type(thread).__module__ == "tqdm._monitor":
            with contextlib.suppress(Exception):
                thread.exit()  # type: ignore[attr-defined]  # TMonitor's


def _threads() -> int:
    return len(list(_THREADS.iterdir())) if _THREADS.is_dir() else 0


def _held() -> set[str]:
    """Files, sockets, pipes."""
    if not _OPEN.is_dir():
        return set()
    found = set()
    for name in os.listdir(_OPEN):  # noqa: PTH208 - names alone
        with contextlib.suppress(OSError):  # the descriptor by which the folder itself is read
            found.add(str((_OPEN / name).readlink()))
    return found


def _uses_gpu() -> bool:
    torch: Any = sys.modules.get("torch")
    return torch is not None and bool(torch.cuda.is_initialized())
