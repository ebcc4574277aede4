"""The one port of the local cloud, on 127.0.0.1 alone; and who has it when it is taken."""

from __future__ import annotations

import contextlib
import errno
import socket
from pathlib import Path

ADDRESS = "127.0.0.1"
_LISTEN = "0A"  # the state's number in /proc/net/tcp


class PortTaken(OSError):
    """Another process listens on the port; the message says which, if that can be known, and what to do."""


def listen(port: int) -> socket.socket:
    """A socket that listens on that port of 127.0.0.1, or on a free one for 0. Raises PortTaken."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    # An answer's head and body are two writes: without this the second waits 40 ms for the first's receipt.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    # For a port that a daemon of a moment ago has left in TIME_WAIT.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((ADDRESS, port))
        listener.listen(1024)
    except (OSError, OverflowError) as error:
        listener.close()
        if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
            raise PortTaken(_taken(port)) from error
        raise OSError(f"cannot listen on port {port} of {ADDRESS} (SLIPWAY_LOCAL_PORT): {error}") from error
    return listener


def _taken(port: int) -> str:
    holder = _holder(port)
    by = f"is taken by {holder}" if holder else "is taken by another process"
    advice = "stop it, or set SLIPWAY_LOCAL_PORT to another port (0 takes any free one)"
    return f"port {port} of {ADDRESS} {by}: {advice}"


def _holder(port: int) -> str:
    """The process that listens on the port, "" where that cannot be seen (another user's, or not Linux)."""
    wanted = {f"socket:[{inode}]" for inode in _listening_inodes(port)}
    for descriptor in Path("/proc").glob("[0-9]*/fd/*") if wanted else []:
        with contextlib.suppress(OSError):
            if str(descriptor.readlink()) in wanted:
                process = descriptor.parents[1]
                words = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
                return f"process {process.name} ({words.strip()[:80]})"
    return ""


def _listening_inodes(port: int) -> list[str]:
    """The sockets that listen on the port, by inode. Source: proc(5), /proc/net/tcp."""
    found = []
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError):
            for line in Path(table).read_text().splitlines()[1:]:
                columns = line.split()
                if columns[3] == _LISTEN and int(columns[1].rpartition(":")[2], 16) == port:
                    found.append(columns[9])
    return found
