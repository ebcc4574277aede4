"""Metrics out of a log, by regular expression: the last value of each. Pure but for the time it takes.

Source: API_MetricDefinition, and SageMaker's developer guide, training-metrics.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Definition:
    """A metric's name and the expression that finds its value in a line of the log."""

    name: str
    pattern: re.Pattern[str]


@dataclass(frozen=True)
class Reading:
    """A metric's value and when it was seen, epoch seconds."""

    value: float
    seen: float


def definitions(given: Iterable[Mapping[str, str]]) -> tuple[Definition, ...]:
    """The request's MetricDefinitions. Raises ValueError, which names the metric, for an expression."""
    found = []
    for one in given:
        try:
            found.append(Definition(one["Name"], re.compile(one["Regex"])))
        except re.error as error:
            raise ValueError(
                f"{one['Name']!r}: {one['Regex']!r} is no regular expression: {error}"
            ) from error
    return tuple(found)


def read(line: str, wanted: Iterable[Definition]) -> dict[str, Reading]:
    """The metrics in one line. What the expression finds and is no finite number is no value."""
    found = {}
    for one in wanted:
        match = one.pattern.search(line)
        value = _number(match[one.pattern.groups and 1]) if match else None
        if value is not None:
            found[one.name] = Reading(value, time.time())
    return found


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) else None
