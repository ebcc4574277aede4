"""The container, as a process: started, asked until it is healthy, asked the samples, and stopped.

What the platform asks of it: /ping answered within 2 s, healthy within 8 minutes, an end within 30 s.
Source: docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html
"""

from __future__ import annotations

import http.client
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from deploy.checking import contracts
from deploy.checking.contracts import Ask, Reply
from deploy.checking.isolation import Isolation, become, die_with_parent, end_children

HEALTHY_WITHIN_S, PING_WITHIN_S, INVOCATION_S, END_WITHIN_S = 480, 2.0, 60.0, 30.0
LISTENING_WITHIN_S = 60
_ADDRESS = re.compile(r"slipway: listening on http://(.+):([0-9]+)$")
_KEPT = 2000  # lines of what it prints
_BETWEEN_S = 0.05
# Times that a sample is asked again: what one of several processes keeps between requests shows late.
_AGAIN = 3


@dataclass(frozen=True)
class Start:
    """What to start: its Python, where, with which variables, and the rights it has."""

    python: Path
    work: Path
    environment: Mapping[str, str]
    isolation: Isolation


class Container:
    """A serving process, and what it has printed so far."""

    def __init__(self, start: Start) -> None:
        me, user = os.getpid(), start.isolation.becomes

        def before() -> None:
            if user is not None:
                become(user)
            die_with_parent(signal.SIGKILL, me)

        # As no other thread is there yet, nothing can hold a lock in the child.
        self._process = subprocess.Popen(
            [str(start.python), "-m", "inference.serving", "serve"],
            cwd=start.work,
            env=dict(start.environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            preexec_fn=before,  # noqa: PLW1509
            start_new_session=True,
        )
        self.printed: list[str] = []
        self._address: tuple[str, int] | None = None
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def status(self) -> int | None:
        """Its exit status, once it has ended."""
        return self._process.poll()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            text = line.decode("utf-8", "replace").rstrip("\n")
            if self._address is None and (found := _ADDRESS.match(text)):
                self._address = found[1], int(found[2])
            self.printed.append(text)
            del self.printed[:-_KEPT]

    def healthy_after(self) -> float | None:
        """The seconds until /ping says 200; None where it ended, or did not in time."""
        start = time.monotonic()
        while self.status is None and time.monotonic() - start < HEALTHY_WITHIN_S:
            if self._address is None and time.monotonic() - start > LISTENING_WITHIN_S:
                return None
            if self._address is not None and self._pings():
                return time.monotonic() - start
            time.sleep(_BETWEEN_S)
        return None

    def _pings(self) -> bool:
        try:
            return self._asked("GET", "/ping", PING_WITHIN_S).status == 200
        except (OSError, http.client.HTTPException):
            return False

    def answer(self, ask: Ask) -> Reply:
        """The answer to POST /invocations; of a connection that breaks or is too slow, status 0 and why."""
        try:
            return self._asked("POST", "/invocations", INVOCATION_S, ask)
        except (OSError, http.client.HTTPException) as error:
            return Reply(0, "", f"{type(error).__name__}: {error}")

    def _asked(self, method: str, path: str, seconds: float, ask: Ask | None = None) -> Reply:
        assert self._address is not None
        connection = http.client.HTTPConnection(*self._address, timeout=seconds)
        try:
            headers = {"Content-Type": ask.content_type} if ask else {}
            connection.request(method, path, ask.body if ask else None, headers)
            answer = connection.getresponse()
            body = answer.read().decode("utf-8", "replace")
            return Reply(answer.status, answer.getheader("Content-Type", ""), body)
        finally:
            connection.close()

    def stop(self) -> float | None:
        """The seconds that it took to end after SIGTERM; None where it had to be killed."""
        start = time.monotonic()
        self._process.terminate()
        try:
            self._process.wait(END_WITHIN_S)
            return time.monotonic() - start
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            return None

    def drain(self) -> None:
        """Wait until all that it printed was read. All that could print is to have ended before."""
        self._reader.join(5)


@dataclass(frozen=True)
class Asked:
    """One sample's answers, SageMaker's and Vertex AI's in turns: several of the first sample, and of one
    that is not answered alike."""

    number: int
    replies: tuple[Reply, ...]


@dataclass
class Outcome:
    """All that was seen of a container. Times in seconds; `status` where it ended by itself."""

    isolation: Isolation
    healthy_s: float | None = None
    status: int | None = None
    asked: list[Asked] = field(default_factory=list)
    stopped_s: float | None = None
    printed: list[str] = field(default_factory=list)


def tried(start: Start, samples: Sequence[bytes], old: bool, say: Callable[[str], None]) -> Outcome:
    """Start the container, ask it every sample as both clouds would, and stop it."""
    outcome = Outcome(start.isolation)
    container = Container(start)
    try:
        say("waits for /ping")
        outcome.healthy_s = container.healthy_after()
        for number, sample in enumerate(samples if outcome.healthy_s is not None else (), 1):
            say(f"sample {number} of {len(samples)}")
            outcome.asked.append(Asked(number, _replies(container, contracts.asks(sample, old), number == 1)))
        outcome.status = container.status
    finally:
        outcome.stopped_s = container.stop()
        end_children()  # what it left would hold its output open
    container.drain()
    outcome.printed = container.printed
    return outcome


def _replies(container: Container, asks: tuple[Ask, Ask], several: bool) -> tuple[Reply, ...]:
    replies = [container.answer(ask) for ask in asks]
    if several or contracts.difference(*replies):
        replies += [container.answer(ask) for _ in range(_AGAIN) for ask in asks]
    return tuple(replies)
