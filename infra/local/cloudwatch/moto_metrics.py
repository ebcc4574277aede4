"""The account's metrics and alarms where moto keeps them: read and written there, for every SDK to see.

moto is asked directly and not over HTTP: an endpoint under load publishes many times a second.
"""

from __future__ import annotations

import time
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from moto.cloudwatch import models
from moto.cloudwatch.models import Dimension, MetricAggregatedDatum, MetricDatum, cloudwatch_backends

from infra.local.cloudwatch.samples import Gathered, Metric, Sample


@dataclass(frozen=True)
class Place:
    """Whose metrics, and where."""

    account: str
    region: str


class Datum(MetricAggregatedDatum):
    """moto's record of gathered measurements, with each of them for the percentiles."""

    values: array[float]

    def filter(self, namespace: Any, name: Any, dimensions: Any, already_present_metrics: Any = None) -> bool:
        """As moto's, but statistics are of the metric with exactly these dimensions.

        moto takes every metric that has them among its own. Source: CloudWatch, "Dimensions".
        """
        is_for_statistics = dimensions and already_present_metrics is None
        if is_for_statistics and len(dimensions) != len(self.dimensions):
            return False
        found: bool = super().filter(namespace, name, dimensions, already_present_metrics)
        return found


def put(place: Place, metric: Metric, unit: str, gathered: Gathered) -> None:
    """Keeps the measurements as of now."""
    dimensions = [{"Name": name, "Value": value} for name, value in metric.dimensions]
    datum = Datum(
        namespace=metric.namespace,
        name=metric.name,
        min_stat=gathered.least,
        max_stat=gathered.most,
        sample_count=gathered.count,
        sum_stat=gathered.total,
        dimensions=dimensions,
        timestamp=_utc_now(),
        unit=unit,
    )
    datum.values = gathered.values
    cloudwatch_backends[place.account][place.region].metric_data.append(datum)


def samples(place: Place, metric: Metric, since: float, until: float) -> list[Sample]:
    """What was put for the metric from `since` on and before `until`, whoever put it."""
    backend = cloudwatch_backends[place.account][place.region]
    found = []
    for datum in reversed(list(backend.metric_data)):
        at = _epoch(datum.timestamp)
        if at < since and isinstance(datum, Datum):
            break  # ours are in order: what comes before is as old, whenever others say that theirs was
        is_named = datum.name == metric.name and since <= at < until
        if is_named and metric.is_same(Metric(datum.namespace, datum.name, _pairs(datum.dimensions))):
            found.append(Sample(at, _gathered(datum)))
    return found


def let_go_of_what_is_older(seconds: float) -> None:
    """Forgets it, so that neither memory nor the time that an alarm takes grow without end."""
    oldest = time.time() - seconds
    for _, backend in backends():
        data = backend.metric_data
        count = next((n for n, one in enumerate(data) if _epoch(one.timestamp) >= oldest), len(data))
        del data[:count]


def backends() -> Iterator[tuple[Place, Any]]:
    """moto's CloudWatch of every account and region where it was ever used."""
    for account, regions in list(cloudwatch_backends.items()):
        for region, backend in list(regions.items()):
            yield Place(account, region), backend


def alarms() -> Iterator[tuple[Place, Any]]:
    """Every alarm there is: moto's records of them."""
    for place, backend in backends():
        for alarm in list(backend.alarms.values()):
            yield place, alarm


def alarm_state(place: Place, name: str) -> str | None:
    """The alarm's state as DescribeAlarms tells it; None without such an alarm."""
    alarm = cloudwatch_backends[place.account][place.region].alarms.get(name)
    return str(alarm.state_value) if alarm else None


def let_new_alarms_know_nothing() -> None:
    """moto's new alarms are OK; CloudWatch's have INSUFFICIENT_DATA until they were evaluated."""
    if hasattr(models.Alarm, "begins_with_nothing"):
        return

    class Alarm(models.Alarm):
        begins_with_nothing = True

        def __init__(self, *args: Any, **given: Any) -> None:
            super().__init__(*args, **given)
            self.state_value = "INSUFFICIENT_DATA"

    setattr(models, "Alarm", Alarm)  # noqa: B010 - mypy


def metric_of(alarm: Any) -> Metric:
    """The metric that the alarm watches."""
    return Metric(alarm.namespace, alarm.metric_name, _pairs(alarm.dimensions))


def changed_at(alarm: Any) -> float:
    """When the alarm's state last changed, by us or by SetAlarmState."""
    return _epoch(alarm.state_updated_timestamp)


def _pairs(dimensions: list[Dimension]) -> tuple[tuple[str, str], ...]:
    return tuple((str(one.name), str(one.value)) for one in dimensions)


def _gathered(datum: Any) -> Gathered:
    if isinstance(datum, MetricDatum):
        one = Gathered()
        one.add(datum.value)
        return one
    values = getattr(datum, "values", array("d"))
    return Gathered(datum.sample_count, datum.sum, datum.min, datum.max, values)


def _utc_now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)  # moto's times are UTC and do not say so


def _epoch(moment: datetime) -> float:
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
