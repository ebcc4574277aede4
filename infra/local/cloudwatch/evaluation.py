"""What state an alarm has, by the data of its last periods. Pure.

Source: Amazon CloudWatch User Guide, "Using Amazon CloudWatch alarms": evaluating an alarm, and configuring
how alarms treat missing data, with its tables. The reasons' wording is that of public alarm notifications.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

# Periods beyond EvaluationPeriods that are looked at where data is missing: 5 for 3 in the guide's tables.
FURTHER = 2
ALARM, OK, INSUFFICIENT = "ALARM", "OK", "INSUFFICIENT_DATA"
_WORDS: Mapping[str, tuple[Callable[[float, float], bool], str]] = {
    "GreaterThanThreshold": (operator.gt, "greater than"),
    "GreaterThanOrEqualToThreshold": (operator.ge, "greater than or equal to"),
    "LessThanThreshold": (operator.lt, "less than"),
    "LessThanOrEqualToThreshold": (operator.le, "less than or equal to"),
}
COMPARISONS = frozenset(_WORDS)


@dataclass(frozen=True)
class Rule:
    """An alarm's threshold: `needed` of `periods` datapoints that breach it are an alarm."""

    comparison: str
    threshold: float
    periods: int
    needed: int
    missing: str = "missing"  # TreatMissingData


@dataclass(frozen=True)
class Point:
    """A period's statistic, and when the period began (seconds since the epoch); None without data."""

    at: float
    value: float | None


@dataclass(frozen=True)
class Verdict:
    """The state that an alarm shall have, and why."""

    state: str
    reason: str


def judge(rule: Rule, points: Sequence[Point], now: str) -> Verdict | None:
    """The verdict over the points, the latest last; None where the alarm keeps its state, which is `now`."""
    known = [one for one in points if one.value is not None][-rule.periods :]
    breaching = [one for one in known if _WORDS[rule.comparison][0](one.value or 0.0, rule.threshold)]
    state = _state(rule, len(known), len(breaching), now)
    return None if state == now else Verdict(state, _reason(rule, known, state))


def _state(rule: Rule, known: int, breaching: int, now: str) -> str:
    missing = rule.periods - known
    if rule.missing == "breaching":
        return ALARM if breaching + missing >= rule.needed else OK
    if rule.missing == "ignore" and missing:
        if breaching >= rule.needed:
            return ALARM
        return OK if known - breaching > rule.periods - rule.needed else now
    if rule.missing == "missing" and missing:
        if not known:
            return INSUFFICIENT
        return ALARM if breaching >= min(rule.needed, known) else OK
    return ALARM if breaching >= rule.needed else OK


def _reason(rule: Rule, known: Sequence[Point], state: str) -> str:
    many = "" if rule.periods == 1 else "s"
    if not known and state == INSUFFICIENT:
        verb = "was" if rule.periods == 1 else "were"
        return f"Insufficient Data: {rule.periods} datapoint{many} {verb} unknown."
    if not known:
        treated = "Breaching" if state == ALARM else "NonBreaching"
        return (
            f"Threshold Crossed: no datapoints were received for {rule.periods} period{many} and "
            f"{rule.periods} missing datapoint{many} {'was' if rule.periods == 1 else 'were'} treated as "
            f"[{treated}]."
        )
    shown = ", ".join(f"{one.value} ({_moment(one.at)})" for one in reversed(known))
    verb = "was" if len(known) == 1 else "were"
    negation = "" if state == ALARM else "not "
    return (
        f"Threshold Crossed: {len(known)} datapoint{'' if len(known) == 1 else 's'} [{shown}] {verb} "
        f"{negation}{_WORDS[rule.comparison][1]} the threshold ({rule.threshold})."
    )


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%d/%m/%y %H:%M:%S")
