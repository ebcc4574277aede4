"""What serving containers of both clouds are alike in: requests taken and drained, health, environment."""

from __future__ import annotations

import http.client
import os
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable
from pathlib import Path

from infra.local.environments import SYSTEM_PATH
from infra.local.settings import Settings

# Before a container that ended is started again: at first, and at most.
RESTART_FIRST_S, RESTART_MOST_S = 0.2, 30.0


class Serving(ABC):
    """Counts the requests that are with a container, so that it can retire when they are answered.

    `_idle` guards what changes with the process, and `_closing` is set once there shall be none.
    """

    def __init__(self) -> None:
        self.healthy = False
        self.in_flight = 0
        self._idle = threading.Condition()
        self._closing = threading.Event()

    @abstractmethod
    def stop(self) -> None:
        """Ends the container; nothing of it is left but its log."""

    def enter(self) -> bool:
        """Takes a place for one request, to be given back with `leave`; False once the container retires."""
        with self._idle:
            if self._closing.is_set():
                return False
            self.in_flight += 1
            return True

    def leave(self) -> None:
        """Gives a request's place back."""
        with self._idle:
            self.in_flight -= 1
            self._idle.notify_all()

    def retire(self, drain_s: float) -> None:
        """Takes no new request, waits up to `drain_s` seconds for those in flight, and stops."""
        with self._idle:
            self._closing.set()
            self._idle.wait_for(lambda: self.in_flight == 0, drain_s)
        self.stop()


def stop_all(containers: Iterable[Serving], drain_s: float = 0.0) -> None:
    """Stops them side by side, each after its requests in flight or `drain_s` seconds, and waits."""
    threads = [threading.Thread(target=one.retire, args=(drain_s,), daemon=True) for one in containers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def answers(port: int, route: str, timeout_s: float) -> bool:
    """Whether GET on the route is answered with 200 within the time; anything else is a miss."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_s)
    began = time.monotonic()
    try:
        connection.request("GET", route)
        answer = connection.getresponse()
        answer.read()
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
    return answer.status == 200 and time.monotonic() - began <= timeout_s


def standard_environment(settings: Settings, place: Path) -> dict[str, str]:
    """What every container has, and nothing of the local cloud's own."""
    return {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), *SYSTEM_PATH]),
        "LANG": "C.UTF-8",
        "HOME": str(place / "home"),
        "TMPDIR": str(place / "tmp"),
        "SAGEMAKER_BASE_DIR": str(place / "opt" / "ml"),  # where the kit's runtime has the model
        "PYTHONPATH": str(settings.python_path),
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
