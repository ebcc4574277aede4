"""How far two lists of predictions are from each other. Pure.

Of a prediction of several numbers the cosine counts, of one number the difference as a share of the largest:
a cosine of single numbers would be 1 whatever they are.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Difference:
    """`cosine` is the smallest of all predictions, `largest` the largest difference of two numbers, `equal`
    the share of predictions whose other parts (texts, whole numbers, forms) are the same."""

    cosine: float
    largest: float
    equal: float


def compared(found: Sequence[Any], right: Sequence[Any]) -> Difference:
    """The predictions found against the right ones, pair by pair."""
    if len(found) != len(right):
        return Difference(-1.0, math.inf, 0.0)
    pairs = [(list(_numbers(one)), list(_numbers(other))) for one, other in zip(found, right, strict=True)]
    same = [
        list(_others(one)) == list(_others(other)) and len(numbers) == len(expected)
        for (one, other), (numbers, expected) in zip(zip(found, right, strict=True), pairs, strict=True)
    ]
    alike = [pair for pair, is_same in zip(pairs, same, strict=True) if is_same]
    scale = max((abs(number) for _, numbers in alike for number in numbers), default=0.0)
    return Difference(
        cosine=min((_likeness(*pair, scale) for pair in alike), default=1.0),
        largest=max((_apart(*pair) for pair in alike), default=0.0),
        equal=sum(same) / len(same) if same else 1.0,
    )


def shown(cosine: float) -> str:
    """Five digits, downwards: 0.99900 is not to be read where it is 0.998996."""
    return f"{math.floor((cosine + 1e-9) * 1e5) / 1e5:.5f}"


def worst(one: Difference, other: Difference) -> Difference:
    """The worse of each."""
    return Difference(
        min(one.cosine, other.cosine), max(one.largest, other.largest), min(one.equal, other.equal)
    )


def _likeness(found: list[float], right: list[float], scale: float) -> float:
    if _same(found, right):
        return 1.0
    if not all(map(math.isfinite, found)):
        return -1.0
    if len(right) < 2:
        return 1 - _apart(found, right) / scale if scale else 0.0
    lengths = math.hypot(*found) * math.hypot(*right)
    if not lengths or not math.isfinite(lengths):
        return 0.0
    return math.fsum(one * other for one, other in zip(found, right, strict=True)) / lengths


def _apart(found: list[float], right: list[float]) -> float:
    differences = (abs(one - other) for one, other in zip(found, right, strict=True) if one != other)
    return max((math.inf if math.isnan(one) else one for one in differences), default=0.0)


def _same(found: list[float], right: list[float]) -> bool:
    return all(
        one == other or (math.isnan(one) and math.isnan(other))
        for one, other in zip(found, right, strict=True)
    )


def _numbers(value: Any) -> Iterator[float]:
    """The fractional numbers of a prediction, in order; a whole one may be a class, and is to be equal."""
    if isinstance(value, float):
        yield value
    elif isinstance(value, dict):
        for one in value.values():
            yield from _numbers(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _numbers(one)


def _others(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Everything else, and where it stands; of a number, that it is one."""
    if isinstance(value, dict):
        for key, one in value.items():
            yield from _others(one, f"{path}.{key}")
    elif isinstance(value, list | tuple):
        yield path, len(value)
        for number, one in enumerate(value):
            yield from _others(one, f"{path}[{number}]")
    else:
        yield path, float if isinstance(value, float) else value
