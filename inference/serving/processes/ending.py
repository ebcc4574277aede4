"""The end of a process that runs the handler."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import Any, NoReturn


def leave(status: int) -> NoReturn:
    """End now, past Python's own exit, which would wait for the handler's threads; and with it the processes
    that the handler has started with multiprocessing, as Python's own exit would."""
    multiprocessing: Any = sys.modules.get("multiprocessing")
    if multiprocessing is not None:
        with contextlib.suppress(Exception):  # of those that are another process's children
            for child in multiprocessing.active_children():
                child.terminate()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):  # the handler may have closed it, or put something else there
            stream.flush()
    os._exit(status)
