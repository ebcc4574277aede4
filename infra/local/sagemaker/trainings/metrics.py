"""Metrics out of a log, by regular expression: the last value of each.

An expression may take for ever on a line, and Python lets no other thread run meanwhile: they are looked for
in a process of their own, `finder.py`.
Source: API_MetricDefinition, and SageMaker's developer guide, training-metrics.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

PROGRAM = Path(__file__).with_name("finder.py")
CLOSE_S = 10.0  # for the lines that are still to be looked at
GIVEN_UP = "metric {name!r}: its expression takes too long on a line, and is not looked for any more"


@dataclass(frozen=True)
class Definition:
    """A metric's name and the expression that finds its value in a line of the log."""

    name: str
    regex: str


@dataclass(frozen=True)
class Reading:
    """A metric's value and when it was seen, epoch seconds."""

    value: float
    seen: float


def definitions(given: Iterable[Mapping[str, str]]) -> tuple[Definition, ...]:
    """The request's MetricDefinitions. Raises ValueError, which names the metric, for an expression."""
    found = []
    for one in given:
        try:
            re.compile(one["Regex"])
        except (re.error, OverflowError, RecursionError) as error:
            raise ValueError(
                f"{one['Name']!r}: {one['Regex']!r} is no regular expression: {error}"
            ) from error
        found.append(Definition(one["Name"], one["Regex"]))
    return tuple(found)


class Finder:
    """Looks for metrics, line by line. `look` and `close` may be called from different threads."""

    def __init__(
        self,
        wanted: Iterable[Definition],
        take: Callable[[Mapping[str, Reading]], None],
        say: Callable[[str], None],
    ) -> None:
        """`take` gets what a line has, `say` a sentence for each expression that is given up."""
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(PROGRAM)],
            env={},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C in the terminal is not for it
        )
        assert self._process.stdin
        assert self._process.stdout
        self._stdin, self._stdout = self._process.stdin, self._process.stdout
        self._turn = threading.Lock()
        self._thread = threading.Thread(target=self._listen, args=(take, say), name="metrics", daemon=True)
        self._thread.start()
        self._write([[one.name, one.regex] for one in wanted])

    def look(self, line: str) -> None:
        """Takes one line of the log; what it has is told soon."""
        with self._turn:
            self._write(line)

    def close(self) -> None:
        """Returns when every line was looked at, or seconds have passed; later ones are dropped."""
        if not self._turn.acquire(timeout=CLOSE_S):
            self._process.kill()  # which ends the `look` that waits for it
            self._turn.acquire()
        with suppress(OSError):
            self._stdin.close()
        self._turn.release()
        try:
            self._process.wait(CLOSE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._thread.join()
        self._stdout.close()

    def _write(self, said: object) -> None:
        with suppress(OSError, ValueError):  # it has ended
            self._stdin.write(json.dumps(said).encode() + b"\n")
            self._stdin.flush()

    def _listen(self, take: Callable[[Mapping[str, Reading]], None], say: Callable[[str], None]) -> None:
        for line in self._stdout:
            said = json.loads(line)
            if "slow" in said:
                say(GIVEN_UP.format(name=said["slow"]))
            else:
                take({name: Reading(value, time.time()) for name, value in said["found"].items()})
