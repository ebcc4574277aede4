"""How many instances a scaling policy wants. Pure.

Source: Application Auto Scaling User Guide, target tracking and step scaling policies.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Json = Mapping[str, Any]
# A target tracking policy's alarms: above the target for three minutes, below nine tenths of it for fifteen.
HIGH_PERIODS, LOW_PERIODS, LOW_SHARE = 3, 15, 0.9


@dataclass(frozen=True)
class Bounds:
    """The least and the most instances of a scalable target."""

    least: int
    most: int

    def hold(self, count: int) -> int:
        """The count within the bounds."""
        return max(self.least, min(self.most, count))


def at_target(current: int, value: float, target: float) -> int:
    """The count at which the metric, shared among so many, would be at its target."""
    return math.ceil(current * value / target - 1e-9)


def tracked(current: int, value: float, target: float, is_high: bool) -> int:
    """The same where an alarm says on which side it is: at least one off."""
    wanted = at_target(current, value, target)
    return max(wanted, current + 1) if is_high else min(wanted, current - 1)


def stepped(current: int, over: float, config: Json) -> int:
    """The count by the step in whose interval the metric lies, `over` the alarm's threshold."""
    kind = config.get("AdjustmentType", "ChangeInCapacity")
    step = _step(over, config.get("StepAdjustments", ()))
    if step is None:
        return current
    by: int = step["ScalingAdjustment"]
    if kind == "ExactCapacity":
        return by
    if kind == "PercentChangeInCapacity":
        change = current * by / 100
        size = max(math.floor(abs(change)), int(config.get("MinAdjustmentMagnitude", 1)))
        return current + (size if by > 0 else -size)
    return current + by


def _step(over: float, steps: Sequence[Json]) -> Json | None:
    for one in steps:
        lower = one.get("MetricIntervalLowerBound", -math.inf)
        upper = one.get("MetricIntervalUpperBound", math.inf)
        if lower <= over < upper:
            return one
    return None
