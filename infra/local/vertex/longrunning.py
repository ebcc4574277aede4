"""The routes of long-running operations, which are below a place or below a resource."""

from __future__ import annotations

import re

from infra.local.vertex import listing
from infra.local.vertex.api import Call, Json, Route, Vertex
from infra.local.vertex.errors import invalid
from infra.local.vertex.operations import WAIT_MOST_S

OWNERS = ("", "models/*/", "endpoints/*/", "customJobs/*/", "batchPredictionJobs/*/", "trainingPipelines/*/")
_SECONDS = re.compile(r"(\d+(?:\.\d+)?)s")


class LongRunning:
    """google.longrunning.Operations."""

    def __init__(self, vertex: Vertex) -> None:
        self._operations = vertex.operations

    @property
    def routes(self) -> tuple[Route, ...]:
        """What answers which path."""
        return tuple(
            Route(method, f"{owner}{shape}", handle)
            for owner in OWNERS
            for method, shape, handle in (
                ("GET", "operations", self.list_operations),
                ("GET", "operations/*", self.get),
                ("DELETE", "operations/*", self.delete),
                ("POST", "operations/*:cancel", self.cancel),
                ("POST", "operations/*:wait", self.wait),
            )
        )

    def get(self, call: Call) -> Json:
        """GetOperation."""
        return self._operations.find(call.name).described()

    def list_operations(self, call: Call) -> Json:
        """ListOperations."""
        return listing.page(self._operations.all_of(call.name), "operations", call.query)

    def delete(self, call: Call) -> Json:
        """DeleteOperation."""
        self._operations.forget(call.name)
        return {}

    def cancel(self, call: Call) -> Json:
        """CancelOperation."""
        self._operations.find(call.name).cancel()
        return {}

    def wait(self, call: Call) -> Json:
        """WaitOperation."""
        text = call.query.get("timeout", "") or str(call.body.get("timeout", ""))
        match = _SECONDS.fullmatch(text) if text else None
        if text and not match:
            raise invalid(f"{text!r} is no duration, such as 3.5s.", "timeout")
        return self._operations.wait(call.name, float(match[1]) if match else WAIT_MOST_S)
