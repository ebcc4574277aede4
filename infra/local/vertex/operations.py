"""Long-running operations: work in a thread, asked after, waited for, cancelled.

Source: google.longrunning.Operations; api_core's client polls after 1, 1.5, 2.25 … seconds.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from infra.local.vertex.errors import GoogleError, as_rpc_status, not_found

Json = dict[str, Any]
TYPE = "type.googleapis.com/google.cloud.aiplatform.v1."
EMPTY = "type.googleapis.com/google.protobuf.Empty"
# What is done at once is answered as done, and its caller need not poll.
AT_ONCE_S = 0.05
WAIT_MOST_S = 60.0
_log = logging.getLogger(__name__)


def now() -> str:
    """The time as Google writes it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def new_id() -> str:
    """An id as the service makes them: 19 digits."""
    return str(10**18 + secrets.randbelow(8 * 10**18))


class Cancellable:
    """Work that may be asked to end: it looks at `cancelled`, calls `check`, or registers `on_cancel`."""

    def __init__(self, what: str) -> None:
        self.cancelled = threading.Event()
        self._what = what
        self._lock = threading.Lock()
        self._on_cancel: list[Callable[[], None]] = []

    def on_cancel(self, do: Callable[[], None]) -> None:
        """Calls `do` when the work is cancelled, at once if it is already."""
        with self._lock:
            self._on_cancel.append(do)
            late = self.cancelled.is_set()
        if late:
            do()

    def check(self) -> None:
        """Raises GoogleError CANCELLED once the work is cancelled."""
        if self.cancelled.is_set():
            raise GoogleError("CANCELLED", f"The {self._what} was cancelled.")


class Operation(Cancellable):
    """One operation, from its begin to its result."""

    def __init__(self, name: str, kind: str) -> None:
        super().__init__("operation")
        self.name = name
        self.done = threading.Event()
        self._kind = kind
        self._created = self._updated = now()
        self._result: Json = {}

    def cancel(self) -> None:
        """Asks the work to end; it may still come to a result."""
        with self._lock:
            if self.done.is_set():
                return
            self.cancelled.set()
            callbacks = list(self._on_cancel)
        for do in callbacks:
            do()

    def finish(self, result: Json) -> None:
        """Sets the result: {"response": …} or {"error": …}."""
        with self._lock:
            self._result, self._updated = result, now()
            self.done.set()

    def described(self) -> Json:
        """google.longrunning.Operation."""
        with self._lock:
            times = {"createTime": self._created, "updateTime": self._updated}
            metadata = {"@type": TYPE + self._kind + "OperationMetadata", "genericMetadata": times}
            done = {"done": True} if self.done.is_set() else {}
            return {"name": self.name, "metadata": metadata, **done, **self._result}


class Operations:
    """Every operation of the service."""

    def __init__(self) -> None:
        self._all: dict[str, Operation] = {}
        self._threads: list[threading.Thread] = []

    def begin(self, owner: str, kind: str, work: Callable[[Operation], Json], answer: str = "") -> Json:
        """Starts `work` in a thread and describes the operation, which may be done already.

        `owner` is the place or resource below which it is named, `kind` the method (`DeployModel`), `answer`
        the message that `work` returns as JSON (`DeployModelResponse`), "" for none. Work that raises
        GoogleError fails the operation with it.
        """
        operation = Operation(f"{owner}/operations/{new_id()}", kind)
        self._all[operation.name] = operation
        thread = threading.Thread(target=_run, args=(operation, work, answer), name=kind, daemon=True)
        self._threads = [one for one in self._threads if one.is_alive()] + [thread]
        thread.start()
        operation.done.wait(AT_ONCE_S)
        return operation.described()

    def find(self, name: str) -> Operation:
        """The operation of that name; raises GoogleError NOT_FOUND."""
        if name not in self._all:
            raise not_found(name)
        return self._all[name]

    def wait(self, name: str, timeout_s: float) -> Json:
        """Describes it when it is done, or after that time, a minute at most."""
        operation = self.find(name)
        operation.done.wait(min(timeout_s, WAIT_MOST_S))
        return operation.described()

    def forget(self, name: str) -> None:
        """Takes it off the list; raises GoogleError NOT_FOUND."""
        self.find(name)
        self._all.pop(name, None)

    def all_of(self, owner: str) -> list[Json]:
        """Those whose names begin with that place or resource, oldest first."""
        return [one.described() for name, one in list(self._all.items()) if name.startswith(f"{owner}/")]

    def close(self, timeout_s: float) -> None:
        """Cancels what runs and waits for it."""
        for operation in list(self._all.values()):
            operation.cancel()
        deadline = time.monotonic() + timeout_s
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))


def _run(operation: Operation, work: Callable[[Operation], Json], answer: str) -> None:
    try:
        made = work(operation)
        response = {"@type": TYPE + answer, **made} if answer else {"@type": EMPTY}
        operation.finish({"response": response})
    except GoogleError as error:
        operation.finish({"error": as_rpc_status(error)})
    except Exception as error:
        _log.exception("%s failed", operation.name)
        failure = GoogleError("INTERNAL", f"{type(error).__name__}: {error}")
        operation.finish({"error": as_rpc_status(failure)})
