"""What a container may not do, taken from a process of this machine: its network, and its rights.

Linux lets an ordinary process make a user and a network of its own, where whoever looks after the machine has
not forbidden it. Where it is forbidden the check goes on without, and says so: nothing is assumed.
Sources: user_namespaces(7), network_namespaces(7), capabilities(7), prctl(2).
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import signal
import socket
import struct
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 0x1
USER = 1000  # who it is in a user namespace, as in the image
NOBODY = 65534  # who root becomes where there is no such namespace


@dataclass(frozen=True)
class Isolation:
    """What was taken: `offline` is whether no network is reached, `ordinary` whether mode bits bind.

    `becomes` is the user that a child must become for that, None where all of this process's children are.
    """

    offline: bool
    ordinary: bool
    becomes: int | None = None


def isolate(network: bool, reads: Sequence[Path], writes: Path) -> Isolation:
    """Take from this process what can be taken, before it has threads; with `network` it keeps that.

    A user without rights must be able to reach what it `reads`; it becomes the owner of the folder `writes`.
    """
    flags = next(flags for flags in _ways(network) if _succeeds(partial(_enter, flags)))
    _enter(flags)
    offline, own_user = bool(flags & CLONE_NEWNET), bool(flags & CLONE_NEWUSER)
    if own_user or os.geteuid() != 0:
        return Isolation(offline, ordinary=True)
    _give(writes, NOBODY)
    if _succeeds(partial(_reach_as, NOBODY, [*reads, writes])):
        return Isolation(offline, ordinary=True, becomes=NOBODY)
    return Isolation(offline, ordinary=False)


def become(user: int) -> None:
    """Give up root for this user, for good."""
    os.setgroups([])
    os.setgid(user)
    os.setuid(user)


def die_with_parent(number: int, parent: int) -> None:
    """Have this process sent the signal when its parent, which was `parent`, ends. Linux alone."""
    _prctl(PR_SET_PDEATHSIG, number)
    if os.getppid() != parent:
        os.kill(os.getpid(), number)


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent ends. Linux alone."""
    _prctl(PR_SET_CHILD_SUBREAPER, 1)


def end_children() -> None:
    """Kill every descendant: a dead one's children become ours, so it is done when there are none.

    Nothing is done where no /proc shows them (macOS).
    """
    while Path("/proc/self/stat").exists():
        for pid in _children():
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        try:
            os.wait()
        except ChildProcessError:
            return


def _children() -> list[int]:
    found, me = [], os.getpid()
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, IndexError):
            if int((entry / "stat").read_bytes().rpartition(b")")[2].split()[1]) == me:
                found.append(int(entry.name))
    return found


def _ways(network: bool) -> list[int]:
    """What to try, the best first; the last is nothing, which always succeeds."""
    if sys.platform != "linux":
        return [0]
    alone = [] if network else [CLONE_NEWUSER | CLONE_NEWNET]
    as_root = [CLONE_NEWNET] if os.geteuid() == 0 and not network else []
    return [*alone, *as_root, CLONE_NEWUSER, 0]


def _enter(flags: int) -> None:
    """Raises OSError where the machine forbids it; this process is then of no more use."""
    user, group = os.geteuid(), os.getegid()
    if flags and _libc().unshare(flags) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    if flags & CLONE_NEWUSER:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{USER} {user} 1")
        Path("/proc/self/gid_map").write_text(f"{USER} {group} 1")
    if flags & CLONE_NEWNET:
        _raise_loopback()


def _raise_loopback() -> None:
    """A new network has one interface, which is down: the container itself is asked on it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack("16sH22x", b"lo", 0)
        flags = struct.unpack("16sH22x", fcntl.ioctl(any_socket, SIOCGIFFLAGS, request))[1]
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sH22x", b"lo", flags | IFF_UP))


def _succeeds(attempt: Callable[[], None]) -> bool:
    """Whether a child of this process can do it: an attempt that fails half-way spoils the process."""
    pid = os.fork()
    if pid == 0:
        try:
            attempt()
        except OSError:
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def _reach_as(user: int, paths: Sequence[Path]) -> None:
    become(user)
    for path in paths:
        path.stat()


def _give(folder: Path, user: int) -> None:
    for path in (folder, *folder.rglob("*")):
        os.chown(path, user, user)


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        _libc().prctl(option, value, 0, 0, 0)


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
