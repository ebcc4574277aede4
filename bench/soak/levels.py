"""Whether what a server holds stays level: its memory and its file descriptors against the requests it had.

The numbers decide, and this module has nothing else in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

# Half of what a leak of 1 KB a request makes. Ours has grown by a quarter of it in its second five thousand
# requests and by a tenth of that in the end: what the workers share with the process that they were forked
# from becomes their own, page by page.
MOST_BYTES = 512.0
# What a library may open once, and late; a leak has no such bound.
MOST_DESCRIPTORS = 2


@dataclass(frozen=True)
class Sample:
    """A server at rest: how many requests it has had by now, the bytes that all its processes hold (shared
    pages once), and their open file descriptors."""

    requests: int
    memory: int
    descriptors: int


@dataclass(frozen=True)
class Trend:
    """How memory grows with the requests, and by how much the descriptors have grown."""

    bytes_per_request: float
    descriptors: int

    @property
    def level(self) -> bool:
        """Whether it stays where it is."""
        return self.bytes_per_request < MOST_BYTES and self.descriptors <= MOST_DESCRIPTORS


def trend(samples: Sequence[Sample]) -> Trend:
    """What the samples say, which are in the order of their times. At least six, else ValueError."""
    if len(samples) < 6:
        raise ValueError(f"{len(samples)} samples say nothing; expected at least six: run for longer")
    return Trend(_slope(samples), _growth([sample.descriptors for sample in samples]))


def _slope(samples: Sequence[Sample]) -> float:
    """Bytes a request, by least squares."""
    middle = sum(sample.requests for sample in samples) / len(samples)
    memory = sum(sample.memory for sample in samples) / len(samples)
    spread = sum((sample.requests - middle) ** 2 for sample in samples)
    if not spread:
        raise ValueError("there were no requests between the samples")
    return sum((s.requests - middle) * (s.memory - memory) for s in samples) / spread


def _growth(counts: Sequence[int]) -> int:
    """From the most at the beginning to the least at the end: what comes and goes is no growth."""
    third = len(counts) // 3 or 1
    return min(counts[-third:]) - max(counts[:third])
