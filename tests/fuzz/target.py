"""What is fuzzed: what is done with an input, and the inputs to begin with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Target:
    """`run` returns where its promise holds for an input; whatever it raises was found."""

    run: Callable[[bytes], None]
    seeds: list[bytes]
