"""How far a run is: one line that a terminal overwrites, or a line every few seconds in a log."""

from __future__ import annotations

import contextlib
import shutil
import sys
import time
from dataclasses import dataclass, field
from typing import TextIO

_TERMINAL_S = 0.1
_LOG_S = 5.0
_WIDTH = 24


@dataclass(eq=False)
class Progress:
    """Told what has been done of how much; writes to stderr. Sizes in bytes of the input as it lies there."""

    files: int
    size: int
    stream: TextIO = field(default_factory=lambda: sys.stderr)
    files_done: int = 0
    size_done: int = 0
    rows: int = 0
    _started: float = field(default_factory=time.monotonic)
    _shown: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        """Since it began."""
        return time.monotonic() - self._started

    def add(self, rows: int) -> None:
        """So many more records are done."""
        self.rows += rows
        now = time.monotonic()
        if now - self._shown < (_TERMINAL_S if self.stream.isatty() else _LOG_S):
            return
        self._shown = now
        text = line(self, self.seconds)
        if self.stream.isatty():
            columns = shutil.get_terminal_size().columns
            self._write("\r" + f"{_bar(self)} {text}"[: columns - 1].ljust(columns - 1))
        else:
            self._write(f"slipway: {text}\n")

    def clear(self) -> None:
        """Leave a terminal's line empty for what comes after."""
        if self.stream.isatty():
            self._write("\r" + " " * (shutil.get_terminal_size().columns - 1) + "\r")

    def _write(self, text: str) -> None:
        # A full disk or a closed pipe behind stderr must not stop the scoring.
        with contextlib.suppress(OSError, ValueError):
            self.stream.write(text)
            self.stream.flush()


def line(progress: Progress, seconds: float) -> str:
    """What has been done after so many seconds, how fast, and what that leaves."""
    text = f"{progress.files_done} of {progress.files} files, {progress.rows:,} records"
    if seconds <= 0 or not progress.size_done:
        return text
    left = seconds * (progress.size - progress.size_done) / progress.size_done
    return f"{text}, {progress.rows / seconds:,.0f}/s, {duration(left)} left"


def duration(seconds: float) -> str:
    """Seconds as people read them."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"


def _bar(progress: Progress) -> str:
    filled = min(_WIDTH * progress.size_done // max(progress.size, 1), _WIDTH)
    return f"[{'#' * filled}{'.' * (_WIDTH - filled)}]"
