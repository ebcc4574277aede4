"""What /metrics shows, in Prometheus' text form: requests by status, and the phases of every one of them."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from inference.serving.predictor import Phases

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
PHASES = ("decode", "queue", "preprocess", "predict", "postprocess", "encode")
# Seconds: from what a tiny model takes to what a cloud allows one invocation.
_BUCKETS = (
    0.0001,
    0.00025,
    0.0005,
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1,
    2.5,
    5,
    10,
    30,
    60,
)


class Metrics:
    """Counters of one server, in a registry of their own: the handler may use prometheus_client as well."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        seconds = Histogram(
            "slipway_phase_seconds",
            "Time that requests spent in each phase of an answer.",
            ["phase"],
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self._phases = {phase: seconds.labels(phase) for phase in PHASES}
        self._requests = Counter(
            "slipway_requests",
            "Requests to the predict route, by HTTP status (499: the client left before its answer).",
            ["status"],
            registry=self.registry,
        )

    def gauge(self, name: str, text: str, value: Callable[[], float]) -> None:
        """Show a value that is asked for when somebody looks."""
        Gauge(f"slipway_{name}", text, registry=self.registry).set_function(value)

    def observe(self, phases: Phases) -> None:
        """Keep the phases that a request went through."""
        for phase, seconds in phases.items():
            self._phases[phase].observe(seconds)

    def count(self, status: int) -> None:
        """Keep a request's status."""
        self._requests.labels(str(status)).inc()

    def text(self) -> bytes:
        """Everything, as Prometheus reads it."""
        return generate_latest(self.registry)
