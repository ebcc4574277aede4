"""The local cloud in the background: started once for a home, found again, healed after kill -9, stopped.

Nothing heavy is imported: `env` on a running local cloud must answer at once. The state file says which
process it is (with its start time, since process ids come round again) and on which port. Two locks: the
process holds one for as long as it lives, and whoever starts it another meanwhile.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from infra.local.settings import KIT_ROOT, Settings

READY_FD = "SLIPWAY_READY_FD"  # in the new process's environment: where it says that it is ready
STARTING = "starting"  # its word when another has the home already
START_S = 60.0
STOP_EXTRA_S = 15.0  # beyond the containers' own grace
POLL_S = 0.02
TAIL_LINES = 20


class StartError(Exception):
    """The local cloud did not start; the message says why."""


class AlreadyRunning(Exception):
    """Another local cloud has this home."""


@dataclass(frozen=True)
class State:
    """A local cloud that runs: its process, when that started (in the kernel's ticks), and its port."""

    pid: int
    started: str
    port: int

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"


def running(home: Path) -> State | None:
    """The local cloud of that home, None when there is none (or only what a killed one left)."""
    try:
        state = State(**json.loads(_state_file(home).read_text()))
    except (OSError, ValueError, TypeError):
        return None
    return state if _started(state.pid) == state.started else None


def up(settings: Settings) -> State:
    """The local cloud of `settings.home`, started in the background if it does not run.

    Several at once start one. Raises StartError.
    """
    state = running(settings.home)
    if state:
        return state
    try:
        settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)  # others may not read an archive
        with _lock(settings.home / "starting.lock", wait=True):
            return running(settings.home) or _start(settings.home)
    except OSError as error:
        raise StartError(f"cannot start the local cloud in {settings.home}: {error}") from error


def down(settings: Settings) -> bool:
    """Stops the local cloud and all its containers, and waits until it is gone; False when none runs."""
    if not settings.home.is_dir():
        return False
    with _lock(settings.home / "starting.lock", wait=True):  # one that starts is stopped too
        state = running(settings.home)
        if state:
            patience = settings.stop_grace_s + STOP_EXTRA_S
            if not _end(state, signal.SIGTERM, patience):
                _end(state, signal.SIGKILL, patience)
        forget(settings.home)
    return state is not None


def log_file(home: Path) -> Path:
    """Where the local cloud writes what it does."""
    return home / "cloud.log"


@contextlib.contextmanager
def only_one(home: Path) -> Iterator[None]:
    """For the local cloud itself: as long as it is in here, no other can be. Raises AlreadyRunning."""
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        with _lock(home / "running.lock", wait=False):
            yield
    except BlockingIOError as error:
        raise AlreadyRunning(f"another local cloud runs in {home}") from error


def announce(home: Path, port: int) -> None:
    """For the local cloud itself: it answers now, on that port. Raises OSError where it cannot be written."""
    state = asdict(State(os.getpid(), _started(os.getpid()), port))
    whole = home / f"state.{os.getpid()}"
    try:
        whole.write_text(json.dumps(state))
        whole.replace(_state_file(home))  # at once, so that nobody reads half of it
    except OSError as error:
        raise OSError(f"cannot write {_state_file(home)}: {error.strerror}") from error
    tell_parent(state)


def tell_parent(word: dict[str, Any]) -> None:
    """For the local cloud itself: says to whoever started it that it is ready, or the error."""
    descriptor = os.environ.pop(READY_FD, "")
    if descriptor:
        with contextlib.suppress(OSError), open(int(descriptor), "w") as parent:  # noqa: PTH123 - no path
            parent.write(json.dumps(word))


def forget(home: Path) -> None:
    """Removes the state file."""
    _state_file(home).unlink(missing_ok=True)


def _start(home: Path) -> State:
    log = log_file(home)
    if log.exists() and _is_free(home):  # else it is the log of one that runs
        log.replace(log.with_suffix(".log.1"))
    reader, writer = os.pipe()
    with open(reader) as answer, log.open("ab") as output:  # noqa: PTH123 - no path
        try:
            process = subprocess.Popen(
                [sys.executable, "-m", "infra.local.serve"],
                cwd=home,
                env={**os.environ, "PYTHONPATH": str(KIT_ROOT), READY_FD: str(writer)},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                pass_fds=(writer,),
                start_new_session=True,  # Ctrl-C in a verb is not for the local cloud
            )
        finally:
            os.close(writer)
        word = answer.read()  # until it said so, or ended
    said: dict[str, Any] = json.loads(word) if word else {}
    if "port" in said:
        process.returncode = 0  # ours no longer: nobody waits for it
        return State(**said)
    process.wait()
    if STARTING in said:
        return _already_starting(home)
    if "error" in said:
        raise StartError(f"the local cloud did not start: {said['error']}")
    tail = "\n".join(log.read_text("utf-8", "replace").splitlines()[-TAIL_LINES:])
    raise StartError(f"the local cloud did not start (exit status {process.returncode}); {log} ends:\n{tail}")


def _already_starting(home: Path) -> State:
    """The one that a command, ended since, has begun to start; another in place of one that stops."""
    deadline = time.monotonic() + START_S
    while not (state := running(home)):
        if _is_free(home):
            return _start(home)
        if time.monotonic() > deadline:
            raise StartError(f"another local cloud has {home} but does not answer; see {log_file(home)}")
        time.sleep(POLL_S)
    return state


def _is_free(home: Path) -> bool:
    with contextlib.suppress(AlreadyRunning), only_one(home):
        return True
    return False


def _end(state: State, number: int, patience: float) -> bool:
    """Sends the signal and waits; whether the process is gone."""
    deadline = time.monotonic() + patience
    with contextlib.suppress(ProcessLookupError):
        os.kill(state.pid, number)
    while _started(state.pid) == state.started:
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_S)
    return True


def _state_file(home: Path) -> Path:
    return home / "state.json"


def _started(pid: int) -> str:
    """When the process started, "" when there is none. Source: proc(5), /proc/pid/stat, field 22."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text("latin-1").rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] == "Z" else fields[19]


@contextlib.contextmanager
def _lock(path: Path, wait: bool) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
