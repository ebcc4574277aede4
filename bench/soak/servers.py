"""A server of two workers with one of the handlers beside this file, and what all its processes hold."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.serving.processes import descendants
from bench.soak.levels import Sample

HANDLERS = Path(__file__).with_name("handlers")
ROOT = Path(__file__).parents[2]
WORKERS = 2
_START_S, _STOP_S = 60.0, 30.0
_LOOK_S = 0.05
# How long a server may take until nothing of its last callers is left.
_REST_S = 3.0
_MAX_BODY_MB = "1"


class NotServing(Exception):
    """The server did not start, or ended otherwise than it should: its own last words."""


@dataclass(frozen=True)
class Running:
    """A server that answers on this port."""

    process: subprocess.Popen[bytes]
    log: Path
    port: int

    async def at_rest(self, requests: int) -> Sample:
        """What it holds when nobody asks it anything, after so many requests."""
        before, deadline = -1, time.monotonic() + _REST_S
        while (now := self._descriptors()) != before and time.monotonic() < deadline:
            before = now
            await asyncio.sleep(4 * _LOOK_S)
        return Sample(requests, sum(map(_own_memory, self._processes())), now)

    def _processes(self) -> set[int]:
        return {self.process.pid, *descendants(self.process.pid)}

    def _descriptors(self) -> int:
        return sum(map(_open_in, self._processes()))


@contextlib.contextmanager
def serving(handler: str, leak: str) -> Iterator[Running]:
    """A server with that handler, which may be told to leak; it is ready, and told to end afterwards.
    NotServing where it does neither."""
    with tempfile.TemporaryDirectory(prefix="slipway-soak-") as folder:
        code, log = Path(folder, "model/code"), Path(folder, "log")
        code.mkdir(parents=True)
        shutil.copy(HANDLERS / f"{handler}.py", code / "handler.py")
        with log.open("wb") as printed:
            process = subprocess.Popen(
                [sys.executable, "-m", "inference.serving", "serve"],
                env={**_environment(folder), "SOAK_LEAK": leak},
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=printed,
                stderr=printed,
            )
        try:
            yield Running(process, log, _ready(process, log))
            process.terminate()
            if process.wait(_STOP_S):
                raise NotServing(f"it ended with status {process.returncode}: {_last_words(log)}")
        finally:
            process.kill()
            process.wait()


def _environment(folder: str) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "PYTHONDONTWRITEBYTECODE": "1",
        "SAGEMAKER_BASE_DIR": folder,
        "SAGEMAKER_BIND_TO_PORT": "0",
        "SLIPWAY_WORKERS": str(WORKERS),
        "SLIPWAY_MAX_BODY_MB": _MAX_BODY_MB,
        "SLIPWAY_CACHE": "10",
    }


def _ready(process: subprocess.Popen[bytes], log: Path) -> int:
    """The port, once a worker answers."""
    deadline = time.monotonic() + _START_S
    while "slipway: ready" not in log.read_text():
        if process.poll() is not None or time.monotonic() > deadline:
            raise NotServing(f"it is not ready: {_last_words(log)}")
        time.sleep(_LOOK_S)
    found = re.search(r"listening on http://\S+:(\d+)", log.read_text())
    assert found is not None, "it says so before it is ready"
    return int(found[1])


def _own_memory(pid: int) -> int:
    """Bytes that are the server's alone, pages that its processes share counted once. Not those of files that
    are mapped: what others on the machine map too is shared with them, and changes with them.

    Source: docs.kernel.org/filesystems/proc.html, smaps_rollup
    """
    kinds = ("Pss_Anon:", "Pss_Shmem:")
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:  # it ended meanwhile
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith(kinds))


def _open_in(pid: int) -> int:
    try:
        return len(os.listdir(f"/proc/{pid}/fd"))  # noqa: PTH208 - names alone
    except OSError:  # it ended meanwhile
        return 0


def _last_words(log: Path) -> str:
    return (log.read_text(errors="replace").strip().splitlines() or ["it printed nothing"])[-1][:300]
