"""What a TorchServe handler measures by context.metrics: one number kept for each, and logged as INFO."""

from __future__ import annotations

import logging
from enum import Enum
from typing import Any

_LOGGER = logging.getLogger("ts.metrics")
# A metric's name, its unit, and its dimensions as "Name:value".
Key = tuple[str, str, tuple[str, ...]]


class MetricTypes(Enum):
    """How a metric's values add up."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Dimension:
    """A name and a value that tell metrics of the same name apart."""

    def __init__(self, name: str, value: Any) -> None:
        self.name = name
        self.value = value

    def __str__(self) -> str:
        return f"{self.name}:{self.value}"


class Metric:
    """One metric, as add_metric_to_cache makes it."""

    def __init__(self, store: Metrics, name: str, unit: str, dimension_names: list[str]) -> None:
        self._store = store
        self.metric_name = name
        self.unit = unit
        self.dimension_names = dimension_names
        self.metric_type = MetricTypes.COUNTER

    def add_or_update(
        self, value: float, dimension_values: list[Any] | None = None, request_id: str = ""
    ) -> None:
        pairs = zip(self.dimension_names, dimension_values or [], strict=False)
        self._store.record(self, value, [Dimension(name, given) for name, given in pairs])

    def update(self, value: float, request_id: str = "", dimensions: list[Dimension] | None = None) -> None:
        self._store.record(self, value, dimensions or [])


class Metrics:
    """A model's metrics. `latest` has a counter's sum and any other's last value."""

    def __init__(self, model_name: str = "") -> None:
        self.model_name = model_name
        self.request_ids: dict[int, str] | None = None
        self.latest: dict[Key, float] = {}
        self._metrics: dict[tuple[MetricTypes, str], Metric] = {}

    def record(self, metric: Metric, value: float, dimensions: list[Dimension]) -> None:
        """Take a value. One that is no number, or a counter's below zero, is logged and dropped."""
        key = (metric.metric_name, metric.unit, tuple(map(str, dimensions)))
        counts = metric.metric_type is MetricTypes.COUNTER
        if not isinstance(value, int | float) or (counts and value < 0):
            _LOGGER.error("metric %s: %r is no value for a %s", key[0], value, metric.metric_type.value)
            return
        self.latest[key] = self.latest.get(key, 0.0) + value if counts else value
        _LOGGER.info("[METRICS]%s.%s:%s|#%s", key[0], key[1], value, ",".join(key[2]))

    def add_metric_to_cache(
        self,
        metric_name: str,
        unit: str,
        dimension_names: list[str] | None = None,
        metric_type: MetricTypes = MetricTypes.COUNTER,
    ) -> Metric:
        metric = Metric(self, metric_name, unit, list(dimension_names or []))
        metric.metric_type = metric_type
        self._metrics[metric_type, metric_name] = metric
        return metric

    def get_metric(self, metric_name: str, metric_type: MetricTypes = MetricTypes.COUNTER) -> Metric:
        return self._metrics[metric_type, metric_name]

    def add_metric(  # noqa: PLR0913 - this and the five below are TorchServe's own signatures
        self,
        name: str,
        value: float,
        unit: str,
        idx: Any = None,
        dimensions: list[Dimension] | None = None,
        metric_type: MetricTypes = MetricTypes.COUNTER,
    ) -> None:
        metric = self._metrics.get((metric_type, name)) or self.add_metric_to_cache(
            name, unit, metric_type=metric_type
        )
        own = [Dimension("ModelName", self.model_name), Dimension("Level", "Model")]
        self.record(metric, value, [*(dimensions or []), *own])

    def add_counter(
        self, name: str, value: float, idx: Any = None, dimensions: list[Dimension] | None = None
    ) -> None:
        self.add_metric(name, value, "count", idx, dimensions)

    def add_time(  # noqa: PLR0913
        self,
        name: str,
        value: float,
        idx: Any = None,
        unit: str = "ms",
        dimensions: list[Dimension] | None = None,
        metric_type: MetricTypes = MetricTypes.GAUGE,
    ) -> None:
        _check_unit(unit, ("ms", "s"))
        self.add_metric(name, value, unit, idx, dimensions, metric_type)

    def add_size(  # noqa: PLR0913
        self,
        name: str,
        value: float,
        idx: Any = None,
        unit: str = "MB",
        dimensions: list[Dimension] | None = None,
        metric_type: MetricTypes = MetricTypes.GAUGE,
    ) -> None:
        _check_unit(unit, ("MB", "kB", "GB", "B"))
        self.add_metric(name, value, unit, idx, dimensions, metric_type)

    def add_percent(  # noqa: PLR0913
        self,
        name: str,
        value: float,
        idx: Any = None,
        dimensions: list[Dimension] | None = None,
        metric_type: MetricTypes = MetricTypes.GAUGE,
    ) -> None:
        self.add_metric(name, value, "percent", idx, dimensions, metric_type)

    def add_error(self, name: str, value: Any, dimensions: list[Dimension] | None = None) -> None:
        self.add_metric(name, value, "", None, [*(dimensions or []), Dimension("Level", "Error")])


def _check_unit(unit: str, expected: tuple[str, ...]) -> None:
    if unit not in expected:
        raise ValueError(f"unit {unit!r}: expected one of {', '.join(expected)}")
