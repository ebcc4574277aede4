"""pip, run on an environment that has none of its own: what it does, and why it failed."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from deploy.target import Say

SHOWN = 12  # lines of its complaint
# What would lead pip out of the environment.
_ASTRAY = {
    *("PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_USER", "PIP_PYTHON", "PIP_SRC", "PIP_REQUIRE_VIRTUALENV"),
    "PYTHONPATH",
}
_STATE = re.compile(r"\s*(Collecting|Downloading|Building wheel for|Installing collected packages:) ?(.*)")
_VERBS = {
    "Collecting": "finding",
    "Downloading": "downloading",
    "Building wheel for": "building",
    "Installing collected packages:": "installing",
}


class Failed(Exception):
    """Something could not be installed; the message holds pip's own lines."""


def install(python: Path, constraints: Path, what: Sequence[str], say: Say) -> None:
    """Install into the environment of this Python. Raises Failed; Ctrl-C ends pip, too."""
    if what:
        run(python, ["install", "--progress-bar", "off", "-c", str(constraints), *what], say)


def run(python: Path, words: Sequence[str], say: Say) -> None:
    """pip with these words. Raises Failed."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input"]
    with subprocess.Popen(
        [*command, "--python", str(python), *words],
        env=_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,  # pip runs itself anew with the other Python: both are ended together
    ) as process:
        assert process.stdout is not None
        try:
            lines = [_told(line.rstrip("\n"), say) for line in process.stdout]
            status = process.wait()
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise
    if status:
        raise Failed("\n".join(complaint(lines)))


def _told(line: str, say: Say) -> str:
    if state := _STATE.match(line):
        what = Path(state[2].split(" (")[0]).name if state[1] == "Downloading" else state[2].split(" (")[0]
        say(f"{_VERBS[state[1]]} {what}"[:60])
    return line


def complaint(lines: Sequence[str]) -> list[str]:
    """What pip has to say of a failure: its errors, each with what stands below it, else the last lines."""
    first = next((n for n, line in enumerate(lines) if line.lstrip().lower().startswith("error:")), None)
    told = lines[first:] if first is not None else lines[-SHOWN:]
    return [line for line in told if line.strip() and not line.startswith("WARNING: ")][:SHOWN]


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in _ASTRAY}
