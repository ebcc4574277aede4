"""Which of the requests that wait share a call, where the handler tells how long an instance is.

What is put together is padded to the longest, and each call costs something by itself. Both prices are
learned from the calls, and the requests are cut, from the shortest to the longest, where the sum is least.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import log
from typing import Any, NamedTuple

import numpy as np

_KEPT = 0.99  # of what was learned before, with each further call
_HELD = 0.1  # of a call's weight has what is supposed before anything is learned


class Size(NamedTuple):
    """How many instances a request has, and how long the longest of them is."""

    instances: int
    length: float


class Prices(NamedTuple):
    """What a call costs by itself, and what a unit of padding costs, in any one currency."""

    call: float
    padding: float


class Costs:
    """The prices, learned from what calls took."""

    def __init__(self) -> None:
        self._seen: Any = np.zeros((3, 3))
        self._took: Any = np.zeros(3)

    def learn(self, group: Sequence[Size], seconds: float) -> None:
        """Take in a call, and the seconds that it took."""
        instances, longest = sum(one.instances for one in group), max(one.length for one in group)
        filled = sum(one.instances * one.length for one in group)
        # By the unit of length: what is uncertain of a long call is then worth no more than of a short one.
        call = np.array([1 / filled, 1.0, (instances * longest - filled) / filled])
        self._seen = _KEPT * self._seen + np.outer(call, call)
        self._took = _KEPT * self._took + call * (seconds / filled)

    def prices(self, usual: float) -> Prices:
        """For requests of the usual length, above 0. Until calls tell more, a call costs as much as one.

        The least squares of a call's seconds: for itself, for each unit of length, for each of padding.
        """
        if not self._seen[1, 1]:
            return Prices(usual, 1.0)
        units = np.array([usual, 1.0, 1.0])
        alike = self._took[1] / (self._seen[1, 1] + usual * self._seen[0, 1])
        seen = self._seen * np.outer(units, units) + _HELD * np.eye(3)
        call, _, padding = np.linalg.solve(seen, self._took * units + _HELD * alike)
        return Prices(max(float(call) * usual, 0.0), max(float(padding), 0.0))


def cut(sizes: Sequence[Size], prices: Prices, most: int) -> list[slice]:
    """The calls for requests from the shortest to the longest: the slice of those that share each.

    Together they cost the least there is, in as few calls as that allows. No call has more than `most`
    instances but that of one large request.
    """
    least, starts = [(0.0, 0)], [0]
    for end in range(1, len(sizes) + 1):
        cost, start = _cheapest(sizes[:end], least, prices, most)
        least.append(cost)
        starts.append(start)
    cuts, end = [], len(sizes)
    while end:
        cuts.append(slice(starts[end], end))
        end = starts[end]
    return cuts[::-1]


def _cheapest(
    sizes: Sequence[Size], least: Sequence[tuple[float, int]], prices: Prices, most: int
) -> tuple[tuple[float, int], int]:
    """What all these requests cost and in how many calls, and where the last of these calls begins."""
    longest, count, padding = sizes[-1].length, 0, 0.0
    found: list[tuple[tuple[float, int], int]] = []
    for start in range(len(sizes) - 1, -1, -1):
        count += sizes[start].instances
        padding += prices.padding * sizes[start].instances * (longest - sizes[start].length)
        # If no cut of a call saves the price of one more, its padding costs at most this (a harmonic sum).
        if found and (count > most or padding > prices.call * (1 + log(count))):
            break
        before, calls = least[start]
        found.append(((before + prices.call + padding, calls + 1), start))
    return min(found)
