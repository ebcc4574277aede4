"""The process that loads the model, seen from the one that starts it.

It is started before the rest of us is imported, and imports its own part meanwhile: so a start takes little
more than the handler's imports and its load. What it shall load it is told later, once that is checked.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from inference.serving.counting.board import Board
from inference.serving.settings import Settings, cores

# What the workers of an endpoint are for: see workers.Job.
ANSWERER = "inference.serving.online.answerer"
_KIT = Path(__file__).parents[3]
# Not as a module: what the handler spawns with multiprocessing would import that first, and not find it.
_WORKER = "import sys; from inference.serving.processes import worker; worker.run(sys.argv[1:])"
_END_S = 5.0


@dataclass(eq=False)
class Loader:
    """The process, and the socket on which it is told what to do."""

    process: subprocess.Popen[bytes]
    control: socket.socket

    def end(self, at_once: bool) -> None:
        """End it and all that it forked: it does so itself when the socket closes, or is killed."""
        self.control.close()
        if at_once:
            self.process.kill()
        try:
            self.process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@dataclass(frozen=True)
class Begun:
    """An endpoint's first steps: the board of its workers, and their loader."""

    board: Board
    loader: Loader


def begin(settings: Settings, listening: socket.socket) -> Begun:
    """Make the board, one slot for each worker and one for their supervisor, and start the loader."""
    board = Board((settings.workers or cores()) + 1)
    return Begun(board, started(ANSWERER, (listening.fileno(), board.fd)))


def started(task: str, fds: tuple[int, ...]) -> Loader:
    """A loader that imports the task and waits to be told more; it has these file descriptors."""
    ours, theirs = socket.socketpair()
    path = os.pathsep.join(filter(None, [str(_KIT), os.environ.get("PYTHONPATH")]))
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-P", "-c", _WORKER, str(theirs.fileno()), task],
            env={**os.environ, "PYTHONPATH": path},
            pass_fds=[theirs.fileno(), *fds],
            stdin=subprocess.DEVNULL,
        )
    return Loader(process, ours)
