"""Keeps a program on this machine: a connection to anywhere else fails, and is remembered in AWAY.

Imported before the SDK, which is what it watches.
"""

import socket
from typing import Any

AWAY: list[Any] = []
_connect = socket.socket.connect


def connect(self: socket.socket, address: Any) -> None:
    """Refuses to leave this machine."""
    if self.family != socket.AF_UNIX and address[0] not in ("127.0.0.1", "::1"):
        AWAY.append(address)
        raise OSError(f"the test may not connect to {address}")
    _connect(self, address)


socket.socket.connect = connect  # type: ignore[method-assign]
