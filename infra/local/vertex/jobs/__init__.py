"""Jobs of the local Vertex AI: batch predictions, custom jobs and training pipelines."""

from __future__ import annotations

from infra.local.vertex.api import Route, Vertex
from infra.local.vertex.jobs.batches import Batches
from infra.local.vertex.jobs.customs import Customs
from infra.local.vertex.jobs.pipelines import Pipelines
from infra.local.vertex.models import Models


class Jobs:
    """Every kind of job."""

    def __init__(self, vertex: Vertex, models: Models) -> None:
        self._batches = Batches(vertex, models)
        self._customs = Customs(vertex)
        self._pipelines = Pipelines(vertex, models, self._customs)

    @property
    def routes(self) -> tuple[Route, ...]:
        """What answers which path."""
        return (*self._batches.routes, *self._customs.routes, *self._pipelines.routes)

    def close(self, timeout_s: float) -> None:
        """Cancels every job and waits until its processes are gone."""
        for book in (self._pipelines.book, self._customs.book, self._batches.book):
            book.close(timeout_s)
