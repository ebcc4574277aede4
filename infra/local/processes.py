"""A container's command as a process: its output by the line, its end, and the end of its whole tree.

Between the local cloud and the command sits `pid1.py`, as an init does in a container: when the local cloud
dies, however it dies, the pipe to it closes and the command and all its descendants are ended.
"""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

PID1 = Path(__file__).with_name("pid1.py")
LINE_BYTES = 200_000  # a CloudWatch event holds 256 KB; a longer line is cut into several
_TERMINATE, _KILL = b"T", b"K"  # the words that pid1 knows
_DRAIN_S = 5.0  # for what is left in the pipe once every writer is dead


@dataclass(frozen=True)
class Command:
    """What to run.

    `env` is the whole environment, though Python adds LC_CTYPE where it names no locale.
    """

    argv: tuple[str, ...]
    env: Mapping[str, str]
    cwd: Path
    name: str


class Process:
    """A command that `start` started. Its methods may be called from any thread."""

    def __init__(
        self, popen: subprocess.Popen[bytes], pump: threading.Thread, on_line: Callable[[str], None]
    ) -> None:
        self._popen = popen
        self._pump = pump
        self._on_line = on_line
        self._control = threading.Lock()

    @property
    def pid(self) -> int:
        """The process that stands for the container: its end is the container's end."""
        return self._popen.pid

    def poll(self) -> int | None:
        """The exit status (negative: the signal that ended it), None while it runs."""
        return self._popen.poll()

    def wait(self, timeout: float | None = None) -> int | None:
        """Waits for the end and returns the exit status, None if `timeout` seconds pass first.

        Once it returned a status, every line of output has been given to `on_line`.
        """
        try:
            status = self._popen.wait(timeout)
        except subprocess.TimeoutExpired:
            return None
        self._pump.join(_DRAIN_S)
        self._close()
        return status

    def stop(self, grace_s: float) -> int:
        """SIGTERM to the command, SIGKILL to its whole tree `grace_s` seconds later, and waits for the end.

        Returns the exit status; one that had to be killed is told in the last line of its output. Harmless on
        a process that has ended.
        """
        self._say(_TERMINATE)
        status = self.wait(grace_s)
        if status is not None:
            return status
        while status is None:
            self._say(_KILL)
            status = self.wait(_DRAIN_S)
        self._on_line(f"did not end within {grace_s:g} s of SIGTERM: it was killed")
        return status

    def _say(self, word: bytes) -> None:
        with self._control, contextlib.suppress(OSError, ValueError):  # it has ended, or said so already
            assert self._popen.stdin is not None
            self._popen.stdin.write(word)

    def _close(self) -> None:
        with self._control, contextlib.suppress(OSError):
            assert self._popen.stdin is not None
            self._popen.stdin.close()


def start(command: Command, on_line: Callable[[str], None]) -> Process:
    """Starts the command, standard input empty, and gives each line of its output to `on_line`.

    `on_line` is called in one thread, in order, without the newline; bytes that are not UTF-8 become U+FFFD.
    A command that cannot be run says so in its output and exits 127.
    """
    popen = subprocess.Popen(
        [sys.executable, "-I", "-S", str(PID1), *command.argv],
        env=dict(command.env),
        cwd=command.cwd,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        bufsize=0,
        start_new_session=True,  # Ctrl-C in the terminal is not for containers
    )
    pump = threading.Thread(
        target=_pump, args=(popen, on_line), name=f"output of {command.name}", daemon=True
    )
    pump.start()
    return Process(popen, pump, on_line)


def free_port() -> int:
    """A port of 127.0.0.1 that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _pump(popen: subprocess.Popen[bytes], on_line: Callable[[str], None]) -> None:
    assert popen.stdout is not None
    with popen.stdout:
        for line in _lines(popen.stdout):
            on_line(line.decode("utf-8", "replace"))


def _lines(pipe: IO[bytes]) -> Iterator[bytes]:
    rest = b""
    while chunk := pipe.read(65536):
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            yield from _pieces(line.rstrip(b"\r"))
        while len(rest) > LINE_BYTES:
            yield rest[:LINE_BYTES]
            rest = rest[LINE_BYTES:]
    if rest:
        yield from _pieces(rest)


def _pieces(line: bytes) -> Iterator[bytes]:
    yield line[:LINE_BYTES]
    for at in range(LINE_BYTES, len(line), LINE_BYTES):
        yield line[at : at + LINE_BYTES]
