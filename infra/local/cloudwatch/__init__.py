"""CloudWatch made true: endpoints publish, alarms are evaluated. moto keeps the metrics and the alarms.

Not evaluated: alarms on metric math and on other alarms; actions are recorded and not taken.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from typing import Any

from infra.local.cloud import Caller
from infra.local.cloudwatch import evaluation, moto_metrics
from infra.local.cloudwatch.evaluation import Point, Rule
from infra.local.cloudwatch.moto_metrics import Place
from infra.local.cloudwatch.samples import Gathered, Metric, statistic

SAGEMAKER = "AWS/SageMaker"
# CloudWatch evaluates an alarm once a minute, one of a shorter period once a period.
EVALUATED_EVERY_S = 60.0
TICKS_AN_INTERVAL = 12
# Older data is let go. Source: CloudWatch keeps metrics of a second's resolution for three hours.
KEPT_S = 3 * 3600
_log = logging.getLogger(__name__)
Dimensions = tuple[tuple[str, str], ...]
Measurements = Mapping[tuple[str, str], float]


class CloudWatch:
    """Takes measurements and keeps the alarms' states. Its methods may be called from any thread.

    `scale` is how much of its real length a period takes: with 0.01 an alarm's minute is 0.6 s.
    """

    def __init__(self, scale: float) -> None:
        moto_metrics.let_new_alarms_know_nothing()
        self._scale = scale
        self._lock = threading.Lock()
        self._gathering: dict[tuple[str, str, Dimensions], dict[tuple[str, str], Gathered]] = {}
        self._evaluated: dict[tuple[Place, str], int] = {}  # the last interval of each alarm
        self._closed = threading.Event()
        self._tick_s = min(1.0, EVALUATED_EVERY_S * scale / TICKS_AN_INTERVAL)
        threading.Thread(target=self._watch, name="alarms", daemon=True).start()

    def publish(
        self, caller: Caller, dimensions: Dimensions, values: Mapping[tuple[str, str], float]
    ) -> None:
        """One measurement of each of these: {(name, unit): value}. Readable a moment later."""
        with self._lock:
            gathering = self._gathering.setdefault((caller.account, caller.region, dimensions), {})
            for named, value in values.items():
                gathering.setdefault(named, Gathered()).add(value)

    def state_of(self, caller: Caller, alarm: str) -> str | None:
        """OK, ALARM or INSUFFICIENT_DATA; None without such an alarm."""
        return moto_metrics.alarm_state(Place(caller.account, caller.region), alarm)

    def close(self) -> None:
        """Puts what was gathered and ends."""
        self._closed.set()
        self._put()

    def _watch(self) -> None:
        while not self._closed.wait(self._tick_s):
            try:
                self._put()
                moto_metrics.let_go_of_what_is_older(KEPT_S * self._scale)
                for place, alarm in moto_metrics.alarms():
                    self._look_at(place, alarm)
            except Exception:
                _log.exception("alarms were not evaluated")

    def _put(self) -> None:
        with self._lock:
            gathered, self._gathering = self._gathering, {}
        for (account, region, dimensions), series in gathered.items():
            for (name, unit), parts in series.items():
                moto_metrics.put(Place(account, region), Metric(SAGEMAKER, name, dimensions), unit, parts)

    def _look_at(self, place: Place, alarm: Any) -> None:
        """Evaluates the alarm once an interval, when that is over."""
        if not alarm.period or alarm.comparison_operator not in evaluation.COMPARISONS:
            return
        every = min(float(alarm.period), EVALUATED_EVERY_S) * self._scale
        now = time.time()
        interval = int(now / every)
        # A state set by hand holds for a while, and a new alarm waits for its first data.
        is_fresh = now - moto_metrics.changed_at(alarm) < every / 2
        if is_fresh or self._evaluated.get((place, alarm.name)) == interval:
            return
        self._evaluated[place, alarm.name] = interval
        rule = _rule(alarm)
        points = self._points(place, alarm, interval * every, rule.periods + evaluation.FURTHER)
        if verdict := evaluation.judge(rule, points, alarm.state_value):
            _log.info("alarm %s: %s: %s", alarm.name, verdict.state, verdict.reason)
            alarm.update_state(verdict.reason, "{}", verdict.state)

    def _points(self, place: Place, alarm: Any, end: float, count: int) -> list[Point]:
        length = alarm.period * self._scale
        begin = end - count * length
        buckets: list[list[Gathered]] = [[] for _ in range(count)]
        for sample in moto_metrics.samples(place, moto_metrics.metric_of(alarm), begin, end):
            buckets[min(int((sample.at - begin) / length), count - 1)].append(sample.gathered)
        stat = alarm.statistic or alarm.extended_statistic
        return [Point(begin + n * length, statistic(stat, parts)) for n, parts in enumerate(buckets)]


def _rule(alarm: Any) -> Rule:
    return Rule(
        comparison=alarm.comparison_operator,
        threshold=alarm.threshold,
        periods=alarm.evaluation_periods,
        needed=alarm.datapoints_to_alarm or alarm.evaluation_periods,
        missing=alarm.treat_missing_data or "missing",
    )
