"""The jobs of one kind: what each is like now, the thread that does its work, and its end.

Source: cloud.google.com/vertex-ai/docs/reference/rest/v1/JobState, and each kind's cancel and delete methods.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from infra.local.vertex import listing
from infra.local.vertex.api import Call, Json, Route, Vertex
from infra.local.vertex.errors import GoogleError, as_rpc_status
from infra.local.vertex.names import Place
from infra.local.vertex.operations import Cancellable, Operation, new_id, now
from infra.local.vertex.resources import Table

_FINAL = ("SUCCEEDED", "FAILED", "CANCELLED")
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Kind:
    """`customJobs`, one of which is a `CustomJob` whose states begin with `JOB_STATE_`."""

    collection: str
    message: str
    prefix: str = "JOB_STATE_"


class Run(Cancellable):
    """A job's work as its thread sees it. Its methods may be called from any thread."""

    def __init__(self, name: str, note: Callable[[Json], Json]) -> None:
        super().__init__("job")
        self.name = name
        self._note = note

    def note(self, **changes: Any) -> None:
        """Sets these fields of the job."""
        self._note(changes)

    def cancel(self) -> None:
        """Asks the work to end."""
        with self._lock:
            self.cancelled.set()
            callbacks, self._on_cancel = self._on_cancel, []
        for do in callbacks:
            threading.Thread(target=do, daemon=True).start()


# Does a job's work; a GoogleError that it raises is the job's failure.
Work = Callable[[Run], None]


class Book:
    """Every job of one kind. `begin` starts one; the routes ask after it and end it."""

    def __init__(self, vertex: Vertex, kind: Kind) -> None:
        self._vertex, self._kind = vertex, kind
        self._table = Table()
        self._runs: dict[str, tuple[Run, threading.Thread]] = {}

    @property
    def routes(self) -> tuple[Route, ...]:
        """What answers which path; how one is created is the kind's own."""
        collection = self._kind.collection
        return (
            Route("GET", collection, self.list),
            Route("GET", f"{collection}/*", self.get),
            Route("POST", f"{collection}/*:cancel", self.cancel),
            Route("DELETE", f"{collection}/*", self.delete),
        )

    def begin(self, place: Place, job: Json, work: Work) -> Json:
        """Adds the job, PENDING, and starts its work in a thread; returns it as it is described."""
        name = f"{place.name}/{self._kind.collection}/{new_id()}"
        created = self._table.add(name, {**job, "state": self._state("PENDING")})
        run = Run(name, lambda changes: self._change(name, changes))
        thread = threading.Thread(target=self._run, args=(run, work), name=name, daemon=True)
        self._runs[name] = (run, thread)
        thread.start()
        return _described(created)

    def find(self, name: str) -> Json:
        """The job as it is now. Raises GoogleError NOT_FOUND."""
        return _described(self._table.get(name))

    def get(self, call: Call) -> Json:
        """Get…Job."""
        return self.find(call.name)

    def list(self, call: Call) -> Json:
        """List…Jobs."""
        found = self._table.all_of(call.place.name, self._kind.collection)
        return listing.page([_described(one) for one in found], self._kind.collection, call.query)

    def cancel(self, call: Call) -> Json:
        """Cancel…Job: asks it to end and does not wait. A job that has ended is left as it is."""
        self.ask_to_end(call.name)
        return {}

    def delete(self, call: Call) -> Json:
        """Delete…Job: only one that has ended."""
        self._table.remove(call.name, self._check_ended)
        self._runs.pop(call.name, None)
        return self._vertex.operations.begin(call.place.name, "Delete", _nothing)

    def ask_to_end(self, name: str) -> None:
        """Cancels the job, unless it has ended. Raises GoogleError NOT_FOUND."""

        def cancelling(job: Json) -> Json:
            return job if self._ended(job) else {**job, "state": self._state("CANCELLING")}

        if not self._ended(self._table.change(name, cancelling)):
            self._runs[name][0].cancel()

    def wait(self, name: str) -> Json:
        """The job as it is at its end."""
        self._runs[name][1].join()
        return self.find(name)

    def close(self, timeout_s: float) -> None:
        """Cancels what runs and waits for it."""
        running = list(self._runs.values())
        for run, _ in running:
            run.cancel()
        deadline = time.monotonic() + timeout_s
        for _, thread in running:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _run(self, run: Run, work: Work) -> None:
        end: Json = {"state": self._state("SUCCEEDED")}
        try:
            self._change(run.name, {"state": self._state("RUNNING"), "startTime": now()})
            work(run)
            run.check()
        except GoogleError as error:
            state = "CANCELLED" if run.cancelled.is_set() else "FAILED"
            end = {"state": self._state(state), "error": as_rpc_status(error)}
        except Exception as error:
            _log.exception("%s failed", run.name)
            failure = GoogleError("INTERNAL", f"{type(error).__name__}: {error}")
            end = {"state": self._state("FAILED"), "error": as_rpc_status(failure)}
        self._change(run.name, {**end, "endTime": now()}, final=True)

    def _change(self, name: str, changes: Json, final: bool = False) -> Json:
        def edit(job: Json) -> Json:
            # A job that is cancelled before it ran is not RUNNING any more.
            kept = {} if final or job["state"] != self._state("CANCELLING") else {"state": job["state"]}
            return {**job, **changes, **kept}

        return self._table.change(name, edit)

    def _check_ended(self, job: Json) -> None:
        if not self._ended(job):
            text = f'{self._kind.message} "{job["name"]}" is in state {job["state"]}: cancel it first.'
            raise GoogleError("FAILED_PRECONDITION", text)

    def _ended(self, job: Json) -> bool:
        return bool(job["state"] in map(self._state, _FINAL))

    def _state(self, name: str) -> str:
        return self._kind.prefix + name


def _described(job: Json) -> Json:
    return {key: value for key, value in job.items() if key != "etag"}  # jobs have none


def _nothing(operation: Operation) -> Json:
    return {}
