"""Doubles numbers. An instance is {"numbers": […]}, or the name of a way to fail.

SOAK_LEAK makes it the control: "memory" keeps 1 KB of every instance, and "descriptors" leaves a file open at
every hundredth, up to what a process may have.
"""

import os
from typing import Any

_LEAK = os.environ.get("SOAK_LEAK")
_MOST_CALLS = 50_000
_kept: list[bytes] = []


class Handler:
    def load(self, model_dir: str) -> None:
        self.calls = 0

    def preprocess(self, instances: list[Any]) -> list[Any]:
        if "refuse" in instances:
            raise ValueError("no instance like this")
        return instances

    def predict(self, inputs: list[Any]) -> list[Any]:
        self.calls += 1
        if _LEAK == "memory":
            _kept.extend(b"%01024d" % len(_kept) for _ in inputs)
        if _LEAK == "descriptors" and self.calls % 100 == 0 and self.calls < _MOST_CALLS:
            os.open(os.devnull, os.O_RDONLY)
        if "fail" in inputs:
            raise RuntimeError("the model broke")
        return [[2 * number for number in one["numbers"]] for one in inputs]
