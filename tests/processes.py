"""What a process and its descendants have open, as the system tells it."""

from __future__ import annotations

import contextlib
import socket
import struct
from pathlib import Path

PAGE = 4096
LISTEN = "0A"  # Source: proc(5), /proc/net/tcp


def family(pid: int) -> list[int]:
    """The process and all that descend from it."""
    children: dict[int, list[int]] = {}
    for place in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parent = int((place / "stat").read_text().rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(place.name))
    found = [pid]
    for one in found:
        found += children.get(one, [])
    return found


def resident(pid: int) -> int:
    """Bytes of memory of the process and its descendants; what they share counts for each."""
    total = 0
    for one in family(pid):
        with contextlib.suppress(OSError):
            total += int(Path(f"/proc/{one}/statm").read_text().split()[1]) * PAGE
    return total


def listening(pid: int) -> set[tuple[str, int]]:
    """The addresses and ports at which the process or a descendant listens."""
    inodes = set()
    for one in family(pid):
        with contextlib.suppress(OSError):
            for descriptor in Path(f"/proc/{one}/fd").iterdir():
                with contextlib.suppress(OSError):
                    inodes.add(str(descriptor.readlink()).removeprefix("socket:[").removesuffix("]"))
    found = set()
    for table, kind in (("tcp", socket.AF_INET), ("tcp6", socket.AF_INET6)):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            columns = line.split()
            if columns[3] == LISTEN and columns[9] in inodes:
                address, _, port = columns[1].rpartition(":")
                # Words of four bytes, each in the machine's own order.
                words = [int(address[at : at + 8], 16) for at in range(0, len(address), 8)]
                found.add((socket.inet_ntop(kind, struct.pack(f"={len(words)}I", *words)), int(port, 16)))
    return found
