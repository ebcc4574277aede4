"""What the answers say together: each phase at p50, p95 and p99, and its share of the whole there. Pure.

Percentiles do not add up: the p95 of a phase is not in the answer that is the p95 of the whole. So a share is
read off the answers whose whole time lies around that percentile, and their shares do add up to the whole.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from deploy.latency.parts import NETWORK, PARTS, WHOLE
from deploy.target import Answer

AT = (50, 95, 99)
_AROUND = 5  # percent of the answers on either side, at most: at p99 there is not as much room above

Spent = Mapping[str, float]  # the milliseconds of one answer, by phase


@dataclass(frozen=True)
class Row:
    """One phase, or one part: milliseconds and shares of the whole (0 to 1) at each of AT.

    The whole has no shares.
    """

    name: str
    ms: tuple[float, ...]
    shares: tuple[float, ...] = ()


def spent(answer: Answer) -> Spent:
    """One answer's whole time and, where it was told, its phases; the network has what they leave."""
    if answer.told is None:
        return {WHOLE: answer.took_ms}
    phases = answer.told.phases
    return {WHOLE: answer.took_ms, NETWORK: max(0.0, answer.took_ms - sum(phases.values())), **phases}


def rows(answers: Sequence[Answer]) -> list[Row]:
    """The whole, then each part followed by its phases; the whole alone where no answer told its phases."""
    every = [spent(answer) for answer in answers]
    told = sorted((one for one in every if NETWORK in one), key=lambda one: one[WHOLE])
    whole = Row(WHOLE, tuple(percentile([one[WHOLE] for one in every], at) for at in AT))
    if not told:
        return [whole]
    parts = [
        row
        for part, names in PARTS.items()
        for row in (_row(told, part, names), *(_row(told, name, (name,)) for name in names))
    ]
    return [whole, *parts]


def percentile(values: Sequence[float], at: int) -> float:
    """The least of the values that `at` percent of them do not exceed: of few, the largest."""
    return sorted(values)[_rank(len(values), at)]


def around(ordered: Sequence[Spent], at: int) -> Sequence[Spent]:
    """Of the answers in the order of their whole time, those around that percentile."""
    middle = _rank(len(ordered), at)
    room = len(ordered) * min(_AROUND, (100 - at) / 2) / 100
    return ordered[max(0, middle - int(room)) : middle + int(room) + 1]


def _rank(count: int, at: int) -> int:
    return max(0, -(-count * at // 100) - 1)


def _row(ordered: Sequence[Spent], label: str, names: Sequence[str]) -> Row:
    ms = [_sum(one, names) for one in ordered]
    shares = (_share(around(ordered, at), names) for at in AT)
    return Row(label, tuple(percentile(ms, at) for at in AT), tuple(shares))


def _share(answers: Sequence[Spent], names: Sequence[str]) -> float:
    whole = sum(sum(one.values()) - one[WHOLE] for one in answers)
    return sum(_sum(one, names) for one in answers) / whole if whole else 0.0


def _sum(one: Spent, names: Sequence[str]) -> float:
    return sum(one.get(name, 0.0) for name in names)
