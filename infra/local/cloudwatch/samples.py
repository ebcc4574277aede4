"""What a metric's measurements are, how they are gathered, and CloudWatch's statistics of them. Pure."""

from __future__ import annotations

import math
import re
from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

PERCENTILE = re.compile(r"p(\d{1,2}(\.\d{1,10})?|100)")


@dataclass(frozen=True)
class Metric:
    """One series: another set of dimensions is another metric, also a larger one."""

    namespace: str
    name: str
    dimensions: tuple[tuple[str, str], ...]

    def is_same(self, other: Metric) -> bool:
        """Whether both name one series; the dimensions' order says nothing."""
        mine, theirs = sorted(self.dimensions), sorted(other.dimensions)
        return (self.namespace, self.name, mine) == (other.namespace, other.name, theirs)


@dataclass
class Gathered:
    """Measurements of a moment, counted. `values` has each of them, or none where only the sums are known."""

    count: float = 0.0
    total: float = 0.0
    least: float = math.inf
    most: float = -math.inf
    values: array[float] = field(default_factory=lambda: array("d"))

    def add(self, value: float) -> None:
        """One more measurement."""
        self.count += 1
        self.total += value
        self.least, self.most = min(self.least, value), max(self.most, value)
        self.values.append(value)


@dataclass(frozen=True)
class Sample:
    """Gathered measurements, and when they were put (seconds since the epoch)."""

    at: float
    gathered: Gathered


_PLAIN: Mapping[str, Callable[[Sequence[Gathered]], float]] = {
    "SampleCount": lambda parts: sum(one.count for one in parts),
    "Sum": lambda parts: sum(one.total for one in parts),
    "Average": lambda parts: sum(one.total for one in parts) / sum(one.count for one in parts),
    "Minimum": lambda parts: min(one.least for one in parts),
    "Maximum": lambda parts: max(one.most for one in parts),
}


def statistic(name: str, parts: Sequence[Gathered]) -> float | None:
    """`Sum`, `Average` … or a percentile such as `p99`; None without data, or where it cannot be known."""
    if not any(one.count for one in parts):
        return None
    if name in _PLAIN:
        return _PLAIN[name](parts)
    match = PERCENTILE.fullmatch(name)
    if match is None:
        return None
    values = sorted(value for one in parts for value in one.values)
    rank = math.ceil(float(match[1]) / 100 * len(values))
    return values[max(rank - 1, 0)] if values else None
