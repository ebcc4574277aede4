"""What the answers say together: each phase at p50, p95 and p99, and its share of the whole there. Pure.

Percentiles do not add up: the p95 of a phase is not in the answer that is the p95 of the whole. So a share is
read off the answers whose whole time lies around that percentile, and their shares do add up to the whole.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from deploy.latency.parts import FIRST, NETWORK, PARTS, STREAM, WHOLE
from deploy.target import Answer

AT = (50, 95, 99)
_AROUND = 5  # percent of the answers on either side, at most: at p99 there is not as much room above

Spent = Mapping[str, float]  # the milliseconds of one answer, by phase


@dataclass(frozen=True)
class Row:
    """One phase, or one part: milliseconds and shares of the whole (0 to 1) at each of AT.

    The whole has no shares, and the time to the first piece has none.
    """

    name: str
    ms: tuple[float, ...]
    shares: tuple[float, ...] = ()


def spent(answer: Answer) -> Spent:
    """One answer's whole time and, where it was told, its phases; the network has what they leave."""
    if answer.told is None:
        return {WHOLE: answer.took_ms}
    phases = answer.told.phases
    first = answer.took_ms if answer.first_ms is None else answer.first_ms
    rest = {} if answer.first_ms is None else {STREAM: answer.took_ms - first}
    return {WHOLE: answer.took_ms, NETWORK: max(0.0, first - sum(phases.values())), **phases, **rest}


def rows(answers: Sequence[Answer]) -> list[Row]:
    """The whole, the first piece where answers came in pieces, then each part followed by its phases.

    Where no answer told its phases there are no parts.
    """
    every = [spent(answer) for answer in answers]
    told = sorted((one for one in every if NETWORK in one), key=lambda one: one[WHOLE])
    first = [answer.first_ms for answer in answers if answer.first_ms is not None]
    wholes = [_measured(WHOLE, [one[WHOLE] for one in every]), *([_measured(FIRST, first)] if first else [])]
    return wholes + [row for part in PARTS if told and _is_there(part, told) for row in _rows(told, part)]


def _measured(name: str, ms: Sequence[float]) -> Row:
    return Row(name, tuple(percentile(ms, at) for at in AT))


def _is_there(part: str, told: Sequence[Spent]) -> bool:
    return PARTS[part] != (STREAM,) or any(STREAM in one for one in told)


def _rows(told: Sequence[Spent], part: str) -> list[Row]:
    return [_row(told, part, PARTS[part]), *(_row(told, name, (name,)) for name in PARTS[part])]


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
