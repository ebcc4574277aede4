"""What an init is in a container, as a program of its own: `python -I -S pid1.py COMMAND [ARG…]`.

It starts the command, takes in its orphans, and exits as the command does, after which nothing of the tree is
left. Standard input is the line to the local cloud: "T" passes SIGTERM to the command, "K" ends the whole
tree, and the end of file, which is the local cloud's own end, does one and then the other.
"""

# It starts for every container, so it imports neither pathlib nor contextlib:
# ruff: noqa: PTH112, PTH123, PTH208, SIM105

from __future__ import annotations

import os
import select
import signal
import sys
import time

ORPHAN_GRACE_S = 2.0
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36  # linux/prctl.h


def prctl(option: int, value: int) -> None:
    """Linux's prctl(2); nothing elsewhere, where the process group alone is ended."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def start(argv: list[str]) -> int:
    """Starts the command in a session of its own and returns its process id."""
    parent = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    try:
        os.setsid()
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)  # it died before the line above could notice
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        for number in (signal.SIGPIPE, signal.SIGXFSZ):  # which Python ignores
            signal.signal(number, signal.SIG_DFL)
        os.execvp(argv[0], argv)  # noqa: S606 - an argument list, and no shell is wanted
    except OSError as error:
        os.write(2, f"cannot run {argv[0]}: {error.strerror}\n".encode())
    os._exit(127)


def children() -> list[int]:
    """The processes whose parent this is: the command, and the orphans of its tree."""
    found, me = [], os.getpid()
    for entry in os.listdir("/proc") if os.path.isdir("/proc") else []:
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/stat", "rb") as stat:
                    parent = int(stat.read().rpartition(b")")[2].split()[1])
            except (OSError, IndexError):  # it ended meanwhile
                continue
            if parent == me:
                found.append(int(entry))
    return found


def send(pid: int, number: int) -> None:
    """Sends a signal to a process that may have ended."""
    try:
        os.kill(pid, number)
    except OSError:
        pass


def end_tree(command: int) -> None:
    """Kills every descendant. A dead parent's children become ours, so it is done when we have none."""
    try:
        os.killpg(command, signal.SIGKILL)
    except OSError:
        pass
    while True:
        for pid in children():
            send(pid, signal.SIGKILL)
        try:
            os.wait()
        except ChildProcessError:
            return


def reap(command: int) -> int | None:
    """Takes in whoever has ended; returns the command's wait status if it was among them."""
    status = None
    while True:
        try:
            pid, ended = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return status
        if pid == 0:
            return status
        if pid == command:
            status = ended


def attend(command: int, wakeup: int) -> int | None:
    """Waits for the command's end and does what the line to the local cloud says.

    Returns the command's wait status, None when it has to be killed.
    """
    sources, deadline = [0, wakeup], None
    while True:
        status = reap(command)
        if status is not None:
            return status
        left = None if deadline is None else deadline - time.monotonic()
        if left is not None and left <= 0:
            return None
        ready = select.select(sources, [], [], left)[0]
        if wakeup in ready:
            os.read(wakeup, 512)
        if 0 in ready:
            words = os.read(0, 512)
            if b"K" in words:
                return None
            send(command, signal.SIGTERM)
            if not words:
                sources, deadline = [wakeup], time.monotonic() + ORPHAN_GRACE_S


def leave(status: int) -> None:
    """Exits as the command did: with its exit code, or by its signal."""
    code = os.waitstatus_to_exitcode(status)
    if code < 0:
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if -code not in (signal.SIGKILL, signal.SIGSTOP):
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)


def main(argv: list[str]) -> None:
    """Runs the command to its end, or to the local cloud's."""
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    wakeup, woken = os.pipe()
    os.set_blocking(woken, False)
    signal.set_wakeup_fd(woken)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    command = start(argv)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda number, frame: send(command, signal.SIGTERM))
    status = attend(command, wakeup)
    end_tree(command)
    leave(signal.SIGKILL if status is None else status)


if __name__ == "__main__":
    main(sys.argv[1:])
